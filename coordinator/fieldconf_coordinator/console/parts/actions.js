// What one can do with an application and its instances: each tells first what will happen.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { NOT_DEPLOYED, STARTED, STOPPED, nameOf } from "../model.js";
import { go } from "../router.js";
import { store } from "../store.js";
import { count } from "../words.js";
import { ask, effectsList, field } from "./dialog.js";
import { errorNote } from "./marks.js";
import { targetOptions } from "./placing.js";
import { preview } from "./preview.js";
import { toast } from "./toast.js";

const VERBS = {
  [STARTED]: { name: "start", title: "Start", action: "Start", nothing: "It is started already." },
  [STOPPED]: { name: "stop", title: "Stop", action: "Stop", danger: true, nothing: "Nothing runs there." },
  [NOT_DEPLOYED]: { name: "undeploy", title: "Undeploy", action: "Undeploy", danger: true, nothing: "Nothing is deployed there." },
};

/** Wish one instance, or with no path the whole application, into a state. */
export function wish(application, path, wanted) {
  const { title, action, danger, nothing, name } = VERBS[wanted];
  const paths = path ? [path] : null;
  const foreseen = preview(application, nothing);
  ask({
    title: `${title} ${path || `all of ${application}`}`,
    body: foreseen.element,
    action,
    danger,
    application,
    perform: () => api.put(`${api.applicationUrl(application)}/wanted`, { wanted, paths }),
  });
  foreseen.look({ action: name, paths });
}

export function remove(application, path) {
  const force = h("input", { type: "checkbox" });
  const foreseen = preview(application, "");
  ask({
    title: `Remove ${path}`,
    body: h("div", null, foreseen.element, h("label", { class: "check" }, force, "By force: do not wait for what runs there")),
    action: "Remove",
    danger: true,
    application,
    perform: () => api.remove(api.instanceUrl(application, path), { force: force.checked }),
  });
  foreseen.look({ action: "remove", paths: [path] });
}

/** Have so many copies of a root instance. */
export function scale(model, application, path) {
  const base = path.replace(/\d+$/, "");
  const copies = model.roots.filter((one) => one.replace(/\d+$/, "") === base && model.rows.get(one).wish !== NOT_DEPLOYED);
  const input = h("input", { type: "number", min: "1", max: "20000", value: String(copies.length || 1), required: true });
  const foreseen = preview(application, "That is how many there are now.");
  const look = () => input.validity.valid && foreseen.look({ action: "scale", paths: [path], count: Number(input.value) });
  input.addEventListener("input", look);
  ask({
    title: `Scale ${base}`,
    body: h("div", null, field("Copies", input, `There ${copies.length === 1 ? "is one" : `are ${copies.length}`} now.`), foreseen.element),
    action: "Scale",
    application,
    perform: () => api.post(`${api.applicationUrl(application)}/scale`, { path, count: Number(input.value) }),
  });
  look();
}

/** Add an instance inside another, or at the top with no parent. */
export function add(model, application, parent) {
  const possible = parent
    ? model.kindOf(parent).children
    : model.components.filter((kind) => !kind.parents.length).map((kind) => kind.name);
  const component = h("select", null, possible.map((name) => h("option", { value: name }, name)));
  const name = h("input", { required: true, autocapitalize: "none", spellcheck: "false" });
  const notes = h("div");
  const tell = () => put(notes, addNotes(model, component.value));
  component.addEventListener("change", tell);
  tell();
  ask({
    title: parent ? `Add an instance in ${parent}` : `Add an instance to ${application}`,
    body: h("div", null, field("Component", component), field("Name", name), notes),
    action: "Add",
    application,
    perform: () => api.post(`${api.applicationUrl(application)}/instances`, { parent: parent || null, name: name.value.trim(), component: component.value }),
  });
}

function addNotes(model, component) {
  const kind = model.kind(component);
  const lines = [kind.installer === "target" ? "A node is made for it." : "It is deployed, then started."];
  const needs = kind.imports.filter((one) => one.mandatory).map((one) => one.prefix);
  const missing = needs.filter((prefix) => !model.exporters(prefix).length && !model.bindings[prefix]?.length);
  if (needs.length) lines.push(`It needs ${needs.join(" and ")}.`);
  if (missing.length) lines.push(`Nobody exports ${missing.join(" and ")}: it will wait.`);
  const users = model.paths.filter((path) => model.kindOf(path).imports.some((one) => kind.exports.includes(one.prefix)));
  if (users.length) lines.push(`${count(users.length, "instance")} that ${users.length === 1 ? "imports" : "import"} from it ${users.length === 1 ? "is" : "are"} updated: ${users.slice(0, 5).map(nameOf).join(", ")}${users.length > 5 ? " …" : ""}.`);
  return h("p", { class: "section" }, lines.join(" "));
}

/** Edit what people say about an application, unless somebody else was faster. */
export async function editDescription(application, done) {
  const url = api.applicationUrl(application);
  let found;
  try {
    found = await api.getTagged(url);
  } catch (error) {
    toast(error.message);
    return;
  }
  const text = h("textarea", { rows: "4", maxlength: "4000" }, found.data.description);
  ask({
    title: `Description of ${application}`,
    body: field("Description", text, "What it is for, whom to ask."),
    action: "Save",
    perform: () => api.patch(url, { description: text.value }, found.tag),
    done,
  });
}

/** Delete an application of which nothing is deployed. */
export function deleteApplication(application) {
  ask({
    title: `Delete ${application}`,
    body: h("p", { class: "section" }, "The application and its wishes are forgotten. Its template stays. This is possible only when nothing of it is deployed."),
    action: "Delete",
    danger: true,
    perform: () => api.remove(api.applicationUrl(application)),
    done: () => {
      toast(`${application} is deleted.`);
      go("");
    },
  });
}

/** Do something small at once, and say how it went. */
export async function atOnce(what, text) {
  try {
    await what();
    toast(text);
  } catch (error) {
    toast(`${error.message}${error.hint ? ` — ${error.hint}` : ""}`);
  }
}

export function retry(application, path) {
  return atOnce(() => api.post(`${api.applicationUrl(application)}/retry`, { path: path || null }), "It is tried again.");
}

export function cancelStep(application, path) {
  return atOnce(() => api.post(`${api.applicationUrl(application)}/cancel`, { path }), "The step is being ended.");
}

/** Choose a template and a name, see what it changes, deploy it. */
export async function deploy({ template, application } = {}) {
  let templates;
  try {
    templates = (await api.getAll("/templates")).filter((one) => !application || !template || one.id === template);
  } catch (error) {
    toast(error.message);
    return;
  }
  if (!templates.length) {
    toast("There is no template: upload one first.");
    go("templates", [], { upload: "1" });
    return;
  }
  const form = deployForm(templates, template, application);
  ask({
    title: application ? `Change ${application} to another template` : "Deploy a template",
    body: form.element,
    action: "Deploy",
    wide: true,
    perform: form.perform,
    done: (answer) => form.name() && go("applications", [answer.name ?? form.name()]),
  });
  form.look();
}

function deployForm(templates, template, application) {
  const choice = h("select", null, templates.map((one) => h("option", { value: one.id }, `${one.name} ${one.version}${sameName(templates, one) ? ` (${one.id.slice(0, 8)})` : ""}`)));
  if (template) choice.value = template;
  const chosen = () => templates.find((one) => one.id === choice.value);
  const name = h("input", { value: application ?? chosen().name, autocapitalize: "none", spellcheck: "false" });
  if (application) name.readOnly = true;
  const target = h("select");
  const targetField = field("Target", target, "Where its nodes come from.");
  const simulate = h("input", { type: "checkbox" });
  const simulateField = h("label", { class: "check" }, simulate, "Simulate: run no step of any recipe, write down what it would be told");
  const plan = h("div");
  const exists = () => store.applications.has(name.value.trim());
  /** What only a new application is asked for. */
  const chances = () => ({ ...(target.value ? { target: target.value } : {}), ...(simulate.checked ? { simulate: true } : {}) });
  let turn = 0;

  /** Offer the targets that are meant for this template and name. */
  async function offer() {
    const chosenBefore = target.value;
    const targets = await api.get("/targets", { template: chosen().name, application: exists() ? name.value.trim() : "" }).catch(() => []);
    put(target, targetOptions(targets, "As was chosen for the template, else as the instances say, else the coordinator’s own"));
    if ([...target.options].some((one) => one.value === chosenBefore)) target.value = chosenBefore;
  }

  async function look() {
    turn += 1;
    const mine = turn;
    targetField.hidden = simulateField.hidden = exists();
    const query = { application: name.value.trim(), ...(exists() ? {} : chances()) };
    try {
      const found = await api.get(`/templates/${encodeURIComponent(choice.value)}/plan`, query);
      if (mine === turn) put(plan, shownPlan(found));
    } catch (error) {
      if (mine === turn) put(plan, errorNote(error));
    }
  }

  choice.addEventListener("change", () => {
    if (!application) name.value = chosen().name;
    offer();
    look();
  });
  offer();
  for (const one of [name, target, simulate]) one.addEventListener("change", look);
  return {
    element: h("div", null, field("Template", choice), field("Application", name), targetField, simulateField, plan),
    look,
    name: () => name.value.trim(),
    perform: async () => {
      const wanted = name.value.trim();
      if (exists()) return { ...(await api.put(`${api.applicationUrl(wanted)}/template`, { template: choice.value })), name: wanted };
      return api.post("/applications", { template: choice.value, name: wanted, ...chances() });
    },
  };
}

const sameName = (templates, one) => templates.some((other) => other !== one && other.name === one.name && other.version === one.version);

const WORDS = { add: "is added", remove: "is removed", upgrade: "gets another recipe", change: "gets other exports or data" };

/** Return what a template would change. */
export function shownPlan(plan) {
  const list = Object.entries(WORDS).flatMap(([name, text]) => plan[name].map((path) => [path, text]));
  const counts = Object.keys(WORDS).filter((name) => plan[name].length).map((name) => `${plan[name].length} ${{ add: "added", remove: "removed", upgrade: "upgraded", change: "changed" }[name]}`);
  const head = plan.new ? `A new application: ${count(plan.add.length, "instance")}.` : counts.length ? `A change of ${plan.application}: ${counts.join(", ")}.` : `${plan.application} is like that already: nothing changes.`;
  return h("div", null, h("p", null, h("span", { class: "strong" }, "What will happen. "), head), list.length ? effectsList(list) : null);
}
