// Who imports from whom, as arrows between boxes. Pure.
//
// Up to MOST_PAIRS each pair is an arrow. Beyond that the arrows between whole groups say as much
// and can be seen; those of the instance that is looked at are shown one by one.

import { STARTED } from "../model.js";

const MOST_PAIRS = 260;

/** Return [{from, to, prefix, mandatory, outside}], to: a path, "app:NAME", or "" for nobody. */
export function pairsOf(model, path) {
  const found = [];
  for (const one of model.kindOf(path).imports) {
    const inside = model.isInternal(one) ? model.exporters(one.prefix).filter((other) => other !== path) : [];
    const outside = one.external ? (model.bindings[one.prefix] ?? []).map((name) => `app:${name}`) : [];
    const all = [...inside, ...outside];
    for (const to of all.length ? all : [""]) {
      found.push({ from: path, to, prefix: one.prefix, mandatory: one.mandatory });
    }
  }
  return found;
}

/** Return how an import is served: "served", "missing" or "silent". */
export function statusOf(model, pair) {
  const importer = model.rows.get(pair.from);
  if (!importer || importer.isComponent) return "plain";
  const isMissing = importer.missing?.includes(pair.prefix);
  if (pair.to.startsWith("app:")) return isMissing ? "missing" : "served";
  const provider = model.rows.get(pair.to);
  if (!provider) return pair.mandatory ? "missing" : "silent";
  if (provider.state === STARTED && !isMissing) return "served";
  return isMissing ? "missing" : "silent";
}

/** Return how many pairs there are, without making them. */
function countPairs(model) {
  let sum = 0;
  for (const path of model.paths) {
    for (const one of model.kindOf(path).imports) sum += model.exporters(one.prefix).length;
    if (sum > MOST_PAIRS) return sum;
  }
  return sum;
}

/** Return {pairs} where each can be shown, or {bundles} between groups. */
export function arrowsOf(model, plan) {
  if (countPairs(model) <= MOST_PAIRS) {
    return { pairs: model.paths.flatMap((path) => pairsOf(model, path)), bundles: [] };
  }
  return { pairs: [], bundles: bundlesOf(model, blocksOf(model, plan)) };
}

/** Return root path → the rectangle that stands for it: its group's frame, or its own box. */
function blocksOf(model, plan) {
  const found = new Map();
  const roots = new Set(model.roots);
  for (const box of plan.boxes) if (roots.has(box.path)) found.set(box.path, box);
  for (const frame of plan.groups) {
    for (const path of frame.paths) if (roots.has(path)) found.set(path, frame);
  }
  return found;
}

const rootOf = (path) => {
  const cut = path.indexOf("/", 1);
  return cut < 0 ? path : path.slice(0, cut);
};

function bundlesOf(model, blocks) {
  const providers = new Map(); // prefix → set of blocks
  const found = new Map();
  const numbers = new Map([...new Set(blocks.values())].map((block, number) => [block, number]));
  for (const path of model.paths) {
    const from = blocks.get(rootOf(path));
    for (const one of model.kindOf(path).imports) {
      if (!providers.has(one.prefix)) {
        const those = model.exporters(one.prefix).map((other) => blocks.get(rootOf(other)));
        providers.set(one.prefix, [...new Set(those)]);
      }
      for (const to of providers.get(one.prefix)) {
        if (to === from) continue;
        const key = `${numbers.get(from)}>${numbers.get(to)}>${one.prefix}`;
        if (!found.has(key)) found.set(key, { from, to, prefix: one.prefix, importers: [] });
        found.get(key).importers.push(path);
      }
    }
  }
  return [...found.values()];
}

/** Return how a bundle is served: missing if one importer misses it. */
export function bundleStatus(model, bundle) {
  let served = false;
  for (const path of bundle.importers) {
    const row = model.rows.get(path);
    if (row?.missing?.includes(bundle.prefix)) return "missing";
    served ||= row?.state === STARTED;
  }
  return served ? "served" : "silent";
}

/** Return the curve between two rectangles: {d, x, y} with the middle, where a label can stand. */
export function curve(from, to, flow = "right") {
  if (flow === "down" && to.top >= from.bottom) return dropped(from, to);
  const y1 = from.y + from.h / 2;
  const y2 = to.y + to.h / 2;
  if (to.x >= from.x + from.w - 2) return bent(from.x + from.w, y1, to.x - 2, y2, 1, 1);
  if (to.x + to.w <= from.x + 2) return bent(from.x, y1, to.x + to.w + 2, y2, -1, -1);
  return bent(from.x + from.w, y1, to.x + to.w + 2, y2, 1, -1);
}

/** Return the curve from the foot of one box to the top of another. */
function dropped(from, to) {
  // Beside the words at the top of a box that holds others.
  const [x1, x2] = [from.x + from.w / 2, to.x + to.w - Math.min(16, to.w / 3)];
  const [y1, y2] = [from.bottom, to.top - 2];
  const reach = Math.max(20, (y2 - y1) / 2);
  return { d: `M${x1} ${y1}C${x1} ${y1 + reach} ${x2} ${y2 - reach} ${x2} ${y2}`, x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
}

function bent(x1, y1, x2, y2, out, into) {
  const reach = Math.max(26, Math.abs(x2 - x1) / 2);
  const d = `M${x1} ${y1}C${x1 + out * reach} ${y1} ${x2 - into * reach} ${y2} ${x2} ${y2}`;
  const bulge = out === into ? 0 : (reach * 0.75 * out);
  return { d, x: (x1 + x2) / 2 + bulge, y: (y1 + y2) / 2 };
}
