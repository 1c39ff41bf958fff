// How far a change is.

import * as api from "../api.js";
import { h, put } from "../dom.js";
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

export function fillBar(bar, change) {
  bar.max = Math.max(1, change.total);
  bar.value = change.outcome === "done" ? bar.max : change.done;
  bar.setAttribute("aria-label", `${change.text}: ${change.done} of ${change.total}`);
  bar.classList.toggle("done", change.outcome === "done");
}

/**
 * Return {element, close}: follows a change to its end.
 *
 * answer: what began it: {change}; of a cancellation also {stays, offline}
 */
export function progressOf(answer, application) {
  let id = answer.change;
  const head = h("p", { role: "status", "aria-live": "polite" }, "Begun …");
  const bar = h("progress", { max: "1", value: "0", "aria-label": "Progress" });
  const notes = h("div");
  const rest = h("ul", { class: "effects" });
  const hint = h("p", { class: "quiet" }, "It goes on when you close this.");
  const cancel = h("button", { type: "button", class: "small danger", onclick: () => end() }, "Cancel the change");
  const element = h("div", null, head, bar, h("div", { class: "section" }), notes, rest, h("div", { class: "row" }, hint, api.may("operator") ? cancel : null));

  async function end() {
    cancel.disabled = true;
    try {
      turnBack(await api.post(`/changes/${encodeURIComponent(id)}/cancel`));
    } catch (error) {
      put(notes, errorNote(error));
    }
    cancel.disabled = false;
  }

  /** From now on the way back is followed. */
  function turnBack({ change, stays = [], offline = [] }) {
    id = change ?? id;
    const sentences = [...stays, ...offline.map((node) => `Node ${node} is offline: what runs there ends by itself.`)];
    if (change) sentences.unshift("It is cancelled; what it wished is being put back.");
    put(notes, sentences.length ? h("div", { class: "note wait" }, sentences.map((one) => h("p", null, one))) : null);
    draw();
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

  if (answer.stays) turnBack(answer);
  if (!id) {
    put(head, h("span", { class: "strong" }, "It is cancelled."));
    bar.hidden = hint.hidden = cancel.hidden = true;
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
