// A list that may be long: rows are made as far as one has scrolled, and kept by their key.

import { h } from "../dom.js";

const CHUNK = 100;

/**
 * A growing list of rows in `host`, a tbody or a list.
 *
 * make(item) returns {element, update(item)}; key(item) names it.
 */
export class Growing {
  #host;
  #key;
  #make;
  #rows = new Map(); // key → {element, update}
  #items = [];
  #limit = CHUNK;
  #end;
  #observer;

  constructor(host, { key, make }) {
    this.#host = host;
    this.#key = key;
    this.#make = make;
    const isTable = host.tagName === "TBODY";
    this.#end = h(isTable ? "tr" : "li", { "aria-hidden": "true" }, isTable ? h("td", { colspan: "20" }) : null);
    this.#observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) this.#grow();
    }, { rootMargin: "600px" });
  }

  close() {
    this.#observer.disconnect();
  }

  /** Begin at the top again: other items follow. */
  restart() {
    this.#limit = CHUNK;
  }

  /** Show these items, in this order. */
  show(items) {
    this.#items = items;
    this.#draw();
  }

  /** Draw one row anew, if it is drawn at all. */
  refresh(item) {
    this.#rows.get(this.#key(item))?.update(item);
  }

  #grow() {
    if (this.#limit >= this.#items.length) return;
    this.#limit += CHUNK;
    this.#draw();
  }

  #draw() {
    const shown = this.#items.slice(0, this.#limit);
    const keys = new Set(shown.map(this.#key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    let next = this.#host.firstChild;
    for (const item of shown) {
      const row = this.#row(item);
      if (row.element === next) next = next.nextSibling;
      else this.#host.insertBefore(row.element, next);
    }
    this.#mind();
  }

  #row(item) {
    const key = this.#key(item);
    const known = this.#rows.get(key);
    if (known) {
      known.update(item);
      return known;
    }
    const made = this.#make(item);
    this.#rows.set(key, made);
    return made;
  }

  /** The end of what is drawn is watched only where more follows. */
  #mind() {
    this.#observer.unobserve(this.#end);
    if (this.#limit < this.#items.length) {
      this.#host.append(this.#end);
      this.#observer.observe(this.#end);
    } else this.#end.remove();
  }
}
