// All nodes: what they are, whether they are online; machines that are enrolled and not in use.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { to } from "../router.js";
import { store } from "../store.js";
import { bytes, count, moment } from "../words.js";
import { approve, editTags, enrol, expel } from "../parts/enrolling.js";
import { empty, loading, mark } from "../parts/marks.js";
import { cell, head, table, tools } from "../parts/table.js";

const COLUMNS = [["Node"], ["State"], ["Used by"], ["Tags"], ["Target"], ["Machine", "machine"], [""]];

// What a machine that is enrolled and not in use may be: [tone, text] while it is online.
const UNUSED = {
  enrolled: ["off", "never heard yet"],
  joining: ["wait", "joins, to be approved"],
  approved: ["busy", "approved, makes its key"],
  free: ["idle", "free"],
};

const FILTERS = {
  "": ["All nodes", () => true],
  online: ["Online", (node) => node.online],
  offline: ["Offline", (node) => !node.online],
  used: ["In use", (node) => node.application !== null],
  unused: ["Not in use", (node) => node.application === null],
  joining: ["To be approved", (node) => node.phase === "joining"],
  odd: ["With a problem", (node) => node.duplicate || node.refused],
};

/** Return [tone, text] of how a node is. */
export function nodeState(node) {
  if (node.duplicate) return ["bad", "duplicate identity"];
  if (node.refused) return ["bad", "refuses what is wanted"];
  const away = node.since ? `offline since ${moment(node.since)}` : "offline";
  if (node.application === null) {
    const [tone, text] = UNUSED[node.phase] ?? ["unknown", node.phase];
    return node.online || node.phase === "enrolled" ? [tone, text] : ["unknown", `${text}; ${away}`];
  }
  if (node.phase !== "up") return ["busy", node.phase];
  if (!node.online) return ["unknown", away];
  return node.have === node.want ? ["good", "online"] : ["busy", "online, has not answered yet"];
}

export function tagChips(tags) {
  return tags.map((tag) => h("span", { class: "chip" }, tag));
}

export function show(main, route) {
  const enrolButton = () => (api.may("releaser") ? h("button", { class: "primary", onclick: () => enrol() }, "Enrol a machine") : null);
  const top = head("Nodes", "", enrolButton());
  const place = h("div", { class: "card" }, loading());
  const bar = tools("Find by id, instance, tag, platform", [
    ["Application", [["", "All applications"]]],
    ["State", Object.entries(FILTERS).map(([value, [text]]) => [value, text])],
    ["Tag", [["", "All tags"]]],
  ], () => {
    list.rows.restart();
    draw();
  });
  const list = table({ columns: COLUMNS, key: (node) => node.id, cells: cellsOf, caption: "Nodes" });
  main.append(top.element, bar.element, place);
  if (route.query.state in FILTERS) bar.set(1, route.query.state);

  function draw() {
    if (!store.isComplete) return;
    const all = [...store.nodes.values()];
    top.say(said(all));
    options(all);
    const found = matching(all, bar);
    bar.say(found.length === all.length ? "" : `${found.length} of ${all.length}`);
    bar.element.hidden = !all.length;
    if (!all.length) put(place, empty("No node yet", "Nodes come with applications: deploy one, and each instance of a component with the installer “target” gets a node. Boards and boxes of your own are enrolled first.", enrolButton(), h("a", { class: "button", href: to("templates") }, "See the templates")));
    else if (!found.length) put(place, empty("None is like that", "Clear the search, or choose another state."));
    else if (!list.element.isConnected) put(place, list.element);
    list.rows.show(found);
  }

  function options(all) {
    const names = [...store.applications.keys()].sort();
    const tags = [...new Set(all.flatMap((node) => node.tags))].sort();
    bar.setOptions(0, [["", "All applications"], ...names.map((name) => [name, name])]);
    bar.setOptions(2, [["", "All tags"], ...tags.map((tag) => [tag, tag])]);
  }

  draw();
  return { title: "Nodes", told: draw, close: () => list.rows.close() };
}

function said(all) {
  if (!all.length) return "There are none.";
  const online = all.filter((node) => node.online).length;
  const unused = all.filter((node) => node.application === null).length;
  const joining = all.filter((node) => node.phase === "joining").length;
  const more = unused ? `, ${unused} not in use` : "";
  return `${online} of ${count(all.length, "node")} online${more}${joining ? `, ${joining} to be approved` : ""}.`;
}

function matching(all, bar) {
  const text = bar.text();
  const [application, isLike, tag] = [bar.value(0), FILTERS[bar.value(1)][1], bar.value(2)];
  return all
    .filter((node) => (!application || node.application === application) && isLike(node) && (!tag || node.tags.includes(tag)))
    .filter((node) => !text || [node.id, node.path, node.board, node.platform, node.target, node.address, ...node.tags].join(" ").toLowerCase().includes(text))
    .sort(inOrder);
}

/** What somebody has to look at comes first. */
function inOrder(a, b) {
  const rank = (node) => (node.phase === "joining" ? 0 : node.online ? 2 : 1);
  const name = (node) => `${node.application ?? ""}${node.path ?? ""} ${node.id}`;
  return rank(a) - rank(b) || name(a).localeCompare(name(b), "en", { numeric: true });
}

function cellsOf(node) {
  return [
    cell(h("a", { class: "strong mono", href: to("nodes", [node.id]) }, node.id), "first"),
    cell(mark(...nodeState(node))),
    cell(usedBy(node), "mid"),
    cell(node.tags.length ? h("span", { class: "tags" }, tagChips(node.tags)) : "", "mid"),
    cell(node.enrolled && node.application !== null ? `${node.target}, enrolled` : node.target),
    cell(machineOf(node), "machine quiet"),
    cell(actionsOf(node), "actions"),
  ];
}

/** Return what a node runs on, and where that is reached. */
function machineOf(node) {
  const more = [node.memory ? bytes(node.memory) : "", node.address ?? ""].filter(Boolean).join(" · ");
  const what = node.platform ?? node.board;
  return what || more ? h("div", null, h("div", null, what), h("div", { class: "sub" }, more)) : "";
}

/** Return the links to what a node serves. */
export function usedBy(node) {
  if (node.application === null) return h("span", { class: "quiet" }, "nobody");
  return h("span", null, h("a", { href: to("applications", [node.application]) }, node.application), " ", h("a", { class: "mono break", href: to("applications", [node.application], { at: node.path }) }, node.path));
}

function actionsOf(node) {
  const isUnused = node.application === null;
  return [
    isUnused && node.phase === "joining" && api.may("releaser") ? h("button", { class: "small primary", "aria-label": `Approve ${node.id}`, onclick: () => approve(node) }, "Approve …") : null,
    api.may("operator") ? h("button", { class: "small", "aria-label": `Tags of ${node.id}`, onclick: () => editTags(node.id) }, "Tags …") : null,
    isUnused && api.may("releaser") ? h("button", { class: "small plain danger", "aria-label": `Expel ${node.id}`, onclick: () => expel(node) }, "Expel") : null,
  ];
}
