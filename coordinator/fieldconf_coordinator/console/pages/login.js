// Logging in: with user and password, or with a token, which comes first as long as there is no user.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { logo } from "../shell.js";
import { errorNote } from "../parts/marks.js";
import { field } from "../parts/dialog.js";

/** Return the form; `done` is called when somebody is logged in. */
export function form(done) {
  const user = h("input", { name: "user", autocomplete: "username", autocapitalize: "none" });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password" });
  const token = h("input", { name: "token", type: "password", autocomplete: "off" });
  const byPassword = h("div", { hidden: api.session.first }, field("User", user), field("Password", password));
  const byToken = h("div", { hidden: !api.session.first }, field("Token", token, "At the first start the coordinator prints one."));
  const problem = h("div");
  const button = h("button", { class: "primary", type: "submit" }, "Log in");
  const other = h("button", { class: "plain", type: "button" }, otherWay());

  function otherWay() {
    return byToken.hidden ? "Log in with a token" : "Log in with a password";
  }

  other.addEventListener("click", () => {
    byToken.hidden = !byToken.hidden;
    byPassword.hidden = !byToken.hidden;
    other.textContent = otherWay();
    (byToken.hidden ? user : token).focus();
  });

  async function enter(event) {
    event.preventDefault();
    button.disabled = true;
    put(problem);
    try {
      await api.logIn(byToken.hidden ? { user: user.value, password: password.value } : { token: token.value.trim() });
      done();
    } catch (error) {
      put(problem, errorNote(error));
      button.disabled = false;
    }
  }

  const fields = h("form", { class: "card", onsubmit: enter }, h("div", { class: "brand" }, logo(), "Fieldconf"), byPassword, byToken, problem, button, h("p", { class: "row" }, other));
  return h("main", { class: "login" }, h("h1", { class: "unseen" }, "Log in"), fields);
}
