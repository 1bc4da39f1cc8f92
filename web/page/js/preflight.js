// Pre-flight: whether failover servers could stand in now, for each recording
// server, red or green, and what is in the way.

import { call } from "./api.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { ago } from "./words.js";

const every = 30_000;

/** verdicts makes of the pre-flights one row for each recording server and failover server:
 * {home, server, red, at, findings}. A finding of no home concerns each. Pure. */
export function verdicts(flights) {
  const rows = [];
  for (const p of flights) {
    for (const home of p.homes) {
      const findings = p.findings.filter((f) => !f.home || f.home === home);
      rows.push({ home, server: p.server, red: findings.some((f) => f.red), at: p.at, findings });
    }
  }
  return rows.sort((a, b) => (a.home === b.home ? (a.server < b.server ? -1 : 1) : a.home < b.home ? -1 : 1));
}

/** preflightPanel shows the latest pre-flights, and nothing while there are none. */
export function preflightPanel() {
  const list = h("ul", { class: "servers" });
  const panel = h("section", { class: "panel preflight", "aria-label": "Pre-flight", hidden: true }, h("h2", {}, icon("alert"), "Pre-flight"), list);
  const update = async () => {
    let rows;
    try {
      rows = verdicts(await call("GET", "/preflights"));
    } catch {
      return; // the page says by itself that nobody answers
    }
    panel.hidden = rows.length === 0;
    list.replaceChildren(...rows.map(row));
  };
  update();
  setInterval(update, every);
  return panel;
}

const row = ({ home, server, red, at, findings }) => h("li", { class: "server", "data-state": red ? "down" : "up" },
  h("div", { class: "line" }, h("span", { class: "dot" }), h("strong", {}, home), h("span", { class: "label" }, `by ${server}, ${ago(at)} ago`), h("span", { class: "chip" }, red ? "Red" : "Green")),
  ...findings.map((f) => h("p", { class: f.red ? "saw" : "holds" }, f.sentence)));
