// The events, as they come, newest first.

import { h, keyed, text } from "./dom.js";
import { icon } from "./icons.js";
import { clock } from "./words.js";

const icons = { takeover: "swap", failback: "home", refused: "alert", merge: "disk", config: "gear", server: "server", camera: "camera", storage: "disk", access: "lock", trigger: "mark", lock: "lock", identity: "alert" };
const filters = { all: () => true, failover: (e) => ["takeover", "failback", "refused", "merge"].includes(e.kind), problems: (e) => ["takeover", "refused", "server", "camera", "storage", "identity"].includes(e.kind) };

export function eventsPanel({ feed }) {
  let filter = "all";
  const list = h("ol", { class: "events" });
  const none = h("p", { class: "empty" });
  const buttons = Object.keys(filters).map((name) => h("button", { class: "small quiet", "aria-pressed": String(name === filter), onclick: (e) => {
    filter = name;
    for (const b of buttons) b.setAttribute("aria-pressed", String(b === e.currentTarget));
    update();
  } }, name[0].toUpperCase() + name.slice(1)));
  const update = () => {
    const shown = feed.events.filter(filters[filter]).slice(0, 150);
    none.hidden = shown.length > 0;
    text(none, feed.connected ? "Nothing has happened." : "What happened is told when the management server answers.");
    keyed(list, shown, (e) => String(e.seq), row);
  };
  for (const news of ["events", "connection"]) feed.addEventListener(news, update);
  update();
  return h("section", { class: "panel grow", "aria-label": "Events" },
    h("h2", {}, icon("events"), "Events", h("span", { class: "filters", role: "group", "aria-label": "Which events" }, ...buttons)),
    h("div", { class: "scroll", tabindex: "0" }, list, none));
}

function row(e) {
  const at = new Date(e.at);
  return h("li", { class: "event", "data-kind": e.kind },
    icon(icons[e.kind] ?? "events"),
    h("div", {}, h("p", { class: "head" }, h("span", { class: "kind" }, e.kind), h("time", { datetime: e.at, title: at.toLocaleString() }, clock(at)),
      e.decided && h("span", { title: "From the decision to the grant" }, `granted in ${Math.max(0, at - Date.parse(e.decided))} ms`)),
    h("p", {}, e.sentence)));
}
