// What an application's components and instances have to do with each other. Pure: no page, no net.

export const STARTED = "deployed-started";
export const STOPPED = "deployed-stopped";
export const NOT_DEPLOYED = "not-deployed";

const NOTHING = { installer: "", exports: [], imports: [], children: [] };

export function parentOf(path) {
  const cut = path.lastIndexOf("/");
  return cut > 0 ? path.slice(0, cut) : "";
}

export function nameOf(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Compare paths so that parents come before their children, and names with numbers in order. */
export function byPath(a, b) {
  return COLLATOR.compare(a.replaceAll("/", "\t"), b.replaceAll("/", "\t"));
}

const COLLATOR = new Intl.Collator("en", { numeric: true });

/**
 * An application: components as GET …/graph tells them, instances by path.
 *
 * The tree and who exports what are worked out once; states are looked up in `rows` each time.
 */
export class Model {
  #kinds;
  #children = new Map(); // path → paths
  #exporters = new Map(); // prefix → paths

  constructor(components, rows, bindings = {}) {
    this.components = components;
    this.rows = rows;
    this.bindings = bindings;
    this.#kinds = new Map(components.map((one) => [one.name, one]));
    this.paths = [...rows.keys()].sort(byPath);
    for (const path of this.paths) {
      add(this.#children, rows.has(parentOf(path)) ? parentOf(path) : "", path);
      for (const prefix of this.kindOf(path).exports) add(this.#exporters, prefix, path);
    }
  }

  kind(component) {
    return this.#kinds.get(component) ?? NOTHING;
  }

  kindOf(path) {
    return this.kind(this.rows.get(path)?.component);
  }

  children(path) {
    return this.#children.get(path) ?? [];
  }

  get roots() {
    return this.children("");
  }

  /** Return all paths below one. */
  below(path) {
    const found = [...this.children(path)];
    for (let place = 0; place < found.length; place += 1) found.push(...this.children(found[place]));
    return found;
  }

  /** Return the paths of those who export a prefix here. */
  exporters(prefix) {
    return this.#exporters.get(prefix) ?? [];
  }

  /** Tell whether an instance may import this from inside the application. */
  isInternal(one) {
    return !one.external;
  }
}

function add(map, key, value) {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}
