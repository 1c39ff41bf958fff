// What is known of the fleet, as the stream tells it; those who show it are told once a frame.

/** Rows that changed since the last frame. */
class Batch {
  all = false;
  applications = new Set();
  instances = new Set();
  nodes = new Set();
  changes = new Set();
  events = [];
  logs = [];
}

const KINDS = { application: "applications", node: "nodes", change: "changes", instance: "instances" };
const EVENTS_KEPT = 500;

export class Store {
  applications = new Map(); // name → row
  nodes = new Map(); // id → row
  changes = new Map(); // id → row
  instances = new Map(); // path → row, of the application that is watched
  events = []; // newest first
  isComplete = false;
  #application;
  #staged = null;
  #batch = null;
  #watchers = new Set();

  /** Say whose instances come; those of another are forgotten. */
  watchApplication(name) {
    if (this.#application === name) return;
    this.#application = name;
    this.instances = new Map();
    this.isComplete = false;
  }

  /** Call `watcher(batch)` when something changed, at most once a frame; return how to end it. */
  subscribe(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Take in a message of the stream. */
  take(event, data) {
    if (event === "snapshot") this.#snapshot(data);
    else if (event === "state") this.#rows(data.rows);
    else if (event === "event") this.#event(data);
    else if (event === "log") this.#mark().logs.push(data);
  }

  #snapshot(data) {
    if (data.part === 1) {
      this.#staged = {
        applications: new Map(),
        nodes: new Map(),
        changes: new Map(),
        instances: new Map(),
      };
    }
    if (!this.#staged) return;
    for (const row of data.rows) this.#set(this.#staged, row);
    if (data.part < data.parts) return;
    Object.assign(this, this.#staged);
    this.#staged = null;
    this.isComplete = true;
    this.#mark().all = true;
  }

  #rows(rows) {
    const batch = this.#mark();
    for (const row of rows) {
      if (row.kind === "instance" && row.application !== this.#application) continue;
      this.#set(this, row);
      batch[KINDS[row.kind]].add(key(row));
    }
  }

  #set(tables, row) {
    const table = tables[KINDS[row.kind]];
    if (!table || (row.kind === "instance" && row.application !== this.#application)) return;
    if (!row.gone) {
      table.set(key(row), row);
      return;
    }
    table.delete(key(row));
    if (row.kind === "application") forget(tables, row.name, this.#application);
  }

  #event(event) {
    if (this.events.some((known) => known.id === event.id)) return;
    this.events.unshift(event);
    this.events.length = Math.min(this.events.length, EVENTS_KEPT);
    this.#mark().events.push(event);
  }

  #mark() {
    if (!this.#batch) {
      this.#batch = new Batch();
      // A hidden page draws no frames; it must not fall behind without end.
      if (document.hidden) setTimeout(() => this.#tell(), 250);
      else requestAnimationFrame(() => this.#tell());
    }
    return this.#batch;
  }

  #tell() {
    const batch = this.#batch;
    if (!batch) return;
    this.#batch = null;
    for (const watcher of [...this.#watchers]) watcher(batch);
  }
}

function key(row) {
  return { application: row.name, instance: row.path }[row.kind] ?? row.id;
}

/** An application is gone: so are its nodes and instances. */
function forget(tables, name, watched) {
  for (const node of [...tables.nodes.values()]) {
    if (node.application === name) tables.nodes.delete(node.id);
  }
  if (watched === name) tables.instances.clear();
}

export const store = new Store();
