// What the coordinator foresees of an action, in words. Pure: no page, no net.

import { NOT_DEPLOYED, STARTED, STOPPED } from "./model.js";

// What is wished of an instance from now on: what becomes of one that is deployed, of one that is not.
const BECOMES = {
  [STARTED]: ["starts", "is deployed and starts"],
  [STOPPED]: ["stops", "is deployed, and stays stopped"],
  [NOT_DEPLOYED]: ["is undeployed", "stays not deployed"],
  removed: ["is undeployed and leaves the application", "leaves the application"],
};

/** Return [[path, text], …] of an answer of POST …/plan: each instance once, others' with their name. */
export function inWords(found) {
  const texts = new Map(); // path → texts
  const tell = (row, text) => {
    const path = row.application && row.application !== found.application ? `${row.application}: ${row.path}` : row.path;
    texts.set(path, [...(texts.get(path) ?? []), text]);
  };
  for (const row of found.instances) tell(row, becomes(row));
  for (const path of found.made) tell({ path }, "gets a node");
  for (const row of found.given_back) tell(row, `its node ${row.node} is emptied and given back`);
  const rising = new Set(found.instances.filter((row) => row.to === STARTED).map((row) => row.path));
  for (const row of found.unresolved) tell(row, waits(row, rising.has(row.path) && row.application === found.application));
  for (const row of found.resolved) tell(row, "gets what it waits for");
  return [...texts].map(([path, all]) => [path, all.join("; ")]);
}

function waits(row, isRising) {
  if (!row.prefix) return "waits for what is around it";
  return isRising ? `waits until somebody serves ${row.prefix}` : `loses its last provider of ${row.prefix}: stops until one is back`;
}

function becomes(row) {
  if (row.from === null) return "is added and starts";
  return BECOMES[row.to][row.from === NOT_DEPLOYED ? 1 : 0];
}
