// The fleet: applications and how they are, nodes, what is changing now.

import { may } from "../api.js";
import { h, put, say } from "../dom.js";
import { to } from "../router.js";
import { store } from "../store.js";
import { count } from "../words.js";
import { Growing } from "../parts/list.js";
import { empty, healthBar, healthOf, loading, mark } from "../parts/marks.js";
import { changeRow } from "../parts/changes.js";

export function show(main) {
  const summary = h("p");
  const figures = h("div", { class: "figures" });
  const changes = h("ul");
  const body = h("tbody");
  const place = h("div", { class: "card" }, loading());
  const changing = h("section", { class: "section", "aria-label": "Changing now" }, h("h2", null, "Changing now"), h("div", { class: "card" }, changes));
  const applications = h("section", { class: "section", "aria-label": "Applications" }, h("h2", null, "Applications"), place);
  changing.hidden = true;
  const upload = may("releaser") ? h("a", { class: "button", href: to("templates", [], { upload: "1" }) }, "Upload a template") : null;
  main.append(h("div", { class: "page-head" }, h("div", { class: "titles" }, h("h1", null, "Fleet"), summary), upload), figures, changing, applications);

  const rows = new Growing(body, { key: (row) => row.name, make: applicationRow });
  const running = new Growing(changes, { key: (row) => row.id, make: changeRow });
  const table = h("div", { class: "table-wrap" }, h("table", { class: "stack" }, HEAD(), body));

  function draw() {
    if (!store.isComplete) return;
    const all = [...store.applications.values()].sort((a, b) => a.name.localeCompare(b.name));
    const active = [...store.changes.values()].filter((change) => change.outcome === "running");
    say(summary, said(all, active));
    put(figures, tiles(all));
    running.show(active);
    changing.hidden = active.length === 0;
    rows.show(all.map((row) => ({ ...row, nodes: nodesOf.get(row.name) ?? [0, 0] })));
    if (all.length && !table.isConnected) put(place, table);
    if (!all.length) put(place, nothing());
  }

  let nodesOf = new Map();
  function told() {
    nodesOf = countNodes();
    draw();
  }
  told();
  return {
    title: "Fleet",
    told,
    close() {
      rows.close();
      running.close();
    },
  };
}

function countNodes() {
  const found = new Map();
  for (const node of store.nodes.values()) {
    const counts = found.get(node.application) ?? [0, 0];
    counts[0] += node.online ? 1 : 0;
    counts[1] += 1;
    found.set(node.application, counts);
  }
  return found;
}

function said(applications, active) {
  if (!applications.length) return "Nothing is deployed yet.";
  const bad = applications.filter((app) => healthOf(app.instances)[0] === "bad").length;
  if (bad) return `${count(bad, "application has", "applications have")} a problem.`;
  if (active.length) return `${count(active.length, "change")} under way.`;
  const all = applications.every((app) => app.instances.settled === app.instances.total);
  return all ? "Everything is where it is wanted." : "Some instances are not where they are wanted.";
}

function tiles(applications) {
  const instances = { total: 0, settled: 0, problems: 0 };
  for (const app of applications) {
    for (const name of Object.keys(instances)) instances[name] += app.instances[name];
  }
  const nodes = [...store.nodes.values()].filter((node) => node.application !== null || node.phase !== "enrolled");
  const joining = nodes.filter((node) => node.phase === "joining").length;
  const online = nodes.filter((node) => node.online).length;
  const well = applications.filter((app) => app.instances.settled === app.instances.total && !app.instances.problems).length;
  return [
    tile("Applications", applications.length, applications.length ? `${well} as wanted` : "none yet"),
    tile("Instances", instances.total, `${instances.settled.toLocaleString("en")} as wanted`),
    tile("Problems", instances.problems, instances.problems ? "look at the applications below" : "none", instances.problems ? "text-bad" : ""),
    joining ? tile("Nodes online", online, `${joining} to be approved`, "", to("nodes", [], { state: "joining" }), "text-wait") : tile("Nodes online", online, nodes.length - online ? `${nodes.length - online} offline` : nodes.length ? "none offline" : "none yet", "", to("nodes"), nodes.length - online ? "text-wait" : ""),
  ];
}

function tile(label, value, more, tone = "", href = undefined, moreTone = "") {
  const content = [
    h("div", { class: "label" }, label),
    h("div", { class: `value ${tone}` }, value.toLocaleString("en")),
    h("div", { class: `more ${moreTone}` }, more),
  ];
  return href ? h("a", { class: "figure", href }, content) : h("div", { class: "figure" }, content);
}

const HEAD = () =>
  h(
    "thead",
    null,
    h(
      "tr",
      null,
      ["Application", "Health", "", "Template"].map((name) => h("th", { scope: "col" }, name || h("span", { class: "unseen" }, "States"))),
      ["Instances", "Nodes online"].map((name) => h("th", { scope: "col", class: "number" }, name)),
    ),
  );

function applicationRow(row) {
  const element = h("tr", { class: "links" });
  const cells = (now) => {
    const [tone, text] = healthOf(now.instances);
    const [online, total] = now.nodes;
    put(
      element,
      h("td", { class: "first" }, h("a", { class: "strong", href: to("applications", [now.name]) }, now.name)),
      h("td", { "data-label": "Health" }, mark(tone, text)),
      h("td", { class: "wide", "data-label": "States" }, h("div", { class: "fill" }, healthBar(now.instances))),
      h("td", { class: "nowrap quiet", "data-label": "Template" }, `${now.template} ${now.version}${now.simulate ? ", simulated" : ""}`),
      h("td", { class: "number", "data-label": "Instances" }, now.instances.total.toLocaleString("en")),
      h("td", { class: `number nowrap ${online < total ? "text-wait" : ""}`, "data-label": "Nodes online" }, `${online} of ${total}`),
    );
  };
  let drawn = "";
  const update = (now) => {
    const digest = JSON.stringify([now.instances, now.nodes, now.template, now.version]);
    if (digest !== drawn) cells(now);
    drawn = digest;
  };
  update(row);
  return { element, update };
}

function nothing() {
  return empty(
    "No application yet",
    may("releaser")
      ? "Upload a template, then deploy it: its nodes are made, its instances start as what they need comes up."
      : "As soon as somebody deploys one, it shows here.",
    may("releaser") ? h("a", { class: "button primary", href: to("templates", [], { upload: "1" }) }, "Upload a template") : null,
    h("a", { class: "button", href: to("templates") }, "See the templates"),
  );
}
