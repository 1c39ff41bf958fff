// The templates: uploaded, checked, ready to be deployed.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { to, turn } from "../router.js";
import { store } from "../store.js";
import { count } from "../words.js";
import * as actions from "../parts/actions.js";
import { ask } from "../parts/dialog.js";
import { empty, errorNote, loading, time } from "../parts/marks.js";
import { cell, head, table } from "../parts/table.js";
import { upload } from "../parts/upload.js";

const COLUMNS = [["Template"], ["Version"], ["Description", "wide"], ["Check"], ["Applications"], ["Uploaded"], [""]];

export function show(main, route) {
  const canUpload = api.may("releaser");
  const button = () => h("button", { class: "primary", onclick: () => upload(load) }, "Upload a template");
  const top = head("Templates", "What applications are made from.", canUpload ? button() : null);
  const place = h("div", { class: "card" }, loading());
  main.append(top.element, place);
  const list = table({ columns: COLUMNS, key: (one) => one.id, cells: (one) => cellsOf(one, load), caption: "Templates" });

  async function load() {
    try {
      const all = await api.getAll("/templates");
      if (!all.length) put(place, empty("No template yet", "A template is a folder with a descriptor, a graph of components, the first instances, and a recipe for each component.", canUpload ? button() : null));
      else put(place, list.element);
      list.rows.show(all);
    } catch (error) {
      put(place, errorNote(error));
    }
  }

  let usedBy = "";
  function told() {
    // Another use of a template shows as an application that came or went.
    const now = JSON.stringify([...refs()]);
    if (now !== usedBy) load();
    usedBy = now;
  }

  load();
  if (route.query.upload && canUpload) {
    turn({ upload: "" }, false);
    upload(load);
  }
  usedBy = JSON.stringify([...refs()]);
  return { title: "Templates", told, turned() {}, close: () => list.rows.close() };
}


function* refs() {
  for (const row of store.applications.values()) yield [row.name, row.ref];
}

function cellsOf(one, load) {
  const used = one.applications.flatMap((name, place) => [place ? ", " : "", h("a", { href: to("applications", [name]) }, name)]);
  return [
    cell(h("a", { class: "strong", href: to("templates", [one.id]) }, one.name), "first"),
    cell(one.version, "nowrap"),
    cell(one.description, "wide quiet"),
    cell(one.warnings.length ? h("span", { class: "chip wait" }, count(one.warnings.length, "warning")) : h("span", { class: "chip good" }, "well")),
    cell(used.length ? h("span", null, used) : ""),
    cell(one.uploaded ? h("span", null, time(one.uploaded), one.by ? h("span", { class: "quiet" }, ` by ${one.by}`) : null) : "", "nowrap"),
    cell([
      api.may("operator") ? h("button", { class: "small", onclick: () => actions.deploy({ template: one.id }) }, "Deploy …") : null,
      api.may("releaser") && !one.applications.length ? h("button", { class: "small plain danger", "aria-label": `Delete ${one.name} ${one.version}`, onclick: () => deleteTemplate(one, load) }, "Delete") : null,
    ], "actions"),
  ];
}

export function deleteTemplate(one, done) {
  ask({
    title: `Delete ${one.name} ${one.version}`,
    body: h("p", { class: "section" }, "No application is made from it. It can be uploaded again."),
    action: "Delete",
    danger: true,
    perform: () => api.remove(`/templates/${encodeURIComponent(one.id)}`),
    done,
  });
}
