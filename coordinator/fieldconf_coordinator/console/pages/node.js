// One node: what it is, what runs on it.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { to } from "../router.js";
import { store } from "../store.js";
import { bytes } from "../words.js";
import { errorNote, loading, mark, stateOf, time } from "../parts/marks.js";
import { nodeState } from "./nodes.js";

export function scope(route) {
  const node = store.nodes.get(route.names[0]);
  return node ? { application: node.application } : { instances: "false" };
}

export function show(main, route) {
  const id = route.names[0];
  const about = h("p");
  const facts = h("dl", { class: "facts" });
  const list = h("tbody");
  const place = h("div", null, loading());
  const abort = new AbortController();
  const body = h("div", { class: "two" }, h("section", { class: "card padded section" }, facts), h("section", { class: "card section", "aria-label": "What runs on it" }, h("div", { class: "table-wrap" }, h("table", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, "Instance"), h("th", { scope: "col" }, "State"))), list))));
  main.append(h("div", { class: "page-head" }, h("div", { class: "titles" }, h("a", { class: "crumb", href: to("nodes") }, "Nodes"), h("h1", null, id), about)), place);
  let paths = [];
  let application = "";

  async function load() {
    try {
      const node = await api.get(`/nodes/${encodeURIComponent(id)}`, null, abort.signal);
      ({ application } = node);
      paths = node.instances;
      put(place, body);
      draw(node);
    } catch (error) {
      if (error.name !== "AbortError") put(place, errorNote(error));
    }
  }

  function draw(node) {
    put(about, mark(...nodeState(node)));
    put(facts, entries(node).filter(([, value]) => value !== null && value !== "").flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
    drawRows();
  }

  function drawRows() {
    put(list, paths.map((path) => {
      const row = store.instances.get(path);
      return h("tr", { class: "links" }, h("td", { class: "wide" }, h("a", { class: "mono break", href: to("applications", [application], { at: path }) }, path)), h("td", null, row ? stateOf(row) : ""));
    }));
  }

  function told(batch) {
    if (batch.all || batch.nodes.has(id)) load();
    else if (paths.some((path) => batch.instances.has(path))) drawRows();
  }

  load();
  return { title: `Node ${id}`, told, close: () => abort.abort() };
}

function entries(node) {
  const path = h("a", { class: "mono break", href: to("applications", [node.application], { at: node.path }) }, node.path);
  return [
    ["Application", h("a", { href: to("applications", [node.application]) }, node.application)],
    ["Instance", path],
    ["Target", node.target],
    ["Phase", node.phase],
    ["Last heard", node.heard ? time(node.heard) : "not since the coordinator started"],
    ["Address", node.address],
    ["Platform", node.platform],
    ["Memory", node.memory ? bytes(node.memory) : null],
    ["Agent", node.agent],
    ["Installers", node.installers?.join(", ") ?? null],
    ["Simulates", node.simulates ? "runs no step of any recipe" : null],
    ["Want", `version ${node.want}; the node holds ${node.have}`],
    ["Enrolment", node.enrolment === undefined ? null : `${node.enrolment}, boot ${node.boot}`],
    ["Refused", node.refused],
    ["Duplicate", node.duplicate?.join(" and ") ?? null],
  ];
}
