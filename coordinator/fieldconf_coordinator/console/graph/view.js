// Zoom and pan of an SVG: wheel, drag, two fingers, keys. Knows nothing of what is drawn.

const LEAST = 0.05;
const MOST = 6;
const STEP = 1.3;

export class View {
  #svg;
  #stage;
  #size = { width: 1, height: 1 };
  #pointers = new Map();
  #moved = false;
  scale = 1;
  x = 0;
  y = 0;

  constructor(svg, stage) {
    this.#svg = svg;
    this.#stage = stage;
    svg.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, (event) => this.#up(event));
    // The end of a drag is no click on what lies below.
    svg.addEventListener("click", (event) => this.#moved && event.stopPropagation(), true);
  }

  /** Show all of a picture of this size. */
  fit({ width, height } = this.#size) {
    this.#size = { width, height };
    const { clientWidth: w, clientHeight: h } = this.#svg;
    if (!w || !h) return;
    const margin = 24;
    const foot = 56; // the legend and the buttons stand there
    const scale = Math.min((w - 2 * margin) / Math.max(1, width), (h - margin - foot) / Math.max(1, height), 1.15);
    this.scale = Math.max(LEAST, scale);
    this.x = (w - width * this.scale) / 2;
    this.y = margin + (h - margin - foot - height * this.scale) / 2;
    this.#apply();
  }

  zoom(factor, x = this.#svg.clientWidth / 2, y = this.#svg.clientHeight / 2) {
    const scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.#apply();
  }

  in() {
    this.zoom(STEP);
  }

  out() {
    this.zoom(1 / STEP);
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.#apply();
  }

  /** Move as little as is needed for a box to be seen. */
  reveal(box) {
    const margin = 40;
    const left = box.x * this.scale + this.x;
    const top = box.y * this.scale + this.y;
    const dx = outside(left, left + box.w * this.scale, margin, this.#svg.clientWidth - margin);
    const dy = outside(top, top + box.h * this.scale, margin, this.#svg.clientHeight - margin);
    if (dx || dy) this.pan(dx, dy);
  }

  #apply() {
    this.#stage.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.scale})`);
  }

  #wheel(event) {
    event.preventDefault();
    const box = this.#svg.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.zoom(Math.exp((-event.deltaY * lines) / 400), event.clientX - box.left, event.clientY - box.top);
  }

  #down(event) {
    if (event.button) return;
    if (!this.#pointers.size) this.#moved = false;
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.#pointers.size === 1) {
      if (!this.#moved && Math.hypot(now.x - before.x, now.y - before.y) < 4) return;
      this.#drag(event);
      this.pan(now.x - before.x, now.y - before.y);
    } else this.#pinch(event.pointerId, before, now);
    this.#pointers.set(event.pointerId, now);
  }

  #drag(event) {
    if (this.#moved) return;
    this.#moved = true;
    this.#svg.setPointerCapture(event.pointerId);
    this.#svg.classList.add("dragging");
  }

  #pinch(id, before, now) {
    this.#moved = true;
    const other = [...this.#pointers].find(([known]) => known !== id)[1];
    const was = Math.hypot(before.x - other.x, before.y - other.y);
    const is = Math.hypot(now.x - other.x, now.y - other.y);
    const box = this.#svg.getBoundingClientRect();
    this.zoom(is / Math.max(1, was), (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
    this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
    if (!this.#pointers.size) this.#svg.classList.remove("dragging");
  }
}

/** Return how far to move a stretch so that it lies within. */
function outside(from, to, least, most) {
  if (to - from > most - least) return least - from;
  if (from < least) return least - from;
  if (to > most) return most - to;
  return 0;
}
