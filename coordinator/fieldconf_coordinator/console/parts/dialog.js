// Dialogs: what will happen before, progress after.

import { h, newId, put } from "../dom.js";
import { errorNote, reportList } from "./marks.js";
import { progressOf } from "./progress.js";

/** Open a dialog; return {element, content, footer, close}. */
export function open(title, { wide = false, onclose } = {}) {
  const id = newId("dialog");
  const content = h("div", { class: "content" });
  const footer = h("footer");
  const element = h(
    "dialog",
    { "aria-labelledby": id, class: wide ? "wide" : "" },
    h("header", null, h("h2", { id }, title)),
    content,
    footer,
  );
  const before = document.activeElement;
  element.addEventListener("close", () => {
    element.remove();
    onclose?.();
    if (before?.isConnected) before.focus();
  });
  document.body.append(element);
  element.showModal();
  return { element, content, footer, close: () => element.close() };
}

/**
 * Ask before doing something.
 *
 * body: elements that tell what will happen, or a form
 * action: what the button says; dismiss: what the other one says
 * perform(): does it; what it answers with a `change` is watched to its end
 * done(answer): called when it was accepted
 */
export function ask({ title, body, action, dismiss = "Cancel", danger = false, wide = false, application, perform, done }) {
  const dialog = open(title, { wide });
  const problem = h("div");
  const form = h("form", { novalidate: true, id: newId("form") }, body, problem);
  const button = h("button", { class: danger ? "primary danger" : "primary", form: form.id, type: "submit" }, action);
  put(dialog.content, form);
  put(dialog.footer, h("button", { type: "button", onclick: dialog.close }, dismiss), button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    put(problem);
    try {
      const answer = await perform();
      done?.(answer);
      if (answer?.change || answer?.stays?.length) watch(dialog, answer, application ?? answer.name);
      else dialog.close();
    } catch (error) {
      button.disabled = false;
      put(problem, errorNote(error), error.problems?.length ? reportList(error.problems) : null);
      problem.scrollIntoView({ block: "nearest" });
    }
  });
  focusFirst(form, button);
  return dialog;
}

/** What is to be filled in comes first, then the button. */
function focusFirst(form, button) {
  (form.querySelector("input:not([type=hidden]), select, textarea") ?? button).focus();
}

/** Show the progress of a change in place of the question. */
function watch(dialog, answer, application) {
  const progress = progressOf(answer, application);
  put(dialog.content, progress.element);
  const close = h("button", { class: "primary", onclick: dialog.close }, "Close");
  put(dialog.footer, close);
  dialog.element.addEventListener("close", progress.close);
  close.focus();
}

/** Return a labelled field; `input` is the control, or holds it. */
export function field(label, input, help) {
  const control = input.matches("input, select, textarea") ? input : input.querySelector("input, select, textarea");
  control.id ||= newId("field");
  const about = help ? h("span", { class: "help", id: `${control.id}-help` }, help) : null;
  if (about) control.setAttribute("aria-describedby", about.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), input, about);
}

/** Return a group of check boxes under a name. */
export function group(label, boxes) {
  return h("fieldset", { class: "choices" }, h("legend", null, label), boxes);
}

/** Return the list of what will happen: [path, text] each. */
export function effectsList(effects, { most = 100, label = "What will happen" } = {}) {
  const shown = effects.slice(0, most);
  return h(
    "ul",
    { class: "effects", tabindex: "0", "aria-label": label },
    shown.map(([path, text]) => h("li", null, h("span", { class: "mono" }, path), h("span", null, text))),
    effects.length > most ? h("li", null, h("span"), h("span", { class: "quiet" }, `and ${effects.length - most} more`)) : null,
  );
}
