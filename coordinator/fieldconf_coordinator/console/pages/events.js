// The history of the fleet, newest first, with filters; new lines come by themselves.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { to, turn } from "../router.js";
import { store } from "../store.js";
import { empty, errorNote, loading, time } from "../parts/marks.js";
import { cell, head, table, tools } from "../parts/table.js";

const COLUMNS = [["Time"], ["Kind"], ["Application"], ["Where"], ["What", "wide"]];
// What the coordinator writes; others that it may write show as well.
const KINDS = ["change", "node", "problem", "unknown", "dropped"];
const PAGE = 200;

export function show(main, route) {
  const top = head("Events", "What happened, newest first.");
  const place = h("div", { class: "card" }, loading());
  const older = h("button", { onclick: () => load(true) }, "Older ones");
  const foot = h("div", { class: "row section foot", hidden: true }, older);
  const problem = h("div");
  const bar = tools("Find in the text, path or node", [["Application", [["", "All applications"]]], ["Kind", [["", "All kinds"]]]], () => draw());
  const path = h("input", { type: "search", placeholder: "Instance, such as /web-vm/web", "aria-label": "Instance and all below it", autocapitalize: "none", spellcheck: "false", onchange: () => draw() });
  bar.element.firstChild.after(path);
  const list = table({ columns: COLUMNS, key: (event) => event.id, cells: cellsOf, digest: (event) => event.id, caption: "Events" });
  main.append(top.element, bar.element, problem, place, foot);
  let events = [];
  let cursor = null;
  let asked = null; // the filter that `events` were asked with
  let isLoading = false;

  const filter = () => ({ application: bar.value(0), kind: bar.value(1), path: path.value.trim() });

  function options() {
    const names = new Set([...store.applications.keys(), ...events.map((event) => event.application).filter(Boolean)]);
    if (route.query.application) names.add(route.query.application);
    const kinds = new Set([...KINDS, ...events.map((event) => event.kind)]);
    bar.setOptions(0, [["", "All applications"], ...[...names].sort().map((name) => [name, name])]);
    bar.setOptions(1, [["", "All kinds"], ...[...kinds].sort().map((kind) => [kind, kind])]);
  }

  async function load(isOlder = false) {
    const now = filter();
    isLoading = true;
    try {
      const answer = await api.getPage("/events", { ...now, limit: PAGE, cursor: isOlder ? cursor : undefined });
      if (JSON.stringify(now) !== JSON.stringify(filter())) return;
      events = isOlder ? [...events, ...answer.data] : answer.data;
      cursor = answer.page.next;
      put(problem);
    } catch (error) {
      put(problem, errorNote(error));
      asked = null;
    } finally {
      isLoading = false;
    }
    options();
    fill();
  }

  function draw() {
    const now = filter();
    const key = JSON.stringify(now);
    if (key === asked) {
      fill();
      return;
    }
    asked = key;
    turn(now, false);
    list.rows.restart();
    load();
  }

  function fill() {
    const text = bar.text();
    const found = events.filter((event) => !text || `${event.text} ${event.path} ${event.node}`.toLowerCase().includes(text));
    bar.say(text ? `${found.length} of ${events.length}` : "");
    if (!found.length) put(place, isLoading ? loading() : nothing(events.length || Object.values(filter()).some(Boolean)));
    else if (!list.element.isConnected) put(place, list.element);
    bar.element.hidden = !events.length && !isLoading && !Object.values(filter()).some(Boolean);
    list.rows.show(found);
    foot.hidden = !cursor;
  }

  function told(batch) {
    const news = batch.events.filter((event) => isWanted(event, filter()));
    const known = new Set(events.slice(0, 500).map((event) => event.id));
    const fresh = news.filter((event) => !known.has(event.id));
    if (!fresh.length) return;
    events = [...fresh, ...events].sort((a, b) => b.id - a.id);
    options();
    fill();
  }

  options();
  bar.set(0, route.query.application ?? "");
  bar.set(1, route.query.kind ?? "");
  path.value = route.query.path ?? "";
  draw();
  return { title: "Events", told, turned() {}, close: () => list.rows.close() };
}

function isWanted(event, { application, kind, path }) {
  const isThere = !path || event.path === path || event.path.startsWith(`${path}/`);
  return isThere && (!application || event.application === application) && (!kind || event.kind === kind);
}

function nothing(isFiltered) {
  if (isFiltered) return empty("None is like that", "Choose another kind or application, or clear the search.");
  return empty("Nothing has happened yet", "Deploy an application: what becomes of it, of its nodes and of its instances is written down here.", h("a", { class: "button", href: to("templates") }, "See the templates"));
}

function cellsOf(event) {
  const where = event.path
    ? h("a", { class: "mono break", href: to("applications", [event.application], { at: event.path }) }, event.path)
    : event.node && h("a", { class: "mono", href: to("nodes", [event.node]) }, event.node);
  return [
    cell(time(event.at), "nowrap quiet first"),
    cell(h("span", { class: `chip ${event.kind === "problem" ? "bad" : ""}` }, event.kind)),
    cell(event.application ? h("a", { href: to("applications", [event.application]) }, event.application) : ""),
    cell(where || "", "mid"),
    cell(event.text, "wide break"),
  ];
}
