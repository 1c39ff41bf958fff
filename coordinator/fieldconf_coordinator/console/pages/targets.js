// The targets: where nodes come from, and which nodes came from each.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { to } from "../router.js";
import { store } from "../store.js";
import { count } from "../words.js";
import { empty, errorNote, loading } from "../parts/marks.js";
import { cell, head, table } from "../parts/table.js";

const COLUMNS = [["Target"], ["Nodes online", "number"], ["Nodes", "number"], ["Applications", "wide"]];

export function show(main) {
  const top = head("Targets", "Where nodes come from.");
  const place = h("div", { class: "card" }, loading());
  const list = table({ columns: COLUMNS, key: (one) => one.name, cells: cellsOf, caption: "Targets" });
  main.append(top.element, place);
  let fallback = null;

  function draw() {
    if (!store.isComplete || fallback === null) return;
    const found = inUse(fallback);
    if (!found.length) put(place, empty("No target is in use", ""));
    else if (!list.element.isConnected) put(place, list.element);
    list.rows.show(found);
    const nodes = found.reduce((sum, one) => sum + one.nodes, 0);
    top.say(`${count(nodes, "node")} from ${count(found.filter((one) => one.nodes).length, "target")}. Choose one when you deploy.`);
  }

  api.get("/settings").then(
    (settings) => {
      fallback = settings.target ?? "";
      draw();
    },
    (error) => put(place, errorNote(error)),
  );
  return { title: "Targets", told: draw, close: () => list.rows.close() };
}

/** Return the targets that nodes and applications name, and the coordinator's own. */
function inUse(fallback) {
  const found = new Map();
  const of = (name) => {
    if (!found.has(name)) found.set(name, { name, nodes: 0, online: 0, applications: new Set(), isFallback: name === fallback });
    return found.get(name);
  };
  if (fallback) of(fallback);
  for (const row of store.applications.values()) if (row.target) of(row.target).applications.add(row.name);
  for (const node of store.nodes.values()) {
    const one = of(node.target);
    one.nodes += 1;
    one.online += node.online ? 1 : 0;
    one.applications.add(node.application);
  }
  return [...found.values()].map((one) => ({ ...one, applications: [...one.applications].sort() })).sort((a, b) => a.name.localeCompare(b.name));
}

function cellsOf(one) {
  return [
    cell([h("span", { class: "strong" }, one.name), one.isFallback ? h("span", { class: "chip after" }, "default") : null], "first nowrap"),
    cell(String(one.online), `number ${one.online < one.nodes ? "text-wait" : ""}`),
    cell(String(one.nodes), "number"),
    cell(one.applications.length ? h("span", null, one.applications.flatMap((name, place) => [place ? ", " : "", h("a", { href: to("applications", [name]) }, name)])) : "", "wide"),
  ];
}
