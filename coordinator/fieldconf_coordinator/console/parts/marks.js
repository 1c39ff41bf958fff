// Small parts that many pages show: states, bars of health, times, messages of errors.

import { h, put } from "../dom.js";
import { fullMoment, moment, sentence, toneOf, toneOfInstance } from "../words.js";

/** Return a mark with a word. */
export function mark(tone, text) {
  return h("span", { class: "state" }, h("span", { class: `mark ${tone}`, "aria-hidden": "true" }), text);
}

/** Return the state of an instance with its mark; a problem shows beside it. */
export function stateOf(row) {
  const told = mark(toneOfInstance(row), row.state);
  if (!row.problem) return told;
  return h("span", { class: "row" }, told, h("span", { class: "chip bad" }, row.problem.resting ? "resting" : "problem"));
}

const ORDER = ["good", "busy", "wait", "idle", "off", "unknown"];

/** Return [tone, count, words] of the states of an application, those with instances only. */
function shares(states) {
  const tones = new Map(ORDER.map((tone) => [tone, 0]));
  for (const [state, number] of Object.entries(states)) {
    tones.set(toneOf(state), tones.get(toneOf(state)) + number);
  }
  return [...tones].filter(([, number]) => number > 0);
}

/** Return a bar that shows how many instances are in which state. */
export function healthBar(counts) {
  const words = Object.entries(counts.states).map(([state, number]) => `${number} ${state}`);
  if (counts.problems) words.push(`${counts.problems} with a problem`);
  const label = words.join(", ") || "no instance";
  const bar = h("div", { class: "bar", role: "img", "aria-label": label, title: label });
  for (const [tone, number] of shares(counts.states)) {
    const part = h("span", { class: tone });
    part.style.flexGrow = number;
    part.style.flexBasis = 0;
    bar.append(part);
  }
  return bar;
}

/** Return [tone, text] of how an application is, at a glance. */
export function healthOf(counts) {
  if (counts.total === 0) return ["off", "no instance"];
  if (counts.problems) return ["bad", `${counts.problems} with a problem`];
  if (counts.settled < counts.total) return ["busy", `${counts.settled} of ${counts.total} as wanted`];
  const off = (counts.states["not-deployed"] ?? 0) + (counts.states["deployed-stopped"] ?? 0);
  if (off === counts.total) return ["idle", "stopped, as wanted"];
  return ["good", "all as wanted"];
}

export function time(ms) {
  if (!ms) return h("span", { class: "quiet" }, "–");
  return h("time", { datetime: new Date(ms).toISOString(), title: fullMoment(ms) }, moment(ms));
}

/** Return what the coordinator refused, in words, with what to do. */
export function errorNote(error) {
  const note = h("div", { class: "note bad", role: "alert" });
  note.append(h("p", null, sentence(error.message)));
  if (error.hint) note.append(h("p", null, sentence(error.hint)));
  return note;
}

/** Return the check report of a template: source lines with their markers. */
export function reportList(problems) {
  return h(
    "div",
    { class: "report" },
    problems.map((problem) =>
      h(
        "div",
        null,
        h(
          "div",
          { class: "row" },
          h("span", { class: `chip ${problem.severity === "warning" ? "wait" : "bad"}` }, problem.severity ?? "severe"),
          h("span", { class: "chip" }, problem.code ?? ""),
          h("span", { class: "quiet mono break" }, where(problem)),
        ),
        h("p", null, sentence(problem.message)),
        source(problem),
      ),
    ),
  );
}

function where(problem) {
  if (!problem.file) return "";
  return problem.line ? `${problem.file}, line ${problem.line}` : problem.file;
}

/** The text begins with what is said above already; the source line and its marker follow. */
function source(problem) {
  const lines = (problem.text ?? "").split("\n").slice(1);
  return lines.length ? h("pre", { class: "source", tabindex: "0" }, lines.join("\n")) : null;
}

export function empty(title, text, ...actions) {
  return h(
    "div",
    { class: "empty" },
    h("h2", null, title),
    text ? h("p", null, text) : null,
    actions.length ? h("div", { class: "row" }, actions) : null,
  );
}

export function loading() {
  return h("div", { class: "loading", role: "status" }, "Loading …");
}

/** Show what `load` brings in `place`, or why it could not. */
export async function fillWith(place, load) {
  put(place, loading());
  try {
    put(place, await load());
  } catch (error) {
    put(place, errorNote(error));
  }
}
