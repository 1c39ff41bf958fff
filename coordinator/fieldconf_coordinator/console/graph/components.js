// The graph of components as a picture: what stands in what, who imports from whom.

import { h } from "../dom.js";
import { Model, STARTED } from "../model.js";
import { turn } from "../router.js";
import { count } from "../words.js";
import { Picture, flowOf } from "./draw.js";
import { layout } from "./layout.js";

/** Return what the page of an application draws as its view of components. */
export function componentPicture(host, name) {
  const place = h("div", { class: "picture" });
  host.append(place);
  let counts = new Map();
  let model = null;
  const picture = new Picture(place, {
    label: `Components of ${name}`,
    look: (path) => looks(model.kindOf(path), counts.get(model.rows.get(path).component)),
    chosen: (path) => picture.select(path),
  });
  const again = (instances) => {
    counts = counted(instances);
  };
  return {
    show(instances) {
      this.instances = instances;
      again(instances);
      model = new Model(instances.components, rowsOf(instances.components), instances.bindings);
      const kinds = new Map(model.components.map((kind) => [kind.name, kind]));
      picture.show(model, layout(forest(model), kinds, flowOf(place)));
    },
    update() {
      again(this.instances);
      picture.update();
    },
    select: () => turn({ at: "" }, false),
    close: () => picture.close(),
  };
}

/** Return a row for each component; one with several parents stands in the first of them. */
function rowsOf(components) {
  const parents = new Map(components.map((kind) => [kind.name, kind.parents[0]]));
  const pathOf = (name, depth = 0) => {
    const parent = parents.get(name);
    return `${parents.has(parent) && depth < 50 ? pathOf(parent, depth + 1) : ""}/${name}`;
  };
  return new Map(components.map((kind) => [pathOf(kind.name), { path: pathOf(kind.name), component: kind.name, isComponent: true }]));
}

function forest(model) {
  const node = (path) => ({ path, name: model.rows.get(path).component, component: model.rows.get(path).component, under: model.kindOf(path).installer.length + 22, children: model.children(path).map(node) });
  return model.roots.map(node);
}

/** Return component → {all, started, problems}. */
function counted(model) {
  const found = new Map();
  for (const row of model.rows.values()) {
    const counts = found.get(row.component) ?? { all: 0, started: 0, problems: 0 };
    counts.all += 1;
    counts.started += row.state === STARTED ? 1 : 0;
    counts.problems += row.problem ? 1 : 0;
    found.set(row.component, counts);
  }
  return found;
}

function looks(kind, counts = { all: 0, started: 0, problems: 0 }) {
  const tone = counts.problems ? "bad" : !counts.all ? "off" : counts.started === counts.all ? "good" : counts.started ? "busy" : "idle";
  const under = counts.all ? `${kind.installer} · ${counts.started} of ${counts.all} started` : `${kind.installer} · no instance`;
  const imports = kind.imports.map((one) => one.prefix).join(", ");
  const label = `${kind.name}, ${kind.installer}, ${count(counts.all, "instance")}, ${counts.started} started${imports ? `, imports ${imports}` : ""}`;
  return { tone, under, label };
}
