// One template: what it is, its check report, what is made from it.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { go, to } from "../router.js";
import { count } from "../words.js";
import * as actions from "../parts/actions.js";
import { errorNote, loading, reportList, time } from "../parts/marks.js";
import { placeTemplate } from "../parts/placing.js";
import { deleteTemplate } from "./templates.js";

export function show(main, route) {
  const id = route.names[0];
  const url = `/templates/${encodeURIComponent(id)}`;
  const title = h("h1", null, "Template");
  const about = h("p");
  const buttons = h("div", { class: "row" });
  const place = h("div", null, loading());
  main.append(h("div", { class: "page-head" }, h("div", { class: "titles" }, h("a", { class: "crumb", href: to("templates") }, "Templates"), title, about), buttons), place);

  async function load() {
    try {
      const found = await api.get(url);
      const report = await api.get(`${url}/report`).catch((error) => error);
      put(title, `${found.name} ${found.version}`);
      put(about, found.description);
      const placed = await api.get(`${url}/targets`);
      put(place, facts(found), placedCard(found, placed, load), reportCard(report));
      put(
        buttons,
        api.may("operator") ? h("button", { class: "primary", onclick: () => actions.deploy({ template: id }) }, "Deploy …") : null,
        api.may("releaser") && !found.applications.length ? h("button", { class: "danger", onclick: () => deleteTemplate(found, () => go("templates")) }, "Delete …") : null,
      );
    } catch (error) {
      put(place, errorNote(error));
    }
  }

  load();
  return { title: "Template" };
}

function facts(found) {
  const used = found.applications.flatMap((name, place) => [place ? ", " : "", h("a", { href: to("applications", [name]) }, name)]);
  const entries = [
    ["Id", h("span", { class: "mono break" }, found.id)],
    ["Tags", found.tags.join(", ")],
    ["Uploaded", found.uploaded ? h("span", null, time(found.uploaded), found.by ? ` by ${found.by}` : "") : "deployed from this box"],
    ["Applications", used.length ? used : "none"],
  ];
  return h("section", { class: "card padded section" }, h("dl", { class: "facts" }, entries.filter(([, value]) => value !== "").flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)])));
}

/** Which target makes the nodes of applications that will be made from it. */
function placedCard(found, placed, load) {
  const rows = placed.flatMap((one) => [h("dt", { class: "mono" }, one.element || "all others"), h("dd", null, one.target)]);
  const choose = api.may("operator") ? h("button", { class: "small", onclick: () => placeTemplate(found, load) }, "Choose …") : null;
  const content = rows.length ? h("dl", { class: "facts" }, rows) : h("p", { class: "quiet" }, "None is chosen: its instances say it, or whoever deploys it.");
  return h("section", { class: "section" }, h("div", { class: "section-head" }, h("h2", null, "Targets of its applications"), choose), h("div", { class: "card padded" }, content));
}

function reportCard(report) {
  const content = report instanceof Error
    ? errorNote(report)
    : report.length
      ? h("div", { class: "card padded" }, reportList(report))
      : h("div", { class: "card padded quiet" }, "The check found nothing odd.");
  const title = Array.isArray(report) && report.length ? `Check report: ${count(report.length, "warning")}` : "Check report";
  return h("section", { class: "section" }, h("h2", null, title), content);
}
