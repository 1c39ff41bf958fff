// Something that is told once: a token, the settings of a machine with its key.

import { h, put } from "../dom.js";
import { open } from "./dialog.js";
import { toast } from "./toast.js";

/**
 * Show a secret until it is put away.
 *
 * about: elements or texts above it; file: name under which it can be kept, if any
 */
export function showSecret({ title, about, text, file }) {
  const dialog = open(title);
  const code = h("pre", { class: "secret", tabindex: "0", "aria-label": title }, text);
  put(dialog.content, h("p", { class: "section" }, "Keep it now: it holds a key and is not shown again."), about, code);
  const done = h("button", { type: "button", onclick: dialog.close }, "Done");
  const copy = h("button", { type: "button", onclick: () => copied(code) }, "Copy");
  const keep = file ? h("button", { type: "button", class: "primary", onclick: () => download(file, text) }, `Download ${file}`) : null;
  put(dialog.footer, done, copy, keep);
  // It would be lost by a key that was hit by mistake.
  dialog.element.addEventListener("cancel", (event) => event.preventDefault());
  (keep ?? copy).focus();
}

/** Copy a text; where the page came without TLS there is no clipboard but the old one. */
async function copied(code) {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(code.textContent);
    else if (!copiedAsOfOld(code)) throw new Error("refused");
    toast("It is copied.");
  } catch {
    getSelection().selectAllChildren(code);
    toast("The browser refuses to copy; it is selected.");
  }
}

function copiedAsOfOld(code) {
  getSelection().selectAllChildren(code);
  return document.execCommand("copy");
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
