// The targets: where nodes come from, with which settings, and who uses them.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { store } from "../store.js";
import { count } from "../words.js";
import { ask, field } from "../parts/dialog.js";
import { errorNote, loading } from "../parts/marks.js";
import { cell, head, table } from "../parts/table.js";

const COLUMNS = [["Target"], ["Kind"], ["Description", "wide"], ["Nodes online", "number"], ["Used by"], [""]];

export function show(main) {
  const define = api.may("admin") ? h("button", { class: "primary", onclick: () => edit(null, load) }, "Define a target") : null;
  const top = head("Targets", "Where nodes come from. An application chooses one when it is deployed.", define);
  const place = h("div", { class: "card" }, loading());
  const list = table({ columns: COLUMNS, key: (one) => one.id, cells: (one) => cellsOf(one, load), caption: "Targets" });
  main.append(top.element, place);
  let targets = null;
  let seen = "";

  async function load() {
    try {
      targets = await api.get("/targets");
      if (!list.element.isConnected) put(place, list.element);
      draw();
    } catch (error) {
      put(place, errorNote(error));
    }
  }

  function draw() {
    if (!targets) return;
    const counts = countNodes();
    list.rows.show(targets.map((one) => ({ ...one, nodes: counts.get(one.id) ?? [0, 0] })));
  }

  /** Who uses what changes when nodes or applications come and go. */
  function told() {
    const now = `${store.applications.size} ${store.nodes.size}`;
    if (now !== seen) load();
    else draw();
    seen = now;
  }

  told();
  return { title: "Targets", told, close: () => list.rows.close() };
}

/** Return target → [online, all]. */
function countNodes() {
  const found = new Map();
  for (const node of store.nodes.values()) {
    const counts = found.get(node.target) ?? [0, 0];
    counts[0] += node.online ? 1 : 0;
    counts[1] += 1;
    found.set(node.target, counts);
  }
  return found;
}

function cellsOf(one, load) {
  const [online, all] = one.nodes;
  const properties = Object.entries(one.properties).map(([name, value]) => `${name} = ${value}`);
  const about = one.built_in ? "Without settings of its own" : one.description;
  return [
    cell([h("span", { class: "strong" }, one.id), one.name === one.id ? null : h("span", { class: "quiet" }, ` ${one.name}`)], "first"),
    cell(one.handler, "nowrap"),
    cell([about, offeredTo(one.hints), properties.length ? h("div", { class: "mono break quiet" }, properties.join(", ")) : null], "wide quiet"),
    cell(all ? `${online} of ${all}` : "–", `number nowrap ${online < all ? "text-wait" : ""}`),
    cell(usesOf(one.uses), "mid"),
    cell(api.may("admin") && !one.built_in ? [h("button", { class: "small", onclick: () => edit(one, load) }, "Edit …"), h("button", { class: "small plain danger", "aria-label": `Delete ${one.id}`, onclick: () => remove(one, load) }, "Delete")] : null, "actions"),
  ];
}

/** Say to whom a target is offered, if not to all. */
function offeredTo(hints) {
  const names = [...(hints?.applications ?? []), ...(hints?.templates ?? []).map((name) => `applications of ${name}`)];
  return names.length ? h("div", null, `Offered to ${names.join(", ")}`) : null;
}

/** Nodes are counted beside; what is left are applications and their elements. */
function usesOf(uses) {
  const others = uses.filter((use) => !store.nodes.has(use));
  if (!others.length) return "";
  const shown = others.slice(0, 3).join(", ");
  return h("span", { title: others.join(", ") }, others.length > 3 ? `${shown} and ${count(others.length - 3, "other")}` : shown);
}

/** Define a target, or change one. */
async function edit(one, load) {
  const place = h("div", null, loading());
  const form = {};
  ask({
    title: one ? `Edit ${one.id}` : "Define a target",
    body: place,
    action: one ? "Save" : "Define",
    perform: () => form.perform(),
    done: load,
  });
  try {
    const handlers = await api.get("/handlers");
    const found = one ? await api.getTagged(`/targets/${encodeURIComponent(one.id)}`) : null;
    put(place, fieldsOf(form, handlers, found));
    place.querySelector("input, select").focus();
  } catch (error) {
    put(place, errorNote(error));
  }
}

function fieldsOf(form, handlers, found) {
  const old = found?.data;
  const id = h("input", { value: old?.id ?? "", autocapitalize: "none", spellcheck: "false" });
  if (old) id.readOnly = true;
  const kind = h("select", null, handlers.map((one) => h("option", { value: one.handler }, one.handler)));
  kind.value = old?.handler ?? handlers[0].handler;
  const name = h("input", { value: old && old.name !== old.id ? old.name : "" });
  const about = h("input", { value: old?.description ?? "" });
  const hints = Object.fromEntries(["applications", "templates"].map((of) => [of, h("input", { value: (old?.hints?.[of] ?? []).join(" "), placeholder: "all", autocapitalize: "none", spellcheck: "false" })]));
  const settings = h("div");
  let inputs = [];
  const draw = () => {
    const known = handlers.find((one) => one.handler === kind.value)?.settings ?? [];
    inputs = known.map((setting) => [setting.name, h("input", { value: old?.properties[setting.name] ?? "", placeholder: setting.default, spellcheck: "false" }), setting]);
    put(settings, inputs.map(([title, input, setting]) => field(title, input, setting.help)));
  };
  kind.addEventListener("change", draw);
  draw();
  form.perform = () => {
    // What there is no field for stays as it is.
    const properties = { ...(old && old.handler === kind.value ? old.properties : {}) };
    for (const [title, input] of inputs) {
      if (input.value) properties[title] = input.value;
      else delete properties[title];
    }
    const offered = Object.entries(hints).map(([of, input]) => [of, input.value.split(/[\s,]+/).filter(Boolean)]);
    const body = { handler: kind.value, description: about.value, properties, hints: Object.fromEntries(offered) };
    if (name.value.trim()) body.name = name.value.trim();
    return api.put(`/targets/${encodeURIComponent(id.value.trim())}`, body, found?.tag);
  };
  return [
    field("Id", id, "Applications name it by this."),
    field("Kind", kind),
    field("Name", name),
    field("Description", about),
    settings,
    field("Offered to applications", hints.applications, "Names, set apart by blanks. Others do not see it in their lists; who names it gets it."),
    field("Offered to templates", hints.templates, "Names, of whatever version."),
    old ? h("p", { class: "section quiet" }, "What will happen: nodes that it makes from now on get these settings. Those that are there stay as they are.") : null,
  ];
}

function remove(one, load) {
  ask({
    title: `Delete ${one.id}`,
    body: h("p", { class: "section" }, "This is possible only while nothing uses it."),
    action: "Delete",
    danger: true,
    perform: () => api.remove(`/targets/${encodeURIComponent(one.id)}`),
    done: load,
  });
}
