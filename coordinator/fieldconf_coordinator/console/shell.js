// The frame around every page: where one can go, how the connection is, who one is.

import * as api from "./api.js";
import { h, put, say, svg } from "./dom.js";
import * as theme from "./theme.js";

const PAGES = [
  ["", "Fleet"],
  ["nodes", "Nodes"],
  ["templates", "Templates"],
  ["targets", "Targets"],
  ["bindings", "Bindings"],
  ["events", "Events"],
  ["access", "Users and tokens"],
];
const CONNECTIONS = {
  connecting: ["busy", "Connecting …"],
  live: ["good", "Live"],
  lost: ["bad", "Reconnecting …"],
};
const THEMES = { system: "System theme", light: "Light theme", dark: "Dark theme" };

export function logo() {
  return svg(
    "svg",
    { viewBox: "0 0 32 32", "aria-hidden": "true" },
    svg("rect", { width: 32, height: 32, rx: 7, fill: "#1f5fbf" }),
    svg("path", { d: "M10 9.5h12M10 9.5v13M10 16h8", stroke: "#fff", "stroke-width": 3, "stroke-linecap": "round", fill: "none" }),
    svg("circle", { cx: 22, cy: 22, r: 2.6, fill: "#fff" }),
  );
}

/** Return {element, main, mark(page), connection(status)}. */
export function shell(loggedOut) {
  const links = new Map(PAGES.map(([page, name]) => [page, h("a", { href: `#/${page}` }, name)]));
  const state = h("div", { class: "connection", role: "status", "aria-live": "polite" });
  const main = h("main", { id: "main", tabindex: "-1" });
  const menu = h("button", { class: "menu-button small", "aria-expanded": "false", "aria-controls": "pages" }, "Menu");
  const side = h(
    "header",
    { class: "side" },
    h("a", { class: "brand", href: "#/" }, logo(), "Fieldconf"),
    menu,
    h("nav", { class: "pages", id: "pages", "aria-label": "Pages" }, [...links.values()]),
    h("div", { class: "side-foot" }, state, themeSwitch(), who(loggedOut)),
  );
  const open = (isOpen) => {
    side.classList.toggle("open", isOpen);
    menu.setAttribute("aria-expanded", String(isOpen));
  };
  menu.addEventListener("click", () => open(!side.classList.contains("open")));
  const skip = h("button", { class: "skip", onclick: () => main.focus() }, "Skip to the page");
  const warning = h("div", { class: "unseen", role: "alert" });
  connection("connecting");

  function connection(status) {
    const [tone, text] = CONNECTIONS[status];
    put(state, h("span", { class: `mark ${tone}`, "aria-hidden": "true" }), text);
    side.dataset.connection = status;
    say(warning, status === "lost" ? "The connection to the coordinator is lost; what you see may be old." : "");
  }

  function mark(page) {
    for (const [name, link] of links) {
      if (name === page) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    open(false);
  }

  return { element: h("div", { class: "frame" }, skip, side, main, warning), main, mark, connection };
}

function themeSwitch() {
  const options = theme.CHOICES.map((choice) => h("option", { value: choice }, THEMES[choice]));
  const select = h("select", { "aria-label": "Theme", onchange: () => theme.choose(select.value) }, options);
  select.value = theme.current();
  return select;
}

function who(loggedOut) {
  const { user, role, via } = api.session;
  const leave = async () => {
    await api.logOut().catch(() => {});
    api.session.role = "";
    loggedOut();
  };
  const name = h("span", { class: "name", title: `${user}, ${role}` }, `${user} · ${role}`);
  return h("div", { class: "who" }, name, via === "session" ? h("button", { class: "plain", onclick: leave }, "Log out") : null);
}
