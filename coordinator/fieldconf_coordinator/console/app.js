// The console: logs in, keeps the stream open, shows the page that the hash names.

import * as api from "./api.js";
import { h, put } from "./dom.js";
import { Live } from "./live.js";
import { shell } from "./shell.js";
import { parse } from "./router.js";
import { store } from "./store.js";
import * as theme from "./theme.js";
import * as access from "./pages/access.js";
import * as application from "./pages/application.js";
import * as bindings from "./pages/bindings.js";
import * as events from "./pages/events.js";
import * as fleet from "./pages/fleet.js";
import * as login from "./pages/login.js";
import * as node from "./pages/node.js";
import * as nodes from "./pages/nodes.js";
import * as targets from "./pages/targets.js";
import * as template from "./pages/template.js";
import * as templates from "./pages/templates.js";

// name in the hash → [module for the list, module for one of them]
const PAGES = {
  "": [fleet],
  applications: [fleet, application],
  nodes: [nodes, node],
  templates: [templates, template],
  targets: [targets],
  bindings: [bindings],
  events: [events],
  access: [access],
};
const QUIET = { instances: "false" };

const root = document.getElementById("app");
let frame = null;
let page = null; // {key, shown}

const live = new Live({
  message: (event, data) => store.take(event, data),
  status: (status) => frame?.connection(status),
  refused: () => api.readSession().then(begin, begin),
});

function show() {
  if (!frame) return;
  const route = parse(location.hash);
  const [list, one] = PAGES[route.page] ?? PAGES[""];
  const module = route.names.length && one ? one : list;
  const key = `${route.page}/${route.names.join("/")}`;
  frame.mark(route.page === "applications" ? "" : route.page);
  if (page?.key === key) {
    page.shown.turned?.(route);
    return;
  }
  leave();
  const scope = module.scope?.(route) ?? QUIET;
  store.watchApplication(scope.application);
  live.watch(scope);
  frame.main.replaceChildren();
  const shown = module.show(frame.main, route);
  page = { key, shown, unsubscribe: store.subscribe((batch) => shown.told?.(batch)) };
  document.title = `${shown.title} · Fieldconf`;
  scrollTo(0, 0);
}

function leave() {
  page?.unsubscribe();
  page?.shown.close?.();
  page = null;
}

/** Show the pages to whoever is logged in, the login to anyone else. */
function begin() {
  leave();
  if (api.session.role === "") {
    live.stop();
    frame = null;
    put(root, login.form(begin));
    return;
  }
  frame = shell(begin);
  put(root, frame.element);
  show();
}

async function start() {
  theme.apply();
  addEventListener("hashchange", show);
  api.whenLoggedOut(() => {
    if (api.session.role === "") return;
    Object.assign(api.session, { role: "", first: false });
    begin();
  });
  for (let pause = 500; ; pause = Math.min(10_000, pause * 2)) {
    try {
      await api.readSession();
      break;
    } catch (error) {
      put(root, h("p", { class: "loading", role: "status" }, `${error.message} …`));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  begin();
}

start();
