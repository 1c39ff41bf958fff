// Short messages at the edge of the window; screen readers say them.

import { h } from "../dom.js";

const SHOWN_MS = 6000;
let place = null;

export function toast(text) {
  if (!place) {
    place = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(place);
  }
  const one = h("div", { class: "toast" }, text);
  place.append(one);
  setTimeout(() => one.remove(), SHOWN_MS);
}
