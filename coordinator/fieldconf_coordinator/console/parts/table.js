// A table of rows that can be filtered, in a card; its head, its emptiness, its count.

import { h, put, say } from "../dom.js";
import { Growing } from "./list.js";

/**
 * columns: [[title, class], …]
 * key(item), cells(item): names a row, returns its cells
 * digest(item): what a row shows; it is drawn anew only when this changes
 */
export function table({ columns, key, cells, digest, caption }) {
  const body = h("tbody");
  const digestOf = digest ?? ((item) => JSON.stringify(item));
  const rows = new Growing(body, {
    key,
    make(item) {
      const element = h("tr", { class: "links" });
      let drawn = null;
      const update = (now) => {
        const text = digestOf(now);
        if (text !== drawn) put(element, cells(now).map((cell, place) => labelled(cell, columns[place][0], place)));
        drawn = text;
      };
      update(item);
      return { element, update };
    },
  });
  const head = h("thead", null, h("tr", null, columns.map(([title, name]) => h("th", { scope: "col", class: name }, title || h("span", { class: "unseen" }, "Actions")))));
  const element = h("div", { class: "table-wrap" }, h("table", { class: "stack" }, caption ? h("caption", { class: "unseen" }, caption) : null, head, body));
  return { element, rows };
}

function labelled(cell, title, place) {
  if (place && title) cell.setAttribute("data-label", title);
  if (!cell.textContent && !cell.childElementCount) cell.classList.add("blank");
  return cell;
}

export function cell(content, name = "") {
  // On a phone what stands in a cell goes beside its title as one; buttons wrap one by one.
  const isOne = !Array.isArray(content) || name.includes("actions");
  return h("td", { class: name || null }, isOne ? content : h("div", null, content));
}

/** Return tools above a table: a search, choices, how many are shown. */
export function tools(placeholder, choices, changed) {
  const search = h("input", { type: "search", placeholder, "aria-label": placeholder });
  const shown = h("span", { class: "shown", role: "status" });
  const selects = choices.map(([label, options]) => {
    const select = h("select", { "aria-label": label, onchange: changed });
    setOptions(select, options);
    return select;
  });
  search.addEventListener("input", changed);
  return {
    element: h("div", { class: "tools" }, search, selects, shown),
    text: () => search.value.trim().toLowerCase(),
    value: (place) => selects[place].value,
    setOptions: (place, options) => setOptions(selects[place], options),
    set: (place, value) => {
      selects[place].value = value;
    },
    say: (text) => say(shown, text),
  };
}

/** Set [value, text] options, and keep what is chosen. */
function setOptions(select, options) {
  const now = options.map(([value]) => value).join("\n");
  if (select.dataset.options === now) return;
  const chosen = select.value;
  put(select, options.map(([value, text]) => h("option", { value }, text)));
  select.dataset.options = now;
  select.value = options.some(([value]) => value === chosen) ? chosen : options[0][0];
}

/** Return the head of a page. */
export function head(title, about, ...buttons) {
  const text = h("p", null, about);
  return { element: h("div", { class: "page-head" }, h("div", { class: "titles" }, h("h1", null, title), text), h("div", { class: "row" }, buttons)), say: (now) => say(text, now) };
}
