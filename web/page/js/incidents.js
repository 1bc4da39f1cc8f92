// The incidents: what failed, who stood in, what it cost; one of them with its
// story and its picture, as it goes on.

import { call } from "./api.js";
import { data, h, keyed, text } from "./dom.js";
import { howLong } from "./gaps.js";
import { icon } from "./icons.js";
import { Picture } from "./picture.js";
import { camera } from "./site.js";
import { facts, lasted, missing, phases, since, stepName, toneOf } from "./story.js";
import { bytes, clock } from "./words.js";

const telling = ["takeover", "failback", "merge", "server", "refused", "incident"];
const again = 4000; // while one goes on

/** incidentsView returns the view; show(id) opens one. */
export function incidentsView(context) {
  const list = h("ol", { class: "cases" });
  const none = h("p", { class: "empty", hidden: true }, "No server has ever been stood in for.");
  const problem = h("p", { class: "problem", role: "alert" });
  const one = new Story((id) => camera(context.feed.site, id)?.name ?? id);
  const view = h("main", { class: "incidents" },
    h("aside", { class: "index" }, h("h2", {}, icon("swap"), "Incidents"), list, none),
    h("div", { class: "story" }, problem, one.element));
  let chosen = "";
  let asking = false;
  let stale = true;

  const refresh = async () => {
    if (view.hidden || asking) {
      stale = true;
      return;
    }
    asking = true;
    stale = false;
    try {
      const all = await call("GET", "/incidents");
      none.hidden = all.length > 0;
      if (!chosen && all.length > 0) chosen = all[0].id;
      keyed(list, all, (i) => i.id, (i) => card(i.id, open), fill);
      if (chosen) one.show(await call("GET", `/incidents/${encodeURIComponent(chosen)}`));
      text(problem, "");
      mark();
    } catch (err) {
      text(problem, err.message);
    } finally {
      asking = false;
      if (stale && !view.hidden) setTimeout(refresh, 300);
    }
  };
  const mark = () => {
    for (const item of list.children) item.firstElementChild.setAttribute("aria-current", String(item.dataset.key === chosen));
  };
  const open = (id) => {
    chosen = id;
    history.replaceState(null, "", `#incidents/${id}`);
    mark();
    refresh();
  };
  context.feed.addEventListener("events", ({ detail }) => {
    if (detail.some((e) => telling.includes(e.kind))) setTimeout(refresh, 500);
  });
  setInterval(() => { if (one.goesOn()) refresh(); }, again);
  new MutationObserver(() => { if (!view.hidden) refresh(); }).observe(view, { attributeFilter: ["hidden"] });
  const [, wanted] = location.hash.match(/^#incidents\/([a-z0-9-]+)$/) ?? [];
  if (wanted) chosen = wanted;
  queueMicrotask(refresh); // once it is known whether the view is shown first
  return view;
}

const card = (id, open) => h("li", {}, h("button", { class: "case", onclick: () => open(id) },
  h("span", { class: "head" }, h("span", { class: "dot" }), h("strong", {}), h("span", { class: "chip" })),
  h("time", {}), h("span", { class: "cost" })));

function fill(item, incident) {
  const part = (name) => item.querySelector(name);
  const holders = [...new Set(incident.cameras.flatMap((c) => c.tenures.map((t) => t.server)))];
  data(part(".case"), "phase", incident.phase);
  text(part("strong"), `${holders.join(", ")} for ${incident.home}`);
  text(part(".chip"), (incident.drill ? "Drill · " : incident.planned ? "Planned · " : "") + phases[incident.phase]);
  text(part("time"), `${new Date(incident.begun).toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" })}, ${clock(incident.begun)}`);
  const lost = missing(incident);
  const cameras = incident.cameras.length === 1 ? "1 camera" : `${incident.cameras.length} cameras`;
  const away = incident.back ? ` for ${lasted(Date.parse(incident.back) - Date.parse(incident.begun))}` : "";
  text(part(".cost"), `${cameras}${away}${lost ? `, ${lost.worst === 0 ? "nothing missing" : `at most ${howLong(lost.worst)} missing`}` : ""}`);
}

/** Story is one incident. */
class Story {
  #incident = null;

  constructor(name) {
    this.name = name;
    this.picture = new Picture(name);
    this.title = h("h1", {});
    this.chip = h("span", { class: "chip" });
    this.report = h("a", { class: "save", download: "" }, icon("save"), "Save report");
    this.lead = h("p", { class: "lead" });
    this.facts = h("dl", { class: "figures" });
    this.transfers = h("ul", { class: "transfers" });
    this.steps = h("ol", { class: "steps" });
    this.accounts = h("tbody", {});
    this.element = h("article", { hidden: true },
      h("header", {}, this.title, this.chip, this.report), this.lead, this.facts, this.transfers, this.picture.element,
      h("section", {}, h("h3", {}, "What happened"), this.steps),
      h("section", {}, h("h3", {}, "Each camera"), h("table", { class: "accounts" },
        h("thead", {}, h("tr", {}, h("th", {}, "Camera"), h("th", {}, "Held by"), h("th", {}, "Recorded again"), h("th", {}, "Missing"), h("th", {}, "What is proven"))), this.accounts)));
  }

  goesOn() { return this.#incident !== null && this.#incident.phase !== "over"; }

  show(incident) {
    this.#incident = incident;
    this.element.hidden = false;
    data(this.element, "phase", incident.phase);
    data(this.element, "incident", incident.id);
    const holders = [...new Set(incident.cameras.flatMap((c) => c.tenures.map((t) => t.server)))];
    text(this.title, `${holders.join(" and ")} ${incident.phase === "standing_in" ? "stands in" : "stood in"} for ${incident.home}`);
    text(this.chip, (incident.drill ? "Drill · " : incident.planned ? "Planned · " : "") + phases[incident.phase]);
    this.report.href = `/api/v1/incidents/${encodeURIComponent(incident.id)}/report`;
    text(this.lead, incident.sentence + (/[.!?]$/.test(incident.sentence) ? "" : "."));
    keyed(this.facts, facts(incident), ([name]) => name, ([name]) => h("div", {}, h("dt", {}, name), h("dd", {})), (element, [, value]) => text(element.lastElementChild, value));
    keyed(this.transfers, incident.transfers ?? [], (t) => t.from, () => h("li", {}, h("progress", { max: "1" }), h("span", {})), (element, t) => {
      const all = t.bytes_left + t.bytes_done;
      element.firstElementChild.value = all > 0 ? t.bytes_done / all : 0;
      text(element.lastElementChild, `${bytes(t.bytes_left)} in ${t.segments_left} ${t.segments_left === 1 ? "segment" : "segments"} are still on ${t.from}${t.bytes_per_second > 0 ? `, going home at ${bytes(t.bytes_per_second)}/s` : ""}${t.waiting ? ` (${t.waiting})` : ""}`);
    });
    this.picture.show(incident);
    keyed(this.steps, incident.steps, (s) => `${s.seq} ${s.kind} ${s.server}`, (s) => h("li", { "data-tone": toneOf(s.kind), "data-kind": s.kind },
      h("time", {}), h("span", { class: "since" }), h("span", { class: "what" }, stepName(s.kind)), h("p", {})), (element, s) => {
      const time = element.querySelector("time"); // of what is gathered from many cameras it moves
      time.dateTime = s.at;
      text(time, precise(s.at));
      text(element.querySelector(".since"), since(incident, s.at));
      text(element.querySelector("p"), s.sentence);
    });
    keyed(this.accounts, incident.cameras, (c) => c.camera, () => h("tr", {}, ...Array.from({ length: 5 }, () => h("td", {}))), (element, c) => this.#account(element, c));
  }

  #account(element, c) {
    const [name, held, again, lost, proof] = element.children;
    const durable = c.tenures.at(0)?.durable;
    text(name, this.name(c.camera));
    text(held, c.tenures.map((t) => t.server).join(", then "));
    text(again, durable ? since(this.#incident, durable) : "");
    text(lost, c.account ? (c.account.milliseconds === 0 ? "nothing" : howLong(c.account.milliseconds)) : "");
    data(lost, "lost", Boolean(c.account?.milliseconds));
    text(proof, c.account?.sentence ?? "To see this needs the right to play its recordings.");
  }
}

const precise = (at) => `${clock(at)}.${String(new Date(at).getMilliseconds()).padStart(3, "0")}`;
