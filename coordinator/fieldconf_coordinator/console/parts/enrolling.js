// Machines that belong to the fleet for good: enrolled, approved, given other tags, expelled.

import * as api from "../api.js";
import { h, newId } from "../dom.js";
import { ask, field } from "./dialog.js";
import { showSecret } from "./secret.js";
import { toast } from "./toast.js";

const BOARDS = ["linux", "esp32", "esp32-c3", "esp32-s3", "esp8266", "pico-w", "pico2-w", "pybv11"];
const LOOPBACK = /^(127\.|localhost$|\[?::1)/;

const urlOf = (id) => `/nodes/${encodeURIComponent(id)}`;

/** Return the words of a text: tags are set apart by blanks or commas. */
function words(text) {
  return text.split(/[\s,]+/).filter(Boolean);
}

function plain(properties) {
  return h("input", { autocapitalize: "none", autocomplete: "off", spellcheck: "false", ...properties });
}

function brokerField() {
  const input = plain({ inputmode: "url", placeholder: "mqtt://gateway:1883" });
  return [input, field("Broker", input, "As seen from the machine; up to three, set apart by blanks, of which the first that answers serves. Empty: as this coordinator calls it.")];
}

/** Return what was filled in as settings hold it: one URL, or several. */
function brokerOf(input) {
  const urls = words(input.value);
  return urls.length > 1 ? urls : urls.join("");
}

/** Warn where the machine would look for the broker on itself. */
function brokerNote(broker) {
  const urls = [broker].flat();
  if (!urls.every((url) => LOOPBACK.test(url.replace(/^\w+:\/\//, "")))) return null;
  return h("div", { class: "note wait" }, `It will look for the broker at ${urls.join(" or ")}, which is this box only. For another machine make another key, and name the broker as seen from there.`);
}

/** Enrol a machine: make it an identity and a key. */
export function enrol(done = () => {}) {
  const listId = newId("boards");
  const id = plain({ required: true, placeholder: "roof-7" });
  const board = plain({ list: listId });
  const tags = plain({ placeholder: "outdoor site=north" });
  const join = h("input", { type: "checkbox" });
  const [broker, brokerPart] = brokerField();
  ask({
    title: "Enrol a machine",
    body: h(
      "div",
      null,
      h("p", { class: "section" }, "It gets an identity and a key, and belongs to the fleet from then on. Applications with ", h("code", null, "data.target: embedded"), " use it while it is free."),
      field("Id", id, "At most 32 letters, digits, _ and -."),
      field("Board", h("span", { class: "filling" }, board, h("datalist", { id: listId }, BOARDS.map((value) => h("option", { value })))), "Its kind, if you want to build an image for it."),
      field("Tags", tags, "What it can be found by, set apart by blanks."),
      brokerPart,
      h("label", { class: "check" }, join, "Somebody else sets it up: it has to be approved once it was heard"),
    ),
    action: "Enrol",
    perform: () => api.post("/nodes", { id: id.value.trim(), ...given({ board: board.value.trim(), tags: words(tags.value), broker: brokerOf(broker) }), join: join.checked }),
    done(made) {
      done(made);
      // After the dialog that asked is closed.
      setTimeout(() => showSettings(made, board.value.trim(), join.checked), 0);
    },
  });
}

/** Return what was filled in. */
function given(body) {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value.length));
}

/** Give a machine another key. */
export function enrolAnew(id, board, done = () => {}) {
  const [broker, brokerPart] = brokerField();
  ask({
    title: `Another key for ${id}`,
    body: h("div", null, h("p", { class: "section" }, "What will happen: a new key is made, and whoever has the former one is not heard any more. The machine needs the new settings to come back."), brokerPart),
    action: "Make another key",
    danger: true,
    perform: () => api.post(`${urlOf(id)}/enrolment`, given({ broker: brokerOf(broker) })),
    done(made) {
      done(made);
      setTimeout(() => showSettings(made, board, false), 0);
    },
  });
}

/** The settings are told this once. */
function showSettings(made, board, isJoining) {
  const file = `${made.id}.json`;
  const next = board && board !== "linux" ? `fieldconf image ${board} --settings ${file} -o OUT` : "fieldconf agent --dir DIR";
  showSecret({
    title: `Settings of ${made.id}`,
    about: [
      h("p", { class: "section" }, board && board !== "linux" ? "Build an image from them: " : "Put them as settings.json where the agent runs: ", h("code", { class: "break" }, next)),
      brokerNote(made.settings.broker),
      isJoining ? h("p", { class: "section" }, "Once it was heard, approve it here.") : null,
    ],
    text: JSON.stringify(made.settings, null, 1),
    file,
  });
}

/** Accept a machine that came with a token. */
export function approve(node, done = () => {}) {
  const facts = [node.platform, node.address && `at ${node.address}`].filter(Boolean).join(", ");
  ask({
    title: `Approve ${node.id}`,
    body: h("p", { class: "section" }, `${facts ? `It says that it is ${facts}. ` : ""}What will happen: it makes a key of its own, and applications may use it. Approve it only if it is the machine that you gave the token to.`),
    action: "Approve",
    perform: () => api.post(`${urlOf(node.id)}/approval`),
    done(answer) {
      toast(`${node.id} is approved.`);
      done(answer);
    },
  });
}

/** Have a machine belong to the fleet no more. */
export function expel(node, done = () => {}) {
  ask({
    title: `Expel ${node.id}`,
    body: h("p", { class: "section" }, "What will happen: its key opens nothing any more, and what it says is not heard. It can be enrolled again, with other settings."),
    action: "Expel",
    danger: true,
    perform: () => api.remove(urlOf(node.id)),
    done() {
      toast(`${node.id} is expelled.`);
      done();
    },
  });
}

/** Give a node other tags, unless somebody else was faster. */
export async function editTags(id, done = () => {}) {
  let found;
  try {
    found = await api.getTagged(urlOf(id));
  } catch (error) {
    toast(error.message);
    return;
  }
  const tags = plain({ value: found.data.tags.join(" ") });
  ask({
    title: `Tags of ${id}`,
    body: h("div", null, field("Tags", tags, "Set apart by blanks, such as: outdoor site=north. Instances that require tags find it by them from now on.")),
    action: "Save",
    perform: () => api.patch(urlOf(id), { tags: words(tags.value) }, found.tag),
    done,
  });
}
