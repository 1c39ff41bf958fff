// All nodes: what they are, whether they are online.

import { h, put } from "../dom.js";
import { to } from "../router.js";
import { store } from "../store.js";
import { bytes, count, moment } from "../words.js";
import { empty, loading, mark } from "../parts/marks.js";
import { cell, head, table, tools } from "../parts/table.js";

const COLUMNS = [["Node"], ["State"], ["Application"], ["Instance", "wide"], ["Target"], ["Platform"], ["Memory", "number"], ["Address"], ["Agent"]];

/** Return [tone, text] of how a node is. */
export function nodeState(node) {
  if (node.duplicate) return ["bad", "duplicate identity"];
  if (node.refused) return ["bad", "refuses what is wanted"];
  if (node.phase !== "up") return ["busy", node.phase];
  if (!node.online) return ["unknown", node.since ? `offline since ${moment(node.since)}` : "offline"];
  return node.have === node.want ? ["good", "online"] : ["busy", "online, has not answered yet"];
}

export function show(main, route) {
  const top = head("Nodes", "");
  const place = h("div", { class: "card" }, loading());
  const bar = tools("Find by id, instance, platform", [
    ["Application", [["", "All applications"]]],
    ["State", [["", "All nodes"], ["online", "Online"], ["offline", "Offline"], ["odd", "With a problem"]]],
  ], () => {
    list.rows.restart();
    draw();
  });
  const list = table({ columns: COLUMNS, key: (node) => node.id, cells: cellsOf, caption: "Nodes" });
  main.append(top.element, bar.element, place);
  if (route.query.state) bar.set(1, route.query.state);

  function draw() {
    if (!store.isComplete) return;
    const all = [...store.nodes.values()];
    const online = all.filter((node) => node.online).length;
    top.say(all.length ? `${online} of ${count(all.length, "node")} online.` : "There are none.");
    const names = [...store.applications.keys()].sort();
    bar.setOptions(0, [["", "All applications"], ...names.map((name) => [name, name])]);
    const found = matching(all, bar);
    bar.say(found.length === all.length ? "" : `${found.length} of ${all.length}`);
    bar.element.hidden = !all.length;
    if (!all.length) put(place, empty("No node yet", "Nodes come with applications: each instance of a component with the installer “target” gets one."));
    else if (!found.length) put(place, empty("None is like that", "Clear the search, or choose another state."));
    else if (!list.element.isConnected) put(place, list.element);
    list.rows.show(found);
  }

  draw();
  return { title: "Nodes", told: draw, close: () => list.rows.close() };
}

function matching(all, bar) {
  const text = bar.text();
  const [application, state] = [bar.value(0), bar.value(1)];
  return all
    .filter((node) => !application || node.application === application)
    .filter((node) => !state || (state === "odd" ? node.duplicate || node.refused : node.online === (state === "online")))
    .filter((node) => !text || `${node.id} ${node.path} ${node.platform} ${node.target} ${node.address}`.toLowerCase().includes(text))
    .sort((a, b) => Number(a.online) - Number(b.online) || a.application.localeCompare(b.application) || a.path.localeCompare(b.path, "en", { numeric: true }));
}

function cellsOf(node) {
  return [
    cell(h("a", { class: "strong mono", href: to("nodes", [node.id]) }, node.id), "first"),
    cell(mark(...nodeState(node))),
    cell(h("a", { href: to("applications", [node.application]) }, node.application)),
    cell(h("a", { class: "mono break", href: to("applications", [node.application], { at: node.path }) }, node.path), "wide"),
    cell(node.target),
    cell(node.platform ?? "", "quiet platform"),
    cell(node.memory ? bytes(node.memory) : "", "number nowrap"),
    cell(node.address ?? "", "mono"),
    cell(node.agent ?? "", "quiet"),
  ];
}
