// All about one instance: how it is, why, what it imports and exports, what it printed, its history.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { NOT_DEPLOYED, STARTED, STOPPED } from "../model.js";
import { to } from "../router.js";
import { sentence, toneOf } from "../words.js";
import * as actions from "./actions.js";
import { errorNote, loading, mark, stateOf, time } from "./marks.js";
import { menu } from "./menu.js";

const PAUSE_MS = 300;
const LOG_KEPT = 400;
const HISTORY_SHOWN = 20;
const PROVIDERS_SHOWN = 6;

/** The panel of the instance at `path`; close() ends it. */
export class Panel {
  #application;
  #path;
  #model;
  #close;
  #timer = 0;
  #abort = new AbortController();
  #providers = new Set();
  #isOpen = new Set(); // prefixes of which all providers show
  #follows = true;
  #history = new Map(); // id → event
  #lines = 0;
  #parts = {};

  constructor(host, { application, path, model, close }) {
    this.#application = application;
    this.#path = path;
    this.#model = model;
    this.#close = close;
    for (const name of ["state", "why", "problem", "imports", "exports", "data"]) this.#parts[name] = h("section", { class: "part", hidden: true });
    this.#parts.buttons = h("div", { class: "row" });
    this.#parts.log = h("pre", { class: "log", tabindex: "0", "aria-label": "Output of its steps" });
    this.#parts.logPart = h("section", { class: "part" }, h("h3", null, "Log"), this.#parts.log);
    this.#parts.history = h("ul", { class: "history" });
    this.#parts.body = h("div", null, loading());
    this.#parts.log.addEventListener("scroll", () => {
      const log = this.#parts.log;
      this.#follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
    });
    host.append(this.#head(), this.#parts.body);
    this.#load();
    this.#loadLog();
    this.#loadHistory();
  }

  close() {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  #head() {
    const close = h("button", { class: "icon plain", "aria-label": "Close", title: "Close", onclick: this.#close }, "×");
    const row = this.#model().rows.get(this.#path);
    return h("header", null, h("div", { class: "top" }, h("h2", null, this.#path), close), h("p", { class: "sub" }, row?.component ?? ""), this.#parts.buttons);
  }

  /** Something changed: look again if it is about this one. */
  told(batch) {
    const mine = batch.all || batch.instances.has(this.#path) || [...this.#providers].some((path) => batch.instances.has(path));
    if (mine && !this.#timer) this.#timer = setTimeout(() => this.#load(), PAUSE_MS);
    this.#append(batch.logs.filter((part) => part.application === this.#application && part.path === this.#path));
    this.#remember(batch.events);
  }

  async #load() {
    this.#timer = 0;
    try {
      const signal = this.#abort.signal;
      const url = api.instanceUrl(this.#application, this.#path);
      const row = await api.get(url, null, signal);
      const reasons = row.settled ? [] : await api.get(`${api.applicationUrl(this.#application)}/why`, { path: this.#path }, signal);
      this.#draw(row, reasons);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status === 404) put(this.#parts.body, h("div", { class: "part" }, h("p", { class: "quiet" }, "This instance is gone.")));
      else if (error.status) put(this.#parts.body, errorNote(error));
      else this.#timer = setTimeout(() => this.#load(), 2000);
    }
  }

  #draw(row, reasons) {
    const parts = this.#parts;
    if (!parts.state.isConnected) {
      put(parts.body, parts.state, parts.why, parts.problem, parts.imports, parts.exports, parts.data, parts.logPart, h("section", { class: "part" }, h("h3", null, "History"), parts.history, this.#moreHistory()));
      this.#scrollLog();
    }
    this.#buttons(row);
    fill(parts.state, null, this.#facts(row));
    fill(parts.why, "Why", reasons.length ? chain(reasons, this.#application) : null);
    fill(parts.problem, "Problem", row.problem ? this.#problem(row.problem) : null);
    fill(parts.imports, "Imports", row.imports.length ? this.#imports(row.imports) : null);
    fill(parts.exports, "Exports", facts(Object.entries(row.exports)));
    fill(parts.data, "Data", facts(Object.entries(row.data)));
  }

  #facts(row) {
    const wanted = row.wish === row.state ? h("span", null, row.wish) : h("span", { class: "strong" }, row.wish);
    const found = [
      ["State", stateOf(row)],
      ["Wanted", wanted],
      ["Installer", row.installer],
      ["Node", row.node ? h("span", { class: "row" }, h("a", { class: "mono", href: to("nodes", [row.node]) }, row.node), row.online ? null : h("span", { class: "chip wait" }, "offline")) : "none yet"],
      ["Address", row.address],
    ];
    if (row.leaving) found.push(["Leaving", "it is being removed"]);
    return facts(found.filter(([, value]) => value));
  }

  #problem(problem) {
    return [h("p", { class: "text-bad strong" }, sentence(problem.code)), h("p", { class: "break" }, problem.text), problem.resting ? h("p", { class: "quiet" }, "It is tried again every 5 min; Retry tries at once.") : null];
  }

  #imports(imports) {
    this.#providers = new Set(imports.flatMap((one) => one.providers.map((provider) => provider.path)));
    return h(
      "ul",
      { class: "imports" },
      imports.map((one) => h("li", null, this.#importHead(one), one.providers.length ? this.#providerList(one) : null)),
    );
  }

  #providerList(one) {
    const rows = one.providers.map((provider) => this.#provider(provider));
    const left = one.total - one.providers.length;
    const more = rows.splice(PROVIDERS_SHOWN);
    if (left) more.push(h("li", { class: "quiet" }, `and ${left} more`));
    const rest = more.length ? h("details", { class: "more", open: this.#isOpen.has(one.prefix) }, h("summary", null, `${one.total - rows.length} more`), h("ul", null, more)) : null;
    rest?.addEventListener("toggle", () => this.#isOpen[rest.open ? "add" : "delete"](one.prefix));
    return h("ul", { class: "providers" }, rows, rest ? h("li", null, rest) : null);
  }

  #importHead(one) {
    const serving = one.providers.filter((provider) => provider.state === STARTED).length;
    const [tone, text] = one.missing ? ["bad", "missing"] : serving ? ["good", serving === one.providers.length ? `served by ${one.total}` : `served by ${serving} of ${one.total}`] : one.providers.length ? ["wait", "not served"] : ["off", one.mandatory ? "nobody exports it" : "nobody, and it need not be"];
    return h("div", { class: "row" }, mark(tone, h("span", { class: "strong" }, one.prefix)), h("span", { class: "quiet" }, text), one.mandatory ? null : h("span", { class: "chip" }, "optional"), one.external ? h("span", { class: "chip" }, "external") : null);
  }

  #provider(provider) {
    const href = to("applications", [provider.application], { at: provider.path });
    const isElsewhere = provider.application !== this.#application;
    return h("li", { class: "row" }, h("span", { class: `mark ${toneOf(provider.state)}`, "aria-hidden": "true" }), h("a", { class: "mono break", href }, isElsewhere ? `${provider.application}: ${provider.path}` : provider.path), h("span", { class: "quiet" }, provider.state));
  }

  #buttons(row) {
    if (!api.may("operator")) return;
    const [application, path] = [this.#application, this.#path];
    const kind = this.#model().kind(row.component);
    const go = (wanted) => () => actions.wish(application, path, wanted);
    const isBusy = toneOf(row.state) === "busy";
    put(
      this.#parts.buttons,
      row.wish === STARTED ? null : h("button", { class: "small primary", onclick: go(STARTED) }, "Start"),
      row.wish === STOPPED ? null : h("button", { class: "small", onclick: go(STOPPED) }, row.wish === NOT_DEPLOYED ? "Deploy, stopped" : "Stop"),
      row.problem ? h("button", { class: "small", onclick: () => actions.retry(application, path) }, "Retry") : null,
      isBusy ? h("button", { class: "small", onclick: () => actions.cancelStep(application, path) }, "Cancel the step") : null,
      menu("More", [
        kind.children.length ? ["Add an instance inside …", () => actions.add(this.#model(), application, path)] : null,
        row.parent === null ? ["Scale …", () => actions.scale(this.#model(), application, path)] : null,
        row.wish === NOT_DEPLOYED ? null : ["Undeploy …", go(NOT_DEPLOYED), true],
        ["Remove …", () => actions.remove(application, path), true],
      ]),
    );
  }

  #moreHistory() {
    const href = to("events", [], { application: this.#application, path: this.#path });
    return h("p", { class: "sub" }, h("a", { href }, "All its events"));
  }

  // -- log

  async #loadLog() {
    try {
      const found = await api.get(`${api.applicationUrl(this.#application)}/logs`, { path: this.#path, limit: 200 }, this.#abort.signal);
      this.#append(found);
      if (!found.length && !this.#lines) put(this.#parts.log, h("span", { class: "step" }, "Its steps have printed nothing lately."));
    } catch {
      // What comes by the stream shows all the same.
    }
  }

  #append(parts) {
    if (!parts.length) return;
    const log = this.#parts.log;
    if (!this.#lines) put(log);
    for (const part of parts) {
      this.#lines += 1;
      const text = part.text.endsWith("\n") ? part.text : `${part.text}\n`;
      log.append(h("span", null, h("span", { class: "step" }, `${part.step} │ `), text));
    }
    while (log.childElementCount > LOG_KEPT) log.firstElementChild.remove();
    this.#scrollLog();
  }

  #scrollLog() {
    if (this.#follows) this.#parts.log.scrollTop = this.#parts.log.scrollHeight;
  }

  // -- history

  async #loadHistory() {
    try {
      this.#remember(await api.get("/events", { application: this.#application, limit: 500 }, this.#abort.signal));
    } catch {
      // New lines come by the stream.
    }
    if (!this.#history.size) put(this.#parts.history, h("li", { class: "quiet all" }, "Nothing yet."));
  }

  #remember(events) {
    const mine = events.filter((event) => event.application === this.#application && isAbout(event, this.#path));
    if (!mine.length) return;
    for (const event of mine) this.#history.set(event.id, event);
    const latest = [...this.#history.values()].sort((a, b) => b.id - a.id).slice(0, HISTORY_SHOWN);
    put(this.#parts.history, latest.map((event) => h("li", null, time(event.at), h("span", { class: "break" }, event.text))));
  }
}

/** Tell whether an event is about an instance: by its path, that of what it stands in, or all. */
function isAbout(event, path) {
  if (event.path) return path === event.path || path.startsWith(`${event.path}/`);
  const named = event.text.match(/\/\S+/g)?.map((word) => word.replace(/[:,;]+$/, ""));
  return !named || named.some((one) => path === one || path.startsWith(`${one}/`));
}

function fill(part, title, content) {
  const isEmpty = !content || (Array.isArray(content) && !content.length);
  part.hidden = isEmpty;
  put(part, title && !isEmpty ? h("h3", null, title) : null, isEmpty ? null : content);
}

function facts(entries) {
  if (!entries.length) return null;
  return h("dl", { class: "facts" }, entries.flatMap(([name, value]) => [h("dt", null, name), h("dd", { class: typeof value === "string" ? "mono" : "" }, value ?? "")]));
}

/** Return the chain of reasons, the root cause last. */
export function chain(reasons, application) {
  return h("ol", { class: "chain" }, reasons.map((reason) => h("li", null, h("a", { class: "mono break", href: to("applications", [application], { at: reason.path }) }, reason.path), " ", reason.text)));
}
