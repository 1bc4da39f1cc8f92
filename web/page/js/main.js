// The page: who is signed in, and what is shown.

import { call, Tokens } from "./api.js";
import { h, text } from "./dom.js";
import { Feed } from "./feed.js";
import { Grid } from "./grid.js";
import { icon, mark } from "./icons.js";
import { Reach } from "./reach.js";
import { signIn } from "./sign-in.js";
import { server } from "./site.js";

const app = document.getElementById("app");

async function me() {
  for (let why = ""; ;) {
    try {
      return await call("GET", "/me");
    } catch (err) {
      if (err.code !== "unauthenticated") why = err.message;
    }
    await signIn(app, why);
  }
}

async function run() {
  const identity = await me();
  const feed = new Feed();
  const reach = new Reach((id) => server(feed.site, id)?.addresses?.media);
  const tokens = new Tokens();
  const context = { feed, reach, tokens, identity };
  const grid = new Grid(context, () => {});
  app.replaceChildren(bar(context), h("main", { class: "live" }, grid.element));
  window.understudy = { tiles: () => grid.tiles() };
  feed.addEventListener("signed-out", () => location.reload());
  feed.start();
}

function bar({ feed, identity }) {
  const connection = h("span", { class: "connection", role: "status" });
  const show = () => {
    connection.dataset.connected = String(feed.connected);
    text(connection, feed.connected ? "Connected" : "Management server away; pictures go on");
  };
  feed.addEventListener("connection", show);
  show();
  return h("header", { class: "bar" },
    h("div", { class: "brand" }, mark(), "Understudy"),
    connection,
    h("span", { class: "who" }, identity.user),
    h("button", { class: "quiet", title: "Sign out", "aria-label": "Sign out", onclick: async () => {
      await call("POST", "/sign-out").catch(() => {});
      location.reload();
    } }, icon("exit")));
}

run();
