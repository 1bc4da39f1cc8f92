// The page: who is signed in, and what is shown.

import { call, Tokens } from "./api.js";
import { h, text } from "./dom.js";
import { eventsPanel } from "./events.js";
import { Feed } from "./feed.js";
import { Grid } from "./grid.js";
import { icon, mark } from "./icons.js";
import { incidentsView } from "./incidents.js";
import { Reach } from "./reach.js";
import { preflightPanel } from "./preflight.js";
import { serversPanel } from "./servers.js";
import { setupView } from "./setup.js";
import { signIn } from "./sign-in.js";
import { server } from "./site.js";
import { Timeline } from "./timeline.js";
import { trustBanner } from "./trust.js";

const app = document.getElementById("app");

const again = 2000; // between two questions whether the management server is back

async function me() {
  for (;;) {
    try {
      return await call("GET", "/me");
    } catch (err) {
      if (err.code === "unauthenticated") await signIn(app);
      else await waiting(app, err.message);
    }
  }
}

// waiting says what is going on while nobody can be asked who is signed in, and
// for how long to wait.
function waiting(app, why) {
  app.replaceChildren(h("main", { class: "entrance" }, h("div", { class: "card waiting", role: "status" },
    h("div", { class: "brand" }, mark(), h("h1", {}, "Understudy")),
    h("p", {}, why),
    h("p", { class: "hint" }, "Cameras are recorded and taken over as ever, and pages and programs that were open go on showing them. Which cameras there are, and who may see them, only the management server can tell: this page shows them as soon as it answers."))));
  return new Promise((resolve) => setTimeout(resolve, again));
}

async function run() {
  const identity = await me();
  const may = (action) => identity.actions?.includes(action);
  const feed = new Feed();
  const reach = new Reach((id) => server(feed.site, id)?.addresses?.media);
  const context = { feed, reach, tokens: new Tokens(), identity };
  const grid = new Grid(context, (id) => may("playback") && timeline.show(id));
  const timeline = new Timeline(context, grid);
  const live = h("main", { class: "live" }, h("div", { class: "stage" }, grid.element, timeline.element),
    h("aside", { class: "side" }, serversPanel(context), preflightPanel(), eventsPanel(context)));
  const views = { live, incidents: incidentsView(context) };
  if (may("administer")) views.setup = setupView(context);
  app.replaceChildren(bar(context, views), trustBanner(context), ...Object.values(views));
  window.understudy = { tiles: () => grid.tiles() };
  feed.addEventListener("signed-out", () => location.reload());
  feed.start();
}

const titles = { live: ["grid", "Live"], incidents: ["swap", "Incidents"], setup: ["gear", "Set-up"] };

function bar({ feed, identity }, views) {
  const connection = h("span", { class: "connection", role: "status" });
  const show = () => {
    connection.dataset.connected = String(feed.connected);
    document.body.classList.toggle("stale", !feed.connected);
    text(connection, feed.connected ? "Connected" : "The management server does not answer; recording goes on");
  };
  feed.addEventListener("connection", show);
  show();
  const tabs = Object.keys(views).map((name) => h("button", { "data-view": name, onclick: () => turnTo(name) }, icon(titles[name][0]), titles[name][1]));
  const turnTo = (name) => {
    for (const [key, view] of Object.entries(views)) view.hidden = key !== name;
    if (name !== "incidents" && location.hash !== "") history.replaceState(null, "", location.pathname);
    for (const tab of tabs) {
      if (tab.dataset.view === name) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
  };
  turnTo(location.hash.startsWith("#incidents") ? "incidents" : "live");
  return h("header", { class: "bar" },
    h("div", { class: "brand" }, mark(), "Understudy"),
    tabs.length > 1 && h("nav", { "aria-label": "Views" }, ...tabs),
    connection,
    h("span", { class: "who" }, identity.user),
    h("button", { class: "quiet", title: "Sign out", "aria-label": "Sign out", onclick: async () => {
      await call("POST", "/sign-out").catch(() => {}); // the reload shows whether it worked
      location.reload();
    } }, icon("exit")));
}

run();
