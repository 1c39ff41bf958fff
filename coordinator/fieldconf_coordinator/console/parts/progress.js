// How far a change is.

import * as api from "../api.js";
import { h, put, say } from "../dom.js";
import { store } from "../store.js";
import { sentence } from "../words.js";
import { errorNote, stateOf } from "./marks.js";

const OUTCOMES = {
  running: ["busy", "under way"],
  done: ["good", "done"],
  superseded: ["idle", "superseded by a later change"],
  cancelled: ["wait", "cancelled"],
};
const MOST = 8;

export function outcomeOf(change) {
  return OUTCOMES[change.outcome] ?? ["unknown", change.outcome];
}

/** Return a row of a change that is under way: {element, update(change)}. */
export function changeRow(change) {
  const what = h("span", { class: "what" });
  const number = h("span", { class: "quiet nowrap" });
  const bar = h("progress", { max: "1", value: "0" });
  const element = h("li", { class: "change" }, what, number, bar);
  const update = (now) => {
    put(what, h("a", { class: "strong", href: `#/applications/${encodeURIComponent(now.application)}` }, now.application), ` · ${now.text}`);
    say(number, now.outcome === "running" ? `${now.done} of ${now.total}` : outcomeOf(now)[1]);
    fillBar(bar, now);
  };
  update(change);
  return { element, update };
}

export function fillBar(bar, change) {
  bar.max = Math.max(1, change.total);
  bar.value = change.outcome === "done" ? bar.max : change.done;
  bar.setAttribute("aria-label", `${change.text}: ${change.done} of ${change.total}`);
  bar.classList.toggle("done", change.outcome === "done");
}

/** Return {element, close}: follows a change to its end. */
export function progressOf(id, application) {
  const head = h("p", { role: "status", "aria-live": "polite" }, "Begun …");
  const bar = h("progress", { max: "1", value: "0", "aria-label": "Progress" });
  const rest = h("ul", { class: "effects" });
  const hint = h("p", { class: "quiet" }, "It goes on when you close this.");
  const cancel = h("button", { type: "button", class: "small danger", onclick: () => end() }, "Cancel the change");
  const element = h("div", null, head, bar, h("div", { class: "section" }), rest, h("div", { class: "row" }, hint, cancel));

  async function end() {
    cancel.disabled = true;
    try {
      await api.post(`/changes/${encodeURIComponent(id)}/cancel`);
    } catch (error) {
      element.append(errorNote(error));
    }
  }

  function draw() {
    const change = store.changes.get(id);
    if (!change) return;
    const [tone, word] = outcomeOf(change);
    const ended = change.outcome !== "running";
    put(head, h("span", { class: "strong" }, sentence(change.text)), " — ", h("span", { class: `text-${tone}` }, ended ? word : `${change.done} of ${change.total} are where they are wanted`));
    fillBar(bar, change);
    const waiting = ended ? [] : unsettled(application);
    rest.hidden = waiting.length === 0;
    put(rest, waiting.map((row) => h("li", null, h("span", { class: "mono" }, row.path), stateOf(row))));
    hint.hidden = cancel.hidden = ended;
  }

  draw();
  rest.hidden = !rest.childElementCount;
  return { element, close: store.subscribe(draw) };
}

/** Return some instances that are on their way; none where others are watched. */
function unsettled(application) {
  const found = [];
  for (const row of store.instances.values()) {
    if (row.application === application && !row.settled) found.push(row);
    if (found.length === MOST) break;
  }
  return found;
}
