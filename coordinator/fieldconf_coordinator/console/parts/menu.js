// A button that opens a few more actions.

import { h } from "../dom.js";

/** items: [[text, action, isDanger], …]; those that are null are left out. */
export function menu(label, items) {
  const list = h("div", { class: "menu-list" });
  const summary = h("summary", { class: "button" }, label);
  const element = h("details", { class: "menu" }, summary, list);
  const close = (focus) => {
    element.open = false;
    if (focus) summary.focus();
  };
  for (const item of items) {
    if (!item) continue;
    const [text, action, isDanger] = item;
    const choose = () => {
      close(true);
      action();
    };
    list.append(h("button", { type: "button", class: isDanger ? "danger" : "", onclick: choose }, text));
  }
  element.addEventListener("keydown", (event) => event.key === "Escape" && close(true));
  element.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !element.contains(event.relatedTarget)) close(false);
  });
  element.addEventListener("toggle", () => {
    if (!element.open) return;
    list.classList.remove("to-the-right");
    list.classList.toggle("to-the-right", list.getBoundingClientRect().left < 0);
    const away = (event) => {
      if (element.contains(event.target)) return;
      close(false);
      document.removeEventListener("pointerdown", away);
    };
    document.addEventListener("pointerdown", away);
  });
  return element;
}
