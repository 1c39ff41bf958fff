// What will happen, as the coordinator foresees it: shown in a dialog before anything is done.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { inWords } from "../foreseen.js";
import { count } from "../words.js";
import { effectsList } from "./dialog.js";
import { errorNote } from "./marks.js";

/**
 * Return {element, look(question)}: shows what an action of an application would do.
 *
 * question: body of POST …/plan, {action, paths, count}
 * nothing: what is said where nothing changes
 */
export function preview(application, nothing) {
  const element = h("div", { class: "foreseen", role: "status", "aria-live": "polite" });
  let turn = 0;

  async function look(question) {
    turn += 1;
    const mine = turn;
    if (!element.childElementCount) put(element, h("p", { class: "quiet section" }, "Looking what will happen …"));
    let shown;
    try {
      shown = told(inWords(await api.ask(`${api.applicationUrl(application)}/plan`, question)), nothing);
    } catch (error) {
      shown = errorNote(error);
    }
    if (mine === turn) put(element, shown);
  }

  return { element, look };
}

function told(list, nothing) {
  if (!list.length) return h("p", { class: "quiet section" }, nothing);
  return [h("p", null, `What will happen to ${count(list.length, "instance")}:`), effectsList(list)];
}
