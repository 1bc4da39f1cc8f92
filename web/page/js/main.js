// The page: who is signed in, and what is shown.

import { call, Tokens } from "./api.js";
import { h, text } from "./dom.js";
import { eventsPanel } from "./events.js";
import { Feed } from "./feed.js";
import { Grid } from "./grid.js";
import { icon, mark } from "./icons.js";
import { incidentsView } from "./incidents.js";
import { Reach } from "./reach.js";
import { Memory } from "./memory.js";
import { preflightPanel } from "./preflight.js";
import { serversPanel } from "./servers.js";
import { setupView } from "./setup.js";
import { signIn } from "./sign-in.js";
import { server } from "./site.js";
import { Timeline } from "./timeline.js";
import { trustBanner } from "./trust.js";

const app = document.getElementById("app");

const again = 2000; // between two questions whether the management server is back
const patience = 3000; // for one answer

const memory = new Memory();

// me returns who is signed in, and what is known of the site if nobody can be asked.
async function me() {
  for (;;) {
    try {
      const identity = await call("GET", "/me", undefined, patience);
      memory.keep({ identity });
      return { identity };
    } catch (err) {
      if (err.code === "unauthenticated") {
        await memory.forget();
        await signIn(app);
        continue;
      }
      const known = await memory.recall();
      if (known) return known;
      await waiting(app, err.message);
    }
  }
}

// waiting says what is going on while nobody can be asked who is signed in, and
// for how long to wait.
function waiting(app, why) {
  app.replaceChildren(h("main", { class: "entrance" }, h("div", { class: "card waiting", role: "status" },
    h("div", { class: "brand" }, mark(), h("h1", {}, "Understudy")),
    h("p", {}, why),
    h("p", { class: "hint" }, "Cameras are recorded and taken over as ever, and pages and programs that were open go on showing them. This browser has not shown them of late, so that only the management server can tell which there are, and who may see them: this page shows them as soon as it answers."))));
  return new Promise((resolve) => setTimeout(resolve, again));
}

async function run() {
  const { identity, site, token } = await me();
  identity.actions = [...identity.actions ?? [], ...Object.keys(identity.also ?? {})]; // where, the servers say
  const may = (action) => identity.actions?.includes(action);
  const feed = new Feed(memory);
  const reach = new Reach((id) => server(feed.site, id)?.addresses?.media);
  const context = { feed, reach, tokens: new Tokens(memory, token), identity };
  const grid = new Grid(context, (id) => may("playback") && timeline.show(id));
  const timeline = new Timeline(context, grid);
  const live = h("main", { class: "live" }, h("div", { class: "stage" }, grid.element, timeline.element),
    h("aside", { class: "side" }, serversPanel(context), preflightPanel(), eventsPanel(context)));
  const views = { live, incidents: incidentsView(context) };
  if (may("administer")) views.setup = setupView(context);
  app.replaceChildren(bar(context, views), trustBanner(context), ...Object.values(views));
  window.understudy = { tiles: () => grid.tiles() };
  feed.addEventListener("rights", () => context.tokens.doubt());
  feed.addEventListener("signed-out", () => location.reload());
  feed.start(site);
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
      await memory.forget();
      await call("POST", "/sign-out").catch(() => {}); // the reload shows whether it worked
      location.reload();
    } }, icon("exit")));
}

navigator.serviceWorker?.register("worker.js").catch(() => {}); // not where the certificate is not trusted
run();
