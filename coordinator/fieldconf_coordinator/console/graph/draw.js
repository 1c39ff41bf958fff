// Draws a layout: boxes, frames, arrows; keeps their states; selection by mouse and keys.

import { append, h, newId, svg } from "../dom.js";
import { go } from "../router.js";
import { arrowsOf, bundleStatus, curve, pairsOf, statusOf } from "./arrows.js";
import { View } from "./view.js";

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** So many arrows of one instance can be told apart; of more, the bundle shows instead. */
const MOST_NEAR = 24;
const OUTSIDE = { w: 150, h: 50 };

/**
 * A picture in `host`.
 *
 * label: what screen readers call it
 * look(path): {tone, under, label} of a box
 * chosen(path): called when somebody selects a box, "" for none
 */
export class Picture {
  #parts;
  #options;
  #view;
  #boxes = new Map(); // path → {box, element, under}
  #arrows = []; // {element, head, status(), paths}
  #model = null;
  #plan = null;
  #selected = "";
  #active = "";

  constructor(host, options) {
    this.#options = options;
    const stage = svg("g");
    const layers = Object.fromEntries(["frames", "boxes", "arrows", "near"].map((name) => [name, svg("g")]));
    this.heads = newId("head");
    const root = svg("svg", { tabindex: "0", role: "group", "aria-label": `${options.label}. Arrow keys go from box to box, Enter selects, plus and minus zoom, 0 shows all.` }, this.#markers(), stage);
    layers.arrows.setAttribute("aria-hidden", "true");
    layers.near.setAttribute("aria-hidden", "true");
    stage.append(layers.frames, layers.boxes, layers.arrows, layers.near);
    this.#parts = { root, stage, ...layers };
    host.append(root, this.#buttons());
    this.#view = new View(root, stage);
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("click", (event) => this.#click(event));
    this.observer = new ResizeObserver(() => this.#fitOnce());
    this.observer.observe(root);
  }

  close() {
    this.observer.disconnect();
  }

  #markers() {
    const heads = ["served", "missing", "silent", "plain"].map((name) =>
      svg(
        "marker",
        { id: `${this.heads}-${name}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
        svg("path", { d: "M0 0.5L8 4L0 7.5Z", class: `head-${name}` }),
      ),
    );
    return svg("defs", null, heads);
  }

  #buttons() {
    const button = (text, label, action) => h("button", { class: "icon", type: "button", "aria-label": label, title: label, onclick: action }, text);
    return h(
      "div",
      { class: "zoom" },
      button("+", "Zoom in", () => this.#view.in()),
      button("−", "Zoom out", () => this.#view.out()),
      button("⤢", "Show all", () => this.#view.fit()),
    );
  }

  /** Draw this plan of this model anew. */
  show(model, plan) {
    const isFirst = !this.#plan;
    this.#model = model;
    this.#plan = { ...plan };
    this.#boxes.clear();
    for (const name of ["frames", "boxes", "arrows", "near"]) this.#parts[name].replaceChildren();
    append(this.#parts.frames, plan.groups.map((frame) => this.#frame(frame)));
    for (const box of plan.boxes) this.#parts.boxes.append(this.#box(box));
    this.#outsiders(model, plan);
    this.#arrows = [];
    const { pairs, bundles } = arrowsOf(model, plan);
    for (const pair of pairs) this.#pair(pair, this.#parts.arrows, this.#arrows);
    for (const bundle of bundles) this.#bundle(bundle);
    this.update();
    this.#active = this.#boxes.has(this.#active) ? this.#active : (plan.boxes[0]?.path ?? "");
    this.#roving();
    this.select(this.#selected);
    this.fitted = !isFirst && this.fitted;
    this.#fitOnce();
  }

  #fitOnce() {
    if (!this.#plan || this.fitted === this.#sizeKey()) return;
    this.fitted = this.#sizeKey();
    this.#view.fit(this.#plan);
  }

  #sizeKey() {
    const { clientWidth, clientHeight } = this.#parts.root;
    return clientWidth && `${clientWidth}×${clientHeight} ${this.#plan.width}×${this.#plan.height}`;
  }

  /** Draw the states anew: of these paths, or of all. */
  update(paths) {
    for (const path of paths ?? this.#boxes.keys()) {
      const known = this.#boxes.get(path);
      if (known && !known.isOutside) this.#state(path, known);
    }
    for (const arrow of this.#arrows) arrow.update();
  }

  /** Show which box is selected, "" for none, and what it has to do with. */
  select(path) {
    this.#mark(this.#selected, false);
    this.#selected = path;
    this.#mark(path, true);
    this.#parts.near.replaceChildren();
    this.#near(path);
    const known = this.#boxes.get(path);
    if (!known) return;
    this.#active = path;
    this.#roving();
    this.#view.reveal(known.box);
  }

  #mark(path, is) {
    this.#boxes.get(path)?.element.setAttribute("aria-pressed", String(is));
  }

  /** Put what the selected box imports and serves into the foreground. */
  #near(path) {
    const { stage, boxes, arrows } = this.#parts;
    const isKnown = this.#boxes.has(path) && this.#model.rows.has(path);
    stage.classList.toggle("dim", isKnown);
    for (const element of [...boxes.querySelectorAll(".near"), ...arrows.querySelectorAll(".near")]) element.classList.remove("near");
    if (!isKnown) return;
    const pairs = [...pairsOf(this.#model, path), ...this.#importersOf(path)];
    const near = new Set([path, ...this.#model.below(path), ...pairs.flatMap((pair) => [pair.from, pair.to])]);
    for (const one of [...near]) for (let up = one; up.lastIndexOf("/") > 0; ) near.add((up = up.slice(0, up.lastIndexOf("/"))));
    for (const one of near) this.#boxes.get(one)?.element.classList.add("near");
    const isBundled = this.#arrows.some((arrow) => arrow.isBundle);
    if (isBundled && pairs.length <= MOST_NEAR) pairs.forEach((pair) => this.#pair(pair, this.#parts.near, [], "near"));
    else for (const arrow of this.#arrows) arrow.element.classList.toggle("near", arrow.concerns(path));
  }

  #importersOf(path) {
    const given = new Set(this.#model.kindOf(path).exports);
    if (!given.size) return [];
    return this.#model.paths.flatMap((other) =>
      this.#model
        .kindOf(other)
        .imports.filter((one) => other !== path && given.has(one.prefix))
        .map((one) => ({ from: other, to: path, prefix: one.prefix, mandatory: one.mandatory })),
    );
  }

  // -- boxes

  #frame(frame) {
    return svg("g", { class: "group" }, svg("rect", { x: frame.x, y: frame.y, width: frame.w, height: frame.h, rx: 10 }), svg("text", { x: frame.x + 14, y: frame.y + 20 }, frame.label));
  }

  #box(box) {
    const title = svg("title");
    const under = box.small ? null : svg("text", { class: "under", x: 14, y: 35 });
    const letters = (box.w - (box.small ? 12 : 24)) / (box.small ? 4.4 : 7.1);
    const element = svg(
      "g",
      { transform: `translate(${box.x} ${box.y})`, role: "button", tabindex: "-1", "aria-pressed": "false", "data-path": box.path },
      title,
      svg("rect", { class: "body", width: box.w, height: box.h, rx: box.small ? 3 : 8 }),
      svg("rect", { class: "edge", x: box.small ? 3 : 5, y: box.small ? 4 : 8, width: box.small ? 3 : 4, height: box.small ? 8 : 30, rx: 1.5 }),
      svg("text", { x: box.small ? 9 : 15, y: box.small ? 11 : 19 }, shortened(box.name, letters)),
      under,
    );
    this.#boxes.set(box.path, { box, element, title, under });
    return element;
  }

  #state(path, { box, element, title, under }) {
    const { tone, under: text, label } = this.#options.look(path, box);
    element.setAttribute("class", `box ${tone}${box.small ? " tile" : ""}${box.holds ? " holds" : ""}${element.classList.contains("near") ? " near" : ""}`);
    element.setAttribute("aria-label", label);
    title.textContent = label;
    if (under) under.textContent = shortened(text, (box.w - 22) / 5.7);
  }

  /** Applications that serve external imports stand at the end. */
  #outsiders(model, plan) {
    const names = [...new Set(Object.values(model.bindings).flat())];
    names.forEach((name, row) => {
      const isDown = this.#plan.flow === "down";
      const box = isDown ? { ...OUTSIDE, x: row * (OUTSIDE.w + 16), y: plan.height + 60 } : { ...OUTSIDE, x: plan.width + 80, y: row * (OUTSIDE.h + 16) };
      const path = `app:${name}`;
      const element = svg(
        "g",
        { class: "box outside near", transform: `translate(${box.x} ${box.y})`, role: "button", tabindex: "-1", "data-path": path, "aria-label": `Application ${name}` },
        svg("rect", { class: "body", width: box.w, height: box.h, rx: 8 }),
        svg("text", { x: 14, y: 20 }, shortened(name, 17)),
        svg("text", { class: "under", x: 14, y: 37 }, "another application"),
      );
      this.#boxes.set(path, { box, element, isOutside: true });
      this.#parts.boxes.append(element);
    });
    for (const { box } of [...this.#boxes.values()].filter((known) => known.isOutside)) {
      this.#plan.width = Math.max(this.#plan.width, box.x + box.w);
      this.#plan.height = Math.max(this.#plan.height, box.y + box.h);
    }
  }

  // -- arrows

  #pair(pair, layer, list, more = "") {
    const from = this.#boxes.get(pair.from)?.box;
    if (!from) return;
    const target = this.#boxes.get(pair.to)?.box;
    const line = target ? curve(headOf(from), headOf(target), this.#plan.flow) : stub(headOf(from));
    const element = svg("path", { d: line.d });
    const label = target ? null : svg("text", { class: "arrow-label missing", x: line.x + 4, y: line.y + 4 }, `${pair.prefix}: nobody`);
    const update = () => {
      const status = statusOf(this.#model, pair);
      const isNear = element.classList.contains("near");
      element.setAttribute("class", `arrow ${status}${pair.mandatory ? "" : " optional"} ${more}${isNear ? " near" : ""}`);
      element.setAttribute("marker-end", `url(#${this.heads}-${status})`);
      if (label) label.setAttribute("display", status === "missing" ? "inline" : "none");
    };
    update();
    list.push({ element, update, concerns: (path) => pair.from === path || pair.to === path });
    append(layer, [element, label]);
  }

  #isInBundle(bundle, path) {
    if (bundle.importers.includes(path)) return true;
    const root = path.slice(0, path.indexOf("/", 1) < 0 ? undefined : path.indexOf("/", 1));
    const isIn = bundle.to.paths?.includes(root) ?? bundle.to.path === root;
    return isIn && this.#model.kindOf(path).exports.includes(bundle.prefix);
  }

  #bundle(bundle) {
    const line = curve(headOf(bundle.from), headOf(bundle.to), this.#plan.flow);
    const element = svg("path", { d: line.d });
    const label = svg("text", { x: line.x, y: line.y - 6, "text-anchor": "middle" }, bundle.prefix);
    const update = () => {
      const status = bundleStatus(this.#model, bundle);
      element.setAttribute("class", `arrow ${status}${element.classList.contains("near") ? " near" : ""}`);
      element.setAttribute("marker-end", `url(#${this.heads}-${status})`);
      label.setAttribute("class", `arrow-label ${status}`);
    };
    this.#arrows.push({ element, update, isBundle: true, concerns: (path) => this.#isInBundle(bundle, path) });
    append(this.#parts.arrows, [element, label]);
  }

  // -- what people do

  #click(event) {
    const path = event.target.closest("[data-path]")?.dataset.path ?? "";
    if (path.startsWith("app:")) go("applications", [path.slice(4)]);
    else this.#options.chosen(path);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = KEYS[event.key];
    if (direction) this.#step(direction);
    else if (event.key === "+" || event.key === "=") this.#view.in();
    else if (event.key === "-") this.#view.out();
    else if (event.key === "0") this.#view.fit();
    else if (event.key === "Escape") this.#options.chosen("");
    else if (event.key === "Enter" || event.key === " ") this.#enter();
    else return;
    event.preventDefault();
  }

  #enter() {
    if (this.#active.startsWith("app:")) go("applications", [this.#active.slice(4)]);
    else this.#options.chosen(this.#active);
  }

  /** Go to the nearest box in a direction. */
  #step([dx, dy]) {
    const at = this.#boxes.get(this.#active)?.box;
    if (!at) return;
    let best = null;
    for (const [path, { box }] of this.#boxes) {
      const along = dx * (box.x - at.x) + dy * (box.y - at.y);
      if (path === this.#active || along <= 0) continue;
      const across = Math.abs(dy * (box.x - at.x) + dx * (box.y - at.y));
      const far = along + 3 * across;
      if (!best || far < best.far) best = { path, far };
    }
    if (!best) return;
    this.#active = best.path;
    this.#roving();
    this.#boxes.get(best.path).element.focus();
    this.#view.reveal(this.#boxes.get(best.path).box);
  }

  /** One box at a time can be reached with Tab. */
  #roving() {
    this.#parts.boxes.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    this.#boxes.get(this.#active)?.element.setAttribute("tabindex", "0");
  }
}

const NARROW = 620;

/** Return which way layers follow each other in a place as wide as this. */
export function flowOf(place) {
  return place.clientWidth < NARROW ? "down" : "right";
}

/** Arrows end at the head of a box that holds others, in the middle of one that does not. */
function headOf(box) {
  const ends = { ...box, top: box.y, bottom: box.y + box.h };
  return box.holds ? { ...ends, h: box.small ? 16 : 42 } : ends;
}

function stub(box) {
  const [x, y] = [box.x + box.w, box.y + box.h / 2];
  return { d: `M${x} ${y}h34`, x: x + 34, y };
}

function shortened(text, most) {
  const letters = [...text];
  return letters.length <= most ? text : `${letters.slice(0, Math.max(1, Math.floor(most) - 1)).join("")}…`;
}
