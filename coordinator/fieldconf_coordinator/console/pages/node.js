// One node: what it is, what runs on it.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { go, to } from "../router.js";
import { store } from "../store.js";
import { bytes } from "../words.js";
import { approve, editTags, enrolAnew, expel } from "../parts/enrolling.js";
import { empty, errorNote, loading, mark, stateOf, time } from "../parts/marks.js";
import { nodeState, tagChips, usedBy } from "./nodes.js";

export function scope(route) {
  const node = store.nodes.get(route.names[0]);
  return node?.application ? { application: node.application } : { instances: "false" };
}

export function show(main, route) {
  const id = route.names[0];
  const about = h("p");
  const facts = h("dl", { class: "facts" });
  const list = h("tbody");
  const place = h("div", null, loading());
  const buttons = h("div", { class: "row" });
  const abort = new AbortController();
  const rows = h("div", { class: "table-wrap" }, h("table", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, "Instance"), h("th", { scope: "col" }, "State"))), list));
  const nothing = empty("Nothing runs on it", "It is used as soon as an application asks for such a node.");
  const body = h("div", { class: "two" }, h("section", { class: "card padded section", "aria-label": "What it is" }, facts), h("section", { class: "card section", "aria-label": "What runs on it" }, rows, nothing));
  main.append(h("div", { class: "page-head" }, h("div", { class: "titles" }, h("a", { class: "crumb", href: to("nodes") }, "Nodes"), h("h1", null, id), about), buttons), place);
  let paths = [];
  let application = "";

  async function load() {
    try {
      const node = await api.get(`/nodes/${encodeURIComponent(id)}`, null, abort.signal);
      ({ application } = node);
      paths = node.instances;
      if (!body.isConnected) put(place, body);
      draw(node);
    } catch (error) {
      if (error.name !== "AbortError") missing(error);
    }
  }

  function missing(error) {
    put(buttons);
    put(about);
    if (error.status !== 404) put(place, errorNote(error));
    else put(place, h("div", { class: "card" }, empty(`There is no node ${id}`, "It was given back or expelled, or its name is another.", h("a", { class: "button", href: to("nodes") }, "To the nodes"))));
  }

  function draw(node) {
    put(about, mark(...nodeState(node)));
    put(buttons, buttonsOf(node, load));
    rows.hidden = !paths.length;
    nothing.hidden = !rows.hidden;
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

function buttonsOf(node, load) {
  const isReleaser = node.enrolled && api.may("releaser");
  const isUnused = node.application === null;
  return [
    isReleaser && isUnused && node.phase === "joining" ? h("button", { class: "primary", onclick: () => approve(node, load) }, "Approve …") : null,
    api.may("operator") ? h("button", { onclick: () => editTags(node.id, load) }, "Tags …") : null,
    isReleaser ? h("button", { onclick: () => enrolAnew(node.id, node.board, load) }, "Another key …") : null,
    isReleaser && isUnused ? h("button", { class: "danger", onclick: () => expel(node, () => go("nodes")) }, "Expel …") : null,
  ];
}

function entries(node) {
  return [
    ["Used by", usedBy(node)],
    ["Tags", node.tags.length ? h("span", { class: "tags" }, tagChips(node.tags)) : h("span", { class: "quiet" }, "none")],
    ["Target", node.target],
    ["Enrolled", node.enrolled ? "it belongs to the fleet for good" : null],
    ["Board", node.board],
    ["Last heard", node.heard ? time(node.heard) : "never"],
    ["Address", node.address],
    ["Platform", node.platform],
    ["Memory", node.memory ? bytes(node.memory) : null],
    ["Agent", node.agent],
    ["Installers", node.installers?.join(", ") ?? null],
    ["Last reset", node.reset],
    ["Simulates", node.simulates ? "runs no step of any recipe" : null],
    ["Want", node.application === null ? null : `version ${node.want}; the node holds ${node.have}`],
    ["Enrolment", node.enrolment === undefined ? null : String(node.enrolment)],
    ["Refused", node.refused],
    ["Duplicate", node.duplicate?.join(" and ") ?? null],
  ];
}
