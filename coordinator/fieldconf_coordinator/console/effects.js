// What will happen if somebody stops, starts or removes something. Pure: no page, no net.
//
// The coordinator and the agents decide; this follows the same rules (life cycle and resolution)
// on what is known now, so that people see before they act what hangs on it.

import { NOT_DEPLOYED, STARTED, parentOf } from "./model.js";

const UP = new Set([STARTED, "starting"]);

/** Return [[path, text], …] of what a wish for these paths brings about. */
export function ofWish(model, paths, wish) {
  if (wish === STARTED) return ofStart(model, paths);
  const own = { [NOT_DEPLOYED]: undeployed, "deployed-stopped": stopped }[wish];
  return ofEnd(model, paths, own, wish === NOT_DEPLOYED ? undeployed : waits);
}

/** Return what happens when an instance is taken out with all below it. */
export function ofRemove(model, path) {
  return ofEnd(model, [path], removed, removed);
}

function stopped(model, row) {
  if (UP.has(row.state)) return "stops";
  return row.state === NOT_DEPLOYED ? "is deployed, and stays stopped" : "stays stopped";
}

function undeployed(model, row) {
  const isNode = model.kind(row.component).installer === "target";
  if (isNode) return row.node ? "its node is emptied, then destroyed" : "gets no node";
  if (row.state === NOT_DEPLOYED) return "stays not deployed";
  return UP.has(row.state) ? "stops and is undeployed" : "is undeployed";
}

function removed(model, row) {
  const isNode = model.kind(row.component).installer === "target";
  if (isNode && row.node) return "its node is emptied and destroyed; it leaves the application";
  return "is undeployed and leaves the application";
}

function waits(model, row) {
  if (UP.has(row.state)) return "stops, and returns with its parent";
  return row.state === NOT_DEPLOYED ? null : "waits for its parent";
}

/** Follow an end: those named, those below them, those that lose their last provider. */
function ofEnd(model, paths, own, inside) {
  const found = new Map(); // path → text
  const down = [];
  const tell = (path, text) => {
    if (found.has(path) || !text) return;
    found.set(path, text);
    if (UP.has(model.rows.get(path).state)) down.push(path);
  };
  for (const path of paths) {
    tell(path, own(model, model.rows.get(path)));
    for (const below of model.below(path)) tell(below, inside(model, model.rows.get(below)));
  }
  const left = livingProviders(model);
  const poorer = new Map(); // path → prefix of which there is one provider less
  const importers = importersOf(model);
  for (let place = 0; place < down.length; place += 1) {
    for (const prefix of model.kindOf(down[place]).exports) {
      left.get(prefix).delete(down[place]);
      for (const path of importers.get(prefix) ?? []) lose(path, prefix);
    }
  }

  function lose(path, prefix) {
    const row = model.rows.get(path);
    if (found.has(path) || !UP.has(row.state)) return;
    const others = left.get(prefix);
    const remaining = others.size - (others.has(path) ? 1 : 0);
    const one = model.kindOf(path).imports.find((known) => known.prefix === prefix);
    if (remaining || !one.mandatory || (one.external && model.bindings[prefix]?.length)) {
      poorer.set(path, prefix);
      return;
    }
    tell(path, `loses its last provider of ${prefix}: stops until one is back`);
    for (const below of model.below(path)) tell(below, waits(model, model.rows.get(below)));
  }

  const updates = [...poorer].filter(([path]) => !found.has(path));
  return [...found, ...updates.map(([path, prefix]) => [path, `is updated: one provider of ${prefix} less`])];
}

/** Return prefix → set of the paths that export it and are started. */
function livingProviders(model) {
  const found = new Map();
  for (const kind of model.components) {
    for (const prefix of kind.exports) {
      if (found.has(prefix)) continue;
      const living = model.exporters(prefix).filter((path) => UP.has(model.rows.get(path).state));
      found.set(prefix, new Set(living));
    }
  }
  return found;
}

/** Return prefix → paths of those who import it. */
function importersOf(model) {
  const found = new Map();
  for (const path of model.paths) {
    for (const { prefix } of model.kindOf(path).imports) {
      if (!found.has(prefix)) found.set(prefix, []);
      found.get(prefix).push(path);
    }
  }
  return found;
}

/** Follow a start: what each needs first, and who gets what it waits for. */
function ofStart(model, paths) {
  const wanted = new Set(paths);
  const found = [];
  for (const path of paths) {
    const row = model.rows.get(path);
    if (row.state !== STARTED) found.push([path, startOf(model, path, wanted)]);
    for (const below of model.below(path)) {
      if (!wanted.has(below) && model.rows.get(below).state === "waiting-for-ancestor") {
        found.push([below, "returns with its parent"]);
      }
    }
  }
  return [...found, ...waiting(model, paths, new Set(found.map(([path]) => path)))];
}

function startOf(model, path, wanted) {
  const parent = parentOf(path);
  const above = model.rows.get(parent);
  if (above && above.state !== STARTED && !wanted.has(parent)) {
    return `starts when ${parent} is started; that is ${above.state}`;
  }
  const kind = model.kindOf(path);
  if (kind.installer === "target") return model.rows.get(path).node ? "starts" : "gets a node, then starts";
  const missing = kind.imports.filter((one) => one.mandatory && !isServed(model, path, one));
  if (!missing.length) return "starts";
  return `starts when there is ${missing.map((one) => one.prefix).join(" and ")}`;
}

function isServed(model, path, one) {
  if (one.external && model.bindings[one.prefix]?.length) return true;
  return model.exporters(one.prefix).some((other) => other !== path && UP.has(model.rows.get(other).state));
}

function waiting(model, paths, told) {
  const given = new Set(paths.flatMap((path) => model.kindOf(path).exports));
  const found = [];
  for (const path of model.paths) {
    const missing = model.rows.get(path).missing ?? [];
    const served = missing.filter((prefix) => given.has(prefix));
    if (served.length && !told.has(path)) found.push([path, `gets ${served.join(" and ")}, for which it waits`]);
  }
  return found;
}
