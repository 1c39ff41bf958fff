// One application: its picture, its tree, the panel of the selected instance, actions.

import * as api from "../api.js";
import { h, put, say } from "../dom.js";
import { layout } from "../graph/layout.js";
import { Picture, flowOf } from "../graph/draw.js";
import { Model, NOT_DEPLOYED, STARTED, STOPPED, nameOf } from "../model.js";
import { go, to, turn } from "../router.js";
import { store } from "../store.js";
import { count, toneOfInstance } from "../words.js";
import * as actions from "../parts/actions.js";
import { Growing } from "../parts/list.js";
import { empty, errorNote, healthBar, healthOf, loading, mark } from "../parts/marks.js";
import { menu } from "../parts/menu.js";
import { Panel } from "../parts/panel.js";
import { placeApplication } from "../parts/placing.js";
import { changeRow } from "../parts/changes.js";
import { Tree } from "../parts/tree.js";
import { componentPicture } from "../graph/components.js";

const VIEWS = { picture: "Instances", components: "Components", tree: "Tree" };

export function scope(route) {
  return { application: route.names[0], logs: "true" };
}

export function show(main, route) {
  const page = new Page(main, route);
  return { title: route.names[0], told: (batch) => page.told(batch), turned: (next) => page.turned(next), close: () => page.close() };
}

class Page {
  #name;
  #components = null;
  #ref = "";
  #model = null;
  #view = "";
  #drawn = null; // what the view is drawn by: {show(model), update(paths), select(path), close()}
  #panel = null;
  #selected = "";
  #running;
  #parts;

  constructor(main, route) {
    this.#name = route.names[0];
    const parts = {
      about: h("p"),
      description: h("p", { class: "break", hidden: true }),
      health: h("div", { class: "row health" }),
      buttons: h("div", { class: "row" }),
      changes: h("ul"),
      tabs: h("div", { class: "tabs", role: "tablist", "aria-label": "Views" }),
      view: h("div", { role: "tabpanel", id: "view" }, loading()),
      panel: h("aside", { class: "card panel", hidden: true, "aria-label": "Selected instance" }),
      problem: h("div"),
      simulated: h("div", { class: "note busy", hidden: true }, "Simulated: no recipe runs. The logs of its instances tell what each step would have been told."),
    };
    parts.changing = h("div", { class: "card section", hidden: true }, parts.changes);
    parts.split = h("div", { class: "split" }, h("div", { class: "card view" }, parts.tabs, parts.view), parts.panel);
    this.#parts = parts;
    this.#running = new Growing(parts.changes, { key: (row) => row.id, make: changeRow });
    main.append(
      h("div", { class: "page-head" }, h("div", { class: "titles" }, h("a", { class: "crumb", href: to("") }, "Fleet"), h("h1", null, this.#name), parts.about, parts.description), parts.buttons),
      parts.health,
      parts.simulated,
      parts.problem,
      parts.changing,
      parts.split,
    );
    for (const [view, text] of Object.entries(VIEWS)) {
      parts.tabs.append(h("button", { role: "tab", "data-view": view, "aria-controls": "view", onclick: () => turn({ view: view === "picture" ? "" : view }) }, text));
    }
    parts.tabs.addEventListener("keydown", (event) => this.#tabKey(event));
    this.turned(route);
    this.told({ all: true, instances: new Set(), events: [], logs: [] });
  }

  close() {
    this.#drawn?.close();
    this.#panel?.close();
    this.#running.close();
  }

  /** The hash names another view or instance. */
  turned(route) {
    const view = VIEWS[route.query.view] ? route.query.view : "picture";
    const isOther = view !== this.#view;
    this.#view = view;
    for (const tab of this.#parts.tabs.children) {
      tab.setAttribute("aria-selected", String(tab.dataset.view === view));
      tab.tabIndex = tab.dataset.view === view ? 0 : -1;
    }
    this.#select(route.query.at ?? "");
    if (isOther) this.#drawView();
    else this.#drawn?.select(this.#selected);
  }

  #tabKey(event) {
    const tabs = [...this.#parts.tabs.children];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  }

  /** Rows changed. */
  told(batch) {
    if (!store.isComplete) return;
    const row = store.applications.get(this.#name);
    if (!row) {
      this.#gone();
      return;
    }
    this.#parts.split.hidden = false;
    this.#head(row);
    if (row.ref !== this.#ref) {
      this.#ref = row.ref;
      this.#loadGraph();
    } else if (this.#components) this.#follow(batch);
    this.#panel?.told(batch);
  }

  #gone() {
    this.#parts.split.hidden = true;
    this.#parts.changing.hidden = true;
    put(this.#parts.buttons);
    put(this.#parts.health);
    this.#parts.description.hidden = this.#parts.simulated.hidden = true;
    say(this.#parts.about, "");
    put(this.#parts.problem, h("div", { class: "card" }, empty(`There is no application ${this.#name}`, "It was deleted, or its name is another.", h("a", { class: "button", href: to("") }, "To the fleet"))));
  }

  async #loadGraph() {
    try {
      this.#components = await api.get(`${api.applicationUrl(this.#name)}/graph`);
      this.#loadDescription();
      put(this.#parts.problem);
      this.#remodel();
    } catch (error) {
      put(this.#parts.problem, errorNote(error));
      this.#ref = ""; // the next news tries again
    }
  }

  /** The stream does not tell it: it may be long. */
  async #loadDescription() {
    const found = await api.get(api.applicationUrl(this.#name)).catch(() => ({}));
    say(this.#parts.description, found.description ?? "");
    this.#parts.description.hidden = !found.description;
  }

  #editDescription() {
    return actions.editDescription(this.#name, () => this.#loadDescription());
  }

  /** Draw what changed; begin anew where instances came or went. */
  #follow(batch) {
    const isOther = [...batch.instances].some((path) => !store.instances.has(path) || this.#model.rows.get(path)?.component === undefined || !this.#known.has(path));
    const bindings = JSON.stringify(store.applications.get(this.#name).bindings);
    if (batch.all || isOther || bindings !== this.#bindings) this.#remodel();
    else if (batch.instances.size) this.#drawn?.update(batch.instances);
  }

  #known = new Set();
  #bindings = "";

  #remodel() {
    const { bindings } = store.applications.get(this.#name);
    this.#bindings = JSON.stringify(bindings);
    this.#model = new Model(this.#components, store.instances, bindings);
    this.#known = new Set(this.#model.paths);
    if (this.#drawn) this.#drawn.show(this.#model);
    else this.#drawView();
    if (this.#selected && !this.#panel) this.#select(this.#selected, true);
  }

  // -- head

  #head(row) {
    const [tone, text] = healthOf(row.instances);
    const nodes = [...store.nodes.values()].filter((node) => node.application === this.#name);
    const online = nodes.filter((node) => node.online).length;
    const about = [`${row.template} ${row.version}`, count(row.instances.total, "instance"), nodes.length ? `${online} of ${count(nodes.length, "node")} online` : "no node"];
    if (row.target) about.push(`target ${row.target}`);
    this.#parts.simulated.hidden = !row.simulate;
    say(this.#parts.about, about.join(" · "));
    put(this.#parts.health, mark(tone, text), healthBar(row.instances));
    const active = [...store.changes.values()].filter((change) => change.application === this.#name && change.outcome === "running");
    this.#running.show(active);
    this.#parts.changing.hidden = !active.length;
    if (!this.#parts.buttons.childElementCount) this.#buttons();
  }

  #buttons() {
    if (!api.may("operator")) return;
    const wish = (wanted) => () => actions.wish(this.#name, "", wanted);
    const isReleaser = api.may("releaser");
    put(
      this.#parts.buttons,
      h("button", { onclick: wish(STARTED) }, "Start all"),
      h("button", { onclick: wish(STOPPED) }, "Stop all"),
      menu("More", [
        ["Add an instance …", () => this.#model && actions.add(this.#model, this.#name, "")],
        ["Retry what failed", () => actions.retry(this.#name, "")],
        isReleaser ? ["Deploy another version …", () => actions.deploy({ application: this.#name })] : null,
        ["Targets …", () => this.#model && placeApplication(this.#model, this.#name)],
        ["Edit the description …", () => this.#editDescription()],
        ["Bindings", () => go("bindings")],
        ["Events", () => go("events", [], { application: this.#name })],
        ["Undeploy all …", wish(NOT_DEPLOYED), true],
        isReleaser ? ["Delete …", () => actions.deleteApplication(this.#name), true] : null,
      ]),
    );
  }

  // -- view

  #drawView() {
    if (!this.#model) return;
    this.#drawn?.close();
    put(this.#parts.view);
    this.#drawn = this[`_${this.#view}`](this.#parts.view);
    this.#drawn.show(this.#model);
    this.#drawn.select(this.#selected);
  }

  _tree(host) {
    return new Tree(host, this.#name);
  }

  _picture(host) {
    const place = h("div", { class: "picture" });
    const nothing = empty("No instance", "Add one with More, or deploy a template that has some.");
    host.append(place, nothing);
    const picture = new Picture(place, {
      label: `Instances of ${this.#name}`,
      look: (path) => looks(this.#model.rows.get(path)),
      chosen: (path) => turn({ at: path }),
    });
    place.append(legend());
    return {
      show: (model) => {
        const isEmpty = !model.paths.length;
        place.hidden = isEmpty;
        nothing.hidden = !isEmpty;
        picture.show(model, layout(forest(model), kindsOf(model), flowOf(place)));
      },
      update: (paths) => picture.update(paths),
      select: (path) => picture.select(path),
      close: () => picture.close(),
    };
  }

  _components(host) {
    return componentPicture(host, this.#name);
  }

  // -- selection

  #select(path, again = false) {
    if (path === this.#selected && !again) return;
    this.#panel?.close();
    this.#panel = null;
    this.#selected = path;
    const { panel, split } = this.#parts;
    put(panel);
    const isShown = Boolean(path && this.#model);
    panel.hidden = !isShown;
    split.classList.toggle("has-panel", isShown);
    if (!isShown) return;
    this.#panel = new Panel(panel, { application: this.#name, path, model: () => this.#model, close: () => turn({ at: "" }) });
    if (matchMedia("(max-width: 1080px)").matches) panel.scrollIntoView({ behavior: "smooth" });
  }
}

function forest(model) {
  const node = (path) => ({ path, name: nameOf(path), component: model.rows.get(path).component, under: model.rows.get(path).component.length + 19, children: model.children(path).map(node) });
  return model.roots.map(node);
}

function kindsOf(model) {
  return new Map(model.components.map((kind) => [kind.name, kind]));
}

function looks(row) {
  if (!row) return { tone: "unknown", under: "", label: "" };
  const problem = row.problem ? `, ${row.problem.code}` : "";
  const offline = row.node && !row.online ? ", node offline" : "";
  return { tone: toneOfInstance(row), under: `${row.component} · ${row.state}`, label: `${row.path}, ${row.component}, ${row.state}${problem}${offline}` };
}

const LEGEND = { served: "served", missing: "missing", silent: "provider not started" };

function legend() {
  const host = h("div", { class: "legend", "aria-hidden": "true" });
  for (const [status, text] of Object.entries(LEGEND)) {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    line.setAttribute("viewBox", "0 0 26 8");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", "M0 4H26");
    path.setAttribute("class", `arrow ${status}`);
    line.append(path);
    host.append(h("span", null, line, text));
  }
  return host;
}
