// Users and tokens: who may do what.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { ask, field } from "../parts/dialog.js";
import { empty, errorNote, loading, time } from "../parts/marks.js";
import { showSecret } from "../parts/secret.js";
import { toast } from "../parts/toast.js";
import { cell, head, table } from "../parts/table.js";

const ROLES = {
  viewer: "viewer: sees everything but secrets",
  operator: "operator: starts, stops, adds, binds",
  releaser: "releaser: uploads templates, changes versions",
  admin: "admin: users and tokens of all",
};

export function show(main) {
  const top = head("Users and tokens", `You are ${api.session.user}, ${api.session.role}.`, api.session.via === "session" && !api.session.first ? h("button", { onclick: changePassword }, "Change my password") : null);
  const users = section("Users", api.may("admin") ? h("button", { class: "small", onclick: () => addUser(loadUsers) }, "Add a user") : null);
  const tokens = section("Tokens", canMakeTokens() ? h("button", { class: "small", onclick: () => addToken(loadTokens) }, "Make a token") : null);
  const userTable = table({ columns: [["User", "wide"], ["Role"], ["Since"], [""]], key: (one) => one.name, cells: (one) => userCells(one, loadUsers), caption: "Users" });
  const tokenTable = table({ columns: [["Token", "wide"], ["User"], ["Role"], ["Made"], ["Ends"], [""]], key: (one) => one.id, cells: (one) => tokenCells(one, loadTokens), caption: "Tokens" });
  main.append(top.element);
  if (api.session.first) main.append(h("div", { class: "note wait" }, "You are logged in with the token of the first start. Add an admin, then log in as that one: the token ends then."));
  if (api.may("admin")) main.append(users.element);
  main.append(tokens.element);

  async function loadUsers() {
    await fill(users.place, userTable, "/users", empty("No user yet", "Add an admin first. Until then only --dev or the token of the first start lets anybody in."));
  }

  async function loadTokens() {
    await fill(tokens.place, tokenTable, "/tokens", empty("No token", canMakeTokens() ? "Make one to let a program in, such as a build or a script; it can do at most what you can." : "A token lets a program in. It belongs to a user: log in as one to make it."));
  }

  if (api.may("admin")) loadUsers();
  loadTokens();
  return {
    title: "Users and tokens",
    close() {
      userTable.rows.close();
      tokenTable.rows.close();
    },
  };
}

function section(title, button) {
  const place = h("div", { class: "card" }, loading());
  return { element: h("section", { class: "section", "aria-label": title }, h("div", { class: "section-head" }, h("h2", null, title), button), place), place };
}

async function fill(place, list, path, nothing) {
  try {
    const all = await api.get(path);
    put(place, all.length ? list.element : nothing);
    list.rows.show(all);
  } catch (error) {
    put(place, errorNote(error));
  }
}

// A token belongs to a user: who came in without one cannot make any.
const canMakeTokens = () => !["dev", "local"].includes(api.session.via) && !api.session.first;

// -- users

function userCells(one, load) {
  return [
    cell(h("span", { class: "strong" }, one.name), "wide first"),
    cell(h("span", { class: "chip" }, one.role)),
    cell(time(one.created), "nowrap"),
    cell([h("button", { class: "small", onclick: () => editUser(one, load) }, "Edit …"), h("button", { class: "small plain danger", "aria-label": `Delete ${one.name}`, onclick: () => deleteUser(one, load) }, "Delete")], "actions"),
  ];
}

function roleField(role, most = "admin") {
  const roles = api.roles().slice(0, api.roles().indexOf(most) + 1);
  const select = h("select", null, roles.map((name) => h("option", { value: name }, ROLES[name])));
  select.value = role;
  return select;
}

function passwordInput(isNew = true) {
  return h("input", { type: "password", autocomplete: isNew ? "new-password" : "current-password", minlength: isNew ? "10" : undefined });
}

function addUser(load) {
  const name = h("input", { autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const role = roleField(api.session.first ? "admin" : "operator");
  const password = passwordInput();
  ask({
    title: "Add a user",
    body: h("div", null, field("Name", name), field("Role", role), field("Password", password, "At least 10 characters.")),
    action: "Add",
    perform: () => api.post("/users", { name: name.value.trim(), role: role.value, password: password.value }),
    done: (user) => {
      toast(`${user.name} can log in now.`);
      load();
    },
  });
}

function editUser(one, load) {
  const role = roleField(one.role);
  const password = passwordInput();
  ask({
    title: `Edit ${one.name}`,
    body: h("div", null, field("Role", role), field("New password", password, "Empty: it stays as it is. A new one ends all sessions of the user.")),
    action: "Save",
    perform: () => api.patch(`/users/${encodeURIComponent(one.name)}`, { role: role.value, ...(password.value ? { password: password.value } : {}) }),
    done: load,
  });
}

function deleteUser(one, load) {
  ask({
    title: `Delete ${one.name}`,
    body: h("p", { class: "section" }, "All sessions and tokens of the user end at once."),
    action: "Delete",
    danger: true,
    perform: () => api.remove(`/users/${encodeURIComponent(one.name)}`),
    done: load,
  });
}

function changePassword() {
  const before = passwordInput(false);
  const after = passwordInput();
  ask({
    title: "Change my password",
    body: h("div", null, field("Present password", before), field("New password", after, "At least 10 characters. You are logged out everywhere.")),
    action: "Change",
    perform: () => api.put("/session/password", { password: before.value, new_password: after.value }),
    done: () => toast("The password is changed; log in again."),
  });
}

// -- tokens

function tokenCells(one, load) {
  return [
    cell(h("span", { class: "strong" }, one.name), "wide first"),
    cell(one.user),
    cell(h("span", { class: "chip" }, one.role)),
    cell(time(one.created), "nowrap"),
    cell(one.expires ? time(one.expires) : h("span", { class: "quiet" }, "never"), "nowrap"),
    cell(h("button", { class: "small plain danger", "aria-label": `Revoke ${one.name}`, onclick: () => revoke(one, load) }, "Revoke"), "actions"),
  ];
}

function addToken(load) {
  const name = h("input", { placeholder: "what it is for", autocomplete: "off" });
  const role = roleField(api.session.role, api.session.role);
  const days = h("select", null, [["30", "30 days"], ["90", "90 days"], ["365", "a year"], ["", "without end"]].map(([value, text]) => h("option", { value }, text)));
  days.value = "90";
  ask({
    title: "Make a token",
    body: h("div", null, field("Name", name), field("Role", role), field("Valid for", days)),
    action: "Make",
    perform: () => api.post("/tokens", { name: name.value.trim(), role: role.value, ...(days.value ? { days: Number(days.value) } : {}) }),
    done: (made) => {
      load();
      setTimeout(() => showSecret({ title: `Token ${made.name}`, text: made.token }), 0);
    },
  });
}

function revoke(one, load) {
  ask({
    title: `Revoke ${one.name}`,
    body: h("p", { class: "section" }, "Whoever uses it is refused from now on."),
    action: "Revoke",
    danger: true,
    perform: () => api.remove(`/tokens/${encodeURIComponent(one.id)}`),
    done: load,
  });
}
