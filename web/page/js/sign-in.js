// Signing in, and making the first administrator.

import { call } from "./api.js";
import { h, text } from "./dom.js";
import { icon, mark } from "./icons.js";

/** signIn shows the form until somebody is signed in. */
export function signIn(app, why = "") {
  return new Promise((resolve) => show(app, false, why, resolve));
}

function show(app, setup, why, resolve) {
  const code = field("Setup code", { name: "code", autocomplete: "off", spellcheck: "false", placeholder: "XXXXX-XXXXX-XXXXX-XXXXX" });
  const name = field("User name", { name: "name", autocomplete: "username", spellcheck: "false", autocapitalize: "none" });
  const password = field("Password", { name: "password", type: "password", autocomplete: setup ? "new-password" : "current-password" });
  const second = field("Code of your app, if you have set one up", { name: "otp", autocomplete: "one-time-code", inputmode: "numeric", required: false });
  const problem = h("p", { class: "problem", role: "alert" }, why);
  const button = h("button", { class: "primary", type: "submit" }, setup ? "Make the first administrator" : "Sign in");
  const others = h("div", {});
  if (!setup) offer(others, problem, resolve);
  const form = h("form", { class: "card sign-in", onsubmit: async (e) => {
    e.preventDefault();
    button.disabled = true;
    text(problem, "");
    try {
      const credentials = { name: name.input.value.trim(), password: password.input.value };
      if (setup) await call("POST", "/setup", { code: code.input.value.trim(), ...credentials });
      await call("POST", "/sign-in", { ...credentials, code: second.input.value.trim(), cookie: true });
      resolve();
    } catch (err) {
      text(problem, err.message);
      password.input.select();
    } finally {
      button.disabled = false;
    }
  } },
  h("div", { class: "brand" }, mark(), h("h1", {}, "Understudy")),
  setup && h("p", { class: "hint" }, "The management server prints the setup code at its first start, and keeps it in the file setup-code of its data folder."),
  setup && code.element, name.element, password.element, !setup && second.element,
  setup && h("p", { class: "hint" }, "At least 10 characters."),
  problem, button, ...(setup ? [] : [others]),
  h("button", { class: "link", type: "button", onclick: () => show(app, !setup, "", resolve) },
    setup ? "Sign in instead" : "First start? Make the first administrator"));
  app.replaceChildren(h("main", { class: "entrance" }, form,
    h("p", { class: "fine" }, icon("lock"), "Encrypted. Your session stays in this browser and ends after 12 hours.")));
  (setup ? code : name).input.focus();
}

// offer shows the other doors that the site has: of an identity provider, and of
// the domain to which this computer belongs.
async function offer(place, problem, resolve) {
  const doors = await call("GET", "/sign-in").catch(() => ({}));
  if (doors.openid) place.append(h("a", { class: "link", href: "/api/v1/sign-in/openid" }, "Sign in with your organisation's account"));
  if (doors.ticket) place.append(h("button", { class: "link", type: "button", onclick: () =>
    call("POST", "/sign-in/ticket", { cookie: true }).then(resolve, (err) => text(problem, err.message)) }, "Sign in as the user of this computer"));
}

/** field is a labelled input. */
export function field(label, attributes) {
  const input = h("input", { required: true, ...attributes });
  return { input, element: h("label", { class: "field" }, h("span", {}, label), input) };
}
