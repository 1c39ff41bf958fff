// The bindings: which applications serve the external imports of which.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { to } from "../router.js";
import { store } from "../store.js";
import { ask, group } from "../parts/dialog.js";
import { empty, errorNote, loading, mark } from "../parts/marks.js";
import { cell, head, table } from "../parts/table.js";

const COLUMNS = [["Application"], ["Needs"], ["Served by", "wide"], [""]];

export function show(main) {
  const top = head("Bindings", "Applications may import from others. Here is who serves whom.");
  const place = h("div", { class: "card" }, loading());
  const problem = h("div");
  main.append(top.element, problem, place);
  const graphs = new Map(); // name → {ref, components}
  const list = table({ columns: COLUMNS, key: (one) => `${one.application} ${one.prefix}`, cells: (one) => cellsOf(one, edit), caption: "Bindings" });

  async function load() {
    for (const row of store.applications.values()) {
      if (graphs.get(row.name)?.ref === row.ref) continue;
      graphs.set(row.name, { ref: row.ref, components: [] });
      try {
        graphs.get(row.name).components = await api.get(`${api.applicationUrl(row.name)}/graph`);
        put(problem);
      } catch (error) {
        graphs.delete(row.name);
        put(problem, errorNote(error));
        break;
      }
    }
    draw();
  }

  function draw() {
    if (!store.isComplete) return;
    const found = needs(graphs);
    if (!found.length) put(place, empty("Nothing to bind", "No application needs another one. One whose graph says “imports: external STORE.ip;” shows here as soon as it is deployed.", h("a", { class: "button", href: to("templates") }, "See the templates")));
    else if (!list.element.isConnected) put(place, list.element);
    list.rows.show(found);
  }

  function edit(one) {
    const possible = exporters(graphs, one);
    const boxes = possible.map((name) => h("input", { type: "checkbox", value: name, checked: one.names.includes(name) }));
    const fields = boxes.map((box) => h("label", { class: "check" }, box, box.value));
    const told = h("p", { class: "section", role: "status" });
    const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
    const tell = () => {
      const names = chosen();
      told.textContent = names.length ? `What will happen: instances of ${one.application} that import ${one.prefix} get what ${names.join(" and ")} ${names.length === 1 ? "exports" : "export"}, and nothing from elsewhere.` : `What will happen: nobody serves ${one.prefix} to ${one.application}${one.mandatory ? "; what needs it stops until somebody does." : "."}`;
    };
    for (const box of boxes) box.addEventListener("change", tell);
    tell();
    ask({
      title: `${one.prefix} for ${one.application}`,
      body: h("div", null, possible.length ? group("Served by", fields) : h("p", { class: "quiet section" }, `No other application exports ${one.prefix}.`), told),
      action: "Bind",
      application: one.application,
      perform: () => {
        const url = `${api.applicationUrl(one.application)}/bindings/${encodeURIComponent(one.prefix)}`;
        return chosen().length ? api.put(url, { applications: chosen() }) : api.remove(url);
      },
    });
  }

  if (store.isComplete) load();
  return { title: "Bindings", told: load, close: () => list.rows.close() };
}

/** Return one row for each external import, and for each binding that nobody needs any more. */
function needs(graphs) {
  const found = [];
  for (const row of [...store.applications.values()].sort((a, b) => a.name.localeCompare(b.name))) {
    const prefixes = new Map();
    for (const kind of graphs.get(row.name)?.components ?? []) {
      for (const one of kind.imports) {
        if (one.external) prefixes.set(one.prefix, prefixes.get(one.prefix) || one.mandatory);
      }
    }
    for (const prefix of Object.keys(row.bindings)) if (!prefixes.has(prefix)) prefixes.set(prefix, false);
    for (const [prefix, mandatory] of prefixes) found.push({ application: row.name, prefix, mandatory, names: row.bindings[prefix] ?? [] });
  }
  return found;
}

function exporters(graphs, one) {
  const found = new Set(one.names);
  for (const [name, { components }] of graphs) {
    // What is exported under the name of a component or facet is for the application itself.
    const isOwn = components.some((kind) => kind.name === one.prefix || kind.facets.includes(one.prefix));
    if (name === one.application || !store.applications.has(name) || isOwn) continue;
    if (components.some((kind) => kind.exports.includes(one.prefix))) found.add(name);
  }
  return [...found].sort();
}

function cellsOf(one, edit) {
  const names = one.names.flatMap((name, place) => [place ? ", " : "", h("a", { href: to("applications", [name]) }, name)]);
  return [
    cell(h("a", { class: "strong", href: to("applications", [one.application]) }, one.application), "first"),
    cell([h("span", { class: "mono" }, one.prefix), one.mandatory ? null : h("span", { class: "chip after" }, "optional")], "nowrap"),
    cell(names.length ? h("span", null, names) : mark(one.mandatory ? "wait" : "off", "nobody"), "wide"),
    cell(api.may("operator") ? h("button", { class: "small", onclick: () => edit(one) }, "Change …") : null, "actions"),
  ];
}
