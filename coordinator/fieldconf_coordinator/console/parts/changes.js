// Rows of the changes that are under way, each of which can be cancelled.

import * as api from "../api.js";
import { h, put, say } from "../dom.js";
import { to } from "../router.js";
import { ask } from "./dialog.js";
import { fillBar, outcomeOf } from "./progress.js";

/** Return a row of a change that is under way: {element, update(change)}. */
export function changeRow(change) {
  const what = h("span", { class: "what" });
  const number = h("span", { class: "quiet nowrap" });
  const bar = h("progress", { max: "1", value: "0" });
  const end = api.may("operator") ? h("button", { class: "small plain danger", "aria-label": `Cancel: ${change.text}`, onclick: () => cancel(change) }, "Cancel …") : null;
  const element = h("li", { class: "change" }, what, h("span", { class: "row" }, number, end), bar);
  const update = (now) => {
    put(what, h("a", { class: "strong", href: to("applications", [now.application]) }, now.application), ` · ${now.text}`);
    say(number, now.outcome === "running" ? `${now.done} of ${now.total}` : outcomeOf(now)[1]);
    fillBar(bar, now);
  };
  update(change);
  return { element, update };
}

/** Cancel a change; what it wished is put back, and what cannot be is told afterwards. */
function cancel(change) {
  ask({
    title: `Cancel: ${change.text}`,
    body: h("p", { class: "section" }, `What will happen: steps of ${change.application} that run for it are ended, and what it wished is put back. What it deployed is undeployed, what it stopped is started, what it added is taken out.`),
    action: "Cancel the change",
    dismiss: "Let it go on",
    danger: true,
    application: change.application,
    perform: () => api.post(`/changes/${encodeURIComponent(change.id)}/cancel`),
  });
}
