// Where everything stands in the picture. Pure: trees of names in, rectangles out.
//
// * Containment is a box in a box.
// * Among siblings, whoever imports stands left of whoever exports: layers, by longest path.
// * Siblings of the same form (component, and what is inside) are one group, laid out once and
//   repeated as a grid; large groups become small tiles. So 500 machines stay one readable block,
//   and the work grows with the number of boxes, not with its square.

const FULL = { lead: 42, leaf: 50, pad: 12, gap: 14, layer: 72, letter: 7.3, least: 104, most: 240, small: false };
const TILE = { lead: 16, leaf: 16, pad: 4, gap: 5, layer: 8, letter: 4.6, least: 46, most: 96, small: true };
/** Groups of more than this many become tiles where there are many boxes in all. */
const MANY_ALIKE = 8;
const MANY_BOXES = 60;
const SWEEPS = 4;
// Layers follow each other to the right; on a narrow screen, down.
const AXES = {
  right: { along: "x", across: "y", length: "w", breadth: "h", wide: 1.3, alike: 1 },
  down: { along: "y", across: "x", length: "h", breadth: "w", wide: 0.6, alike: 2 },
};

/**
 * Lay out a forest.
 *
 * roots: [{path, name, component, under, children: […]}]; under: letters of the line below the name
 * kinds: component → {imports: [{prefix}], exports: [prefix]}
 * flow: "right" or "down"
 * Returns {width, height, boxes, groups}: boxes are [{path, x, y, w, h, holds, small}], parents
 * before children; groups are the frames around many of one form, {x, y, w, h, label, paths}.
 */
export function layout(roots, kinds, flow = "right") {
  const forms = new Forms(kinds, AXES[flow]);
  const many = countAll(roots) > MANY_BOXES;
  const block = arrange(roots, forms, FULL, many);
  const out = { width: block.w, height: block.h, boxes: [], groups: [], flow };
  emit(block, roots, 0, 0, forms, out);
  return out;
}

function countAll(nodes) {
  return nodes.reduce((sum, node) => sum + 1 + countAll(node.children), 0);
}

/** Knows the form of each tree: a number, the same for trees that look the same. */
class Forms {
  #numbers = new Map();
  #known = new Map();
  #wants = new Map();

  constructor(kinds, axis) {
    this.kinds = kinds;
    this.axis = axis;
  }

  of(node) {
    let found = this.#known.get(node);
    if (found === undefined) {
      const inside = node.children.map((child) => this.of(child)).sort((a, b) => a - b);
      const text = `${node.component}(${inside.join()})`;
      if (!this.#numbers.has(text)) this.#numbers.set(text, this.#numbers.size);
      found = this.#numbers.get(text);
      this.#known.set(node, found);
    }
    return found;
  }

  /** Return {needs, gives}: prefixes that anything in the tree imports and exports. */
  wants(node) {
    const form = this.of(node);
    if (!this.#wants.has(form)) {
      const kind = this.kinds.get(node.component) ?? { imports: [], exports: [] };
      const needs = new Set(kind.imports.map((one) => one.prefix));
      const gives = new Set(kind.exports);
      for (const child of node.children) {
        const inside = this.wants(child);
        inside.needs.forEach((prefix) => needs.add(prefix));
        inside.gives.forEach((prefix) => gives.add(prefix));
      }
      this.#wants.set(form, { needs, gives });
    }
    return this.#wants.get(form);
  }
}

/** Return the block of siblings: {w, h, parts: [{group, x, y}]}, ready to be repeated. */
function arrange(nodes, forms, size, many) {
  const groups = grouped(nodes, forms).map((members) => groupOf(members, forms, size, many));
  const { layers, loose } = layered(groups, forms);
  const block = { w: 0, h: 0, parts: [] };
  const { axis } = forms;
  const broad = Math.max(...layers.map((layer) => breadthOf(layer, size, axis)), 0);
  const least = size.small ? 0 : 320;
  const limit = Math.max(Math.sqrt((areaOf(groups) * 0.9) / axis.wide) * (axis.along === "x" ? 1 : 0.7), ...groups.map((group) => group[axis.breadth]), least);
  for (const layer of layers) {
    const columns = cutColumns(layer, limit, size, axis);
    placeColumns(columns, block, Math.min(broad, limit), size, axis);
  }
  if (loose.length) placeLoose(loose, block, size, axis);
  return block;
}

function grouped(nodes, forms) {
  const found = new Map();
  for (const node of nodes) {
    const form = forms.of(node);
    if (found.has(form)) found.get(form).push(node);
    else found.set(form, [node]);
  }
  return [...found.values()];
}

/** Return a group: one cell laid out, repeated in a grid of `columns`. */
function groupOf(members, forms, around, many) {
  const isTiled = around.small || (many && members.length > MANY_ALIKE);
  const size = isTiled ? TILE : around;
  const first = members[0];
  const inner = first.children.length ? arrange(first.children, forms, size, many) : null;
  const letters = Math.max(...members.slice(0, 500).map((node) => node.name.length), 4);
  const under = size.small ? 0 : first.under * 0.84;
  const own = Math.min(size.most, Math.max(size.least, Math.max(letters, under) * size.letter + 28));
  const w = inner ? Math.max(own, inner.w + 2 * size.pad) : own;
  const h = inner ? size.lead + inner.h + size.pad : size.leaf;
  const columns = columnsOf(members.length, w + size.gap, h + size.gap, forms.axis);
  const rows = Math.ceil(members.length / columns);
  const framed = isTiled && !around.small;
  const edge = framed ? 14 : 0;
  return {
    members,
    size,
    inner,
    cell: { w, h },
    columns,
    edge,
    lead: framed ? 20 : 0,
    w: columns * (w + size.gap) - size.gap + 2 * edge,
    h: rows * (h + size.gap) - size.gap + 2 * edge + (framed ? 20 : 0),
  };
}

function columnsOf(number, w, h, axis) {
  if (number <= 4) return Math.min(number, axis.alike);
  return Math.max(1, Math.min(number, Math.round(Math.sqrt((number * h * axis.wide) / w))));
}

/** Return layers of groups, importers first, and those that have nothing to do with others. */
function layered(groups, forms) {
  const givers = new Map();
  const wants = groups.map((group) => forms.wants(group.members[0]));
  wants.forEach(({ gives }, place) => {
    for (const prefix of gives) {
      if (!givers.has(prefix)) givers.set(prefix, []);
      givers.get(prefix).push(place);
    }
  });
  const next = wants.map(({ needs }, place) => {
    const found = new Set([...needs].flatMap((prefix) => givers.get(prefix) ?? []));
    found.delete(place);
    return [...found];
  });
  const level = levels(next);
  const touched = new Set(next.flatMap((those, place) => (those.length ? [place, ...those] : [])));
  const layers = [];
  groups.forEach((group, place) => {
    if (!touched.has(place)) return;
    group.place = place;
    group.next = next[place];
    (layers[level[place]] ??= []).push(group);
  });
  const full = layers.filter(Boolean);
  untangle(full, next);
  return { layers: full, loose: groups.filter((_, place) => !touched.has(place)) };
}

/** Return the layer of each: one more than that of whoever points at it; cycles are cut. */
function levels(next) {
  const order = [];
  const seen = new Array(next.length).fill(0); // 1: on the way, 2: done
  const back = new Set();
  for (let start = 0; start < next.length; start += 1) {
    const stack = seen[start] ? [] : [[start, 0]];
    if (stack.length) seen[start] = 1;
    while (stack.length) {
      const top = stack[stack.length - 1];
      const [at, edge] = top;
      if (edge === next[at].length) {
        seen[at] = 2;
        order.push(at);
        stack.pop();
        continue;
      }
      top[1] += 1;
      const to = next[at][edge];
      if (seen[to] === 1) back.add(`${at}>${to}`);
      else if (!seen[to]) {
        seen[to] = 1;
        stack.push([to, 0]);
      }
    }
  }
  const level = new Array(next.length).fill(0);
  for (const at of order.reverse()) {
    for (const to of next[at]) {
      if (!back.has(`${at}>${to}`)) level[to] = Math.max(level[to], level[at] + 1);
    }
  }
  return level;
}

/** Order each layer by the middle of its neighbours, so that fewer arrows cross. */
function untangle(layers, next) {
  const before = next.map(() => []);
  next.forEach((those, place) => those.forEach((to) => before[to].push(place)));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const neighbours = sweep % 2 ? next : before;
    const at = new Map();
    layers.forEach((layer) => layer.forEach((group, row) => at.set(group.place, row / layer.length)));
    for (const layer of layers) {
      const middle = new Map(layer.map((group, row) => [group, middleOf(neighbours[group.place], at, row / layer.length)]));
      layer.sort((a, b) => middle.get(a) - middle.get(b));
    }
  }
}

function middleOf(places, at, otherwise) {
  if (!places.length) return otherwise;
  return places.reduce((sum, place) => sum + at.get(place), 0) / places.length;
}

const breadthOf = (layer, size, axis) => layer.reduce((sum, group) => sum + group[axis.breadth] + 2 * size.gap, -2 * size.gap);
const areaOf = (groups) => groups.reduce((sum, group) => sum + group.w * group.h, 0);

/** Cut a layer that is too broad into several. */
function cutColumns(layer, limit, size, axis) {
  const columns = [[]];
  let broad = 0;
  for (const group of layer) {
    if (broad && broad + group[axis.breadth] > limit) {
      columns.push([]);
      broad = 0;
    }
    columns[columns.length - 1].push(group);
    broad += group[axis.breadth] + 2 * size.gap;
  }
  return columns;
}

function placeColumns(columns, block, broad, size, axis) {
  let along = block[axis.length] ? block[axis.length] + size.layer : 0;
  for (const column of columns) {
    let across = Math.max(0, (broad - breadthOf(column, size, axis)) / 2);
    const long = Math.max(...column.map((group) => group[axis.length]));
    for (const group of column) {
      const middle = along + (long - group[axis.length]) / 2;
      block.parts.push({ group, [axis.along]: middle, [axis.across]: across });
      across += group[axis.breadth] + 2 * size.gap;
    }
    block[axis.length] = along + long;
    block[axis.breadth] = Math.max(block[axis.breadth], across - 2 * size.gap);
    along = block[axis.length] + 2 * size.gap;
  }
}

/** Place what nobody depends on in rows below. */
function placeLoose(loose, block, size, axis) {
  const widest = Math.max(block.w, Math.sqrt(areaOf(loose) * 1.4 * axis.wide), ...loose.map((group) => group.w));
  let x = 0;
  let y = block.h ? block.h + 2 * size.gap : 0;
  let tall = 0;
  for (const group of loose) {
    if (x && x + group.w > widest) {
      x = 0;
      y += tall + 2 * size.gap;
      tall = 0;
    }
    block.parts.push({ group, x, y });
    tall = Math.max(tall, group.h);
    block.w = Math.max(block.w, x + group.w);
    block.h = Math.max(block.h, y + tall);
    x += group.w + 2 * size.gap;
  }
}

/** Write the boxes of a block; `nodes` are siblings of the form that it was made for. */
function emit(block, nodes, x, y, forms, out) {
  const byForm = new Map(grouped(nodes, forms).map((members) => [forms.of(members[0]), members]));
  for (const part of block.parts) {
    const { group } = part;
    const members = byForm.get(forms.of(group.members[0]));
    if (group.edge) out.groups.push(frameOf(group, members, x + part.x, y + part.y));
    members.forEach((node, place) => {
      const column = place % group.columns;
      const row = Math.floor(place / group.columns);
      const left = x + part.x + group.edge + column * (group.cell.w + group.size.gap);
      const top = y + part.y + group.edge + group.lead + row * (group.cell.h + group.size.gap);
      emitBox(node, group, left, top, forms, out);
    });
  }
}

function emitBox(node, group, x, y, forms, out) {
  const { w, h } = group.cell;
  out.boxes.push({ path: node.path, name: node.name, component: node.component, x, y, w, h, holds: Boolean(group.inner), small: group.size.small });
  if (group.inner) {
    const left = x + (w - group.inner.w) / 2;
    emit(group.inner, node.children, left, y + group.size.lead, forms, out);
  }
}

function frameOf(group, members, x, y) {
  const inside = members[0].children.map((child) => child.component);
  const what = inside.length ? `${members[0].component} with ${inside.join(", ")}` : members[0].component;
  return { x, y, w: group.w, h: group.h, label: `${members.length} × ${what}`, paths: members.map((node) => node.path) };
}
