// Which target makes which nodes: of an application, or of those that a template will make.

import * as api from "../api.js";
import { h, newId } from "../dom.js";
import { ask, effectsList, field } from "./dialog.js";
import { toast } from "./toast.js";

const MOST = 500;

/** Return options for a choice of targets; the first chooses none. */
export function targetOptions(targets, none) {
  const text = (one) => (one.name === one.id ? one.id : `${one.id}: ${one.name}`);
  return [h("option", { value: "" }, none), ...targets.map((one) => h("option", { value: one.id }, text(one)))];
}

/** Choose for an application, one of its components, or one instance of it. */
export function placeApplication(model, application) {
  const isNode = (kind) => kind.installer === "target";
  const components = model.components.filter(isNode).map((kind) => `@${kind.name}`);
  const paths = model.paths.filter((path) => isNode(model.kindOf(path))).slice(0, MOST);
  return place({
    url: `${api.applicationUrl(application)}/targets`,
    offered: { application },
    title: `Targets of ${application}`,
    elements: [...components, ...paths],
    none: "None: as the instance says, else the application’s own, else the coordinator’s",
    help: "It makes nodes from now on. Nodes that are there stay as they are.",
  });
}

/** Choose for the applications that will be made from a template. */
export function placeTemplate(template, done) {
  return place({
    url: `/templates/${encodeURIComponent(template.id)}/targets`,
    offered: { template: template.name },
    title: `Targets for applications of ${template.name}`,
    elements: [],
    none: "None",
    help: "It counts for all versions, and for applications that are created from now on.",
    done,
  });
}

async function place({ url, offered, title, elements, none, help, done }) {
  let placed;
  let targets;
  try {
    [placed, targets] = await Promise.all([api.getTagged(url), api.get("/targets", offered)]);
  } catch (error) {
    toast(error.message);
    return;
  }
  const listId = newId("elements");
  const known = h("datalist", { id: listId }, elements.map((one) => h("option", { value: one })));
  const element = h("input", { list: listId, placeholder: "all nodes", autocapitalize: "none", autocomplete: "off", spellcheck: "false" });
  const target = h("select", null, targetOptions(targets, none));
  const rows = placed.data.map((one) => [one.element || "all others", one.target]);
  ask({
    title,
    body: h(
      "div",
      null,
      rows.length ? effectsList(rows, { label: "What is chosen" }) : h("p", { class: "quiet section" }, "No target is chosen yet."),
      field("For", h("span", { class: "filling" }, element, known), "Empty: all nodes that have no choice of their own. @Machine: those of this component. /web-vm: this one."),
      field("Target", target, help),
    ),
    action: "Choose",
    perform: () => api.put(url, { element: element.value.trim(), target: target.value || null }, placed.tag),
    done(answer) {
      toast(target.value ? `${element.value.trim() || "All other nodes"}: ${target.value}` : "No target is chosen there any more.");
      done?.(answer);
    },
  });
}
