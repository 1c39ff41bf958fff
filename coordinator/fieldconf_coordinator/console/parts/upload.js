// Uploading a template: a ZIP, a tar, or its folder; what is wrong with it shows with source lines.

import * as api from "../api.js";
import { h, put, say } from "../dom.js";
import { to } from "../router.js";
import { tar } from "../tar.js";
import { bytes, count } from "../words.js";
import * as actions from "./actions.js";
import { open } from "./dialog.js";
import { errorNote, reportList } from "./marks.js";

const TYPES = { zip: "application/zip", gz: "application/gzip", tgz: "application/gzip", tar: "application/x-tar" };
// What no template needs and what lies about in folders.
const LEFT_OUT = /(^|\/)(\.git|\.svn|__pycache__|\.DS_Store|node_modules)(\/|$)/;

/** Open the dialog; `done(template)` is called when one was taken in. */
export function upload(done = () => {}) {
  const dialog = open("Upload a template", { wide: true });
  const file = h("input", { type: "file", accept: ".zip,.tar,.gz,.tgz", hidden: true, "aria-label": "Archive" });
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true, "aria-label": "Folder" });
  const result = h("div", { role: "status", "aria-live": "polite" });
  const chooseFile = h("button", { type: "button", class: "primary", onclick: () => file.click() }, "Choose an archive");
  const drop = h("div", { class: "drop" }, h("p", null, "A ZIP, tar or tar.gz of the template’s folder, dropped here, or:"), h("div", { class: "row" }, chooseFile, h("button", { type: "button", onclick: () => folder.click() }, "Choose its folder")), file, folder);
  const close = h("button", { type: "button", onclick: dialog.close }, "Close");
  put(dialog.content, drop, result);
  put(dialog.footer, close);
  chooseFile.focus();

  const send = async (make) => {
    const text = h("p", { class: "quiet" }, "Reading …");
    const bar = h("progress", { max: "1", value: "0", "aria-label": "Uploaded" });
    put(result, h("div", { class: "section" }, text, bar));
    try {
      const [content, type] = await make();
      const progress = (share) => {
        bar.value = share;
        say(text, share < 1 ? `Uploading ${bytes(content.size)}: ${Math.floor(100 * share)} %` : `${bytes(content.size)} are there; checking …`);
      };
      taken(await api.upload("/templates", content, type, progress));
    } catch (error) {
      refused(error);
    }
  };

  function taken(template) {
    done(template);
    drop.hidden = true;
    const deploy = h("button", { class: "primary", type: "button", onclick: () => {
      dialog.close();
      actions.deploy({ template: template.id });
    } }, "Deploy …");
    put(
      result,
      h("div", { class: "note good" }, h("p", null, h("span", { class: "strong" }, `${template.name} ${template.version}`), " is taken in.")),
      template.warnings.length ? [h("h3", { class: "gap" }, count(template.warnings.length, "warning")), reportList(template.warnings)] : h("p", { class: "quiet section" }, "The check found nothing odd."),
    );
    put(dialog.footer, h("a", { class: "button", href: to("templates", [template.id]), onclick: dialog.close }, "Look at it"), close, api.may("operator") ? deploy : null);
    deploy.focus();
  }

  function refused(error) {
    put(result, errorNote(error), error.problems?.length ? reportList(error.problems) : null);
    file.value = folder.value = "";
  }

  file.addEventListener("change", () => file.files.length && send(async () => [file.files[0], typeOf(file.files[0].name)]));
  folder.addEventListener("change", () => folder.files.length && send(() => packed([...folder.files])));
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
    });
  }
  drop.addEventListener("drop", (event) => {
    const dropped = event.dataTransfer.files[0];
    if (dropped) send(async () => [dropped, typeOf(dropped.name)]);
  });
}

function typeOf(name) {
  return TYPES[name.split(".").pop().toLowerCase()] ?? "application/octet-stream";
}

/** Return a tar of what was chosen: the first segment of each path is the folder's own name. */
async function packed(chosen) {
  const files = [];
  for (const one of chosen) {
    const path = one.webkitRelativePath.split("/").slice(1).join("/");
    if (!LEFT_OUT.test(path)) files.push({ path, bytes: new Uint8Array(await one.arrayBuffer()) });
  }
  return [new Blob(tar(files)), "application/x-tar"];
}
