// The instances of an application as a tree, in a table.

import { h, put, say } from "../dom.js";
import { nameOf, parentOf } from "../model.js";
import { to } from "../router.js";
import { STATES, count } from "../words.js";
import { Growing } from "./list.js";
import { stateOf } from "./marks.js";

const ONLY = [
  ["", "All states"],
  ["problem", "With a problem"],
  ["unsettled", "Not as wanted"],
  ...STATES.map((state) => [state, state]),
];

export class Tree {
  #application;
  #model = null;
  #folded = new Set();
  #selected = "";
  #rows;
  #search = h("input", { type: "search", placeholder: "Find by path or component", "aria-label": "Find by path or component" });
  #only = h("select", { "aria-label": "Show only" }, ONLY.map(([value, text]) => h("option", { value }, text)));
  #shown = h("span", { class: "shown", role: "status" });
  #body = h("tbody");

  constructor(host, application) {
    this.#application = application;
    this.#rows = new Growing(this.#body, { key: (row) => row.path, make: (row) => this.#row(row) });
    const again = () => {
      this.#rows.restart();
      this.draw();
    };
    this.#search.addEventListener("input", again);
    this.#only.addEventListener("change", again);
    const head = [["Instance", ""], ["Component", "kind-column"], ["State", ""], ["Wanted", "wanted-column"], ["Node", "node-column"]];
    host.append(
      h("div", { class: "tools tree-tools" }, this.#search, this.#only, this.#shown),
      h("div", { class: "tree-view" }, h("table", { class: "tree" }, h("thead", null, h("tr", null, head.map(([text, name]) => h("th", { scope: "col", class: name }, text)))), this.#body)),
    );
  }

  close() {
    this.#rows.close();
  }

  show(model) {
    this.#model = model;
    this.draw();
  }

  select(path) {
    this.#selected = path;
    for (let up = parentOf(path); up; up = parentOf(up)) this.#folded.delete(up);
    if (this.#model) this.draw();
  }

  /** Draw the rows of these paths anew. */
  update(paths) {
    if (this.#search.value || this.#only.value) {
      this.draw();
      return;
    }
    for (const path of paths) {
      const row = this.#model.rows.get(path);
      if (row) this.#rows.refresh(row);
    }
  }

  draw() {
    if (!this.#model) return;
    const found = this.#isFiltered() ? this.#matching() : this.#unfolded();
    say(this.#shown, this.#isFiltered() ? `${found.length.toLocaleString("en")} of ${count(this.#model.paths.length, "instance")}` : count(this.#model.paths.length, "instance"));
    this.#rows.show(found);
  }

  #isFiltered() {
    return Boolean(this.#search.value.trim() || this.#only.value);
  }

  #matching() {
    const text = this.#search.value.trim().toLowerCase();
    const only = this.#only.value;
    return this.#model.paths
      .map((path) => this.#model.rows.get(path))
      .filter((row) => !text || row.path.toLowerCase().includes(text) || row.component.toLowerCase().includes(text))
      .filter((row) => !only || row.state === only || (only === "problem" && row.problem) || (only === "unsettled" && !row.settled));
  }

  #unfolded() {
    const found = [];
    let hidden = "";
    for (const path of this.#model.paths) {
      if (hidden && path.startsWith(hidden)) continue;
      hidden = this.#folded.has(path) ? `${path}/` : "";
      found.push(this.#model.rows.get(path));
    }
    return found;
  }

  #row(row) {
    const element = h("tr", { class: "links", onclick: (event) => !event.target.closest("button, a") && link.click() });
    const link = h("a", { href: "" });
    const update = (now) => {
      link.href = to("applications", [this.#application], { view: "tree", at: now.path });
      const isFlat = this.#isFiltered();
      link.textContent = isFlat ? now.path : nameOf(now.path);
      const name = h("div", { class: "tree-name" }, isFlat ? null : this.#fold(now), link);
      name.style.paddingLeft = isFlat ? "0" : `${(now.path.split("/").length - 2) * 20}px`;
      element.setAttribute("aria-selected", String(now.path === this.#selected));
      put(
        element,
        h("td", { class: "wide" }, name),
        h("td", { class: "kind-column quiet" }, now.component),
        h("td", null, stateOf(now)),
        h("td", { class: "wanted-column quiet nowrap" }, now.settled && now.state === now.wish ? "" : now.wish),
        h("td", { class: "node-column nowrap" }, now.node ? h("a", { class: "mono", href: to("nodes", [now.node]) }, now.node) : null),
      );
    };
    update(row);
    return { element, update };
  }

  #fold(row) {
    if (!this.#model.children(row.path).length) return h("span", { class: "unfold" });
    const isOpen = !this.#folded.has(row.path);
    const turn = () => {
      if (isOpen) this.#folded.add(row.path);
      else this.#folded.delete(row.path);
      this.draw();
      this.#rows.refresh(row);
    };
    return h("button", { class: "fold", type: "button", "aria-expanded": String(isOpen), "aria-label": `What is inside of ${row.path}`, onclick: turn }, h("span", { "aria-hidden": "true" }, "▾"));
  }
}
