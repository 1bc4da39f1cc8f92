// The picture of an incident: every camera's timeline, one under the other, with
// the moments that divide the story across all of them.

import { h, text } from "./dom.js";
import { gapTitle } from "./gaps.js";
import { bars, moments, scale, windows } from "./story.js";
import { clock } from "./words.js";

const namespace = "http://www.w3.org/2000/svg";
const row = 26; // pixels from one camera to the next
const bar = 14;
const labelRow = 16;
const names = 132; // for the names of cameras
const mostRows = 60; // that are drawn without being asked for

function shape(tag, attributes, ...children) {
  const element = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Picture draws an incident, again whenever it is shown another one or its room changes. */
export class Picture {
  #incident = null;
  #window = "Whole";
  #all = false;
  #name;

  constructor(name) {
    this.#name = name;
    this.stage = h("div", { class: "canvas" });
    this.tip = h("p", { class: "tip", role: "status", hidden: true });
    this.choice = h("span", { class: "filters", role: "group", "aria-label": "What is drawn" });
    this.more = h("button", { class: "small", hidden: true, onclick: () => { this.#all = true; this.#draw(); } }, "Show all cameras");
    this.element = h("section", { class: "picture", "aria-label": "Timelines of all cameras" },
      h("div", { class: "line" }, h("h3", {}, "Footage"),
        h("span", { class: "legend" }, h("i", { class: "home" }), "home", h("i", { class: "failover" }), "stood in", h("i", { class: "lost" }), "missing"), this.choice),
      h("div", { class: "frame" }, this.stage, this.tip), this.more);
    this.stage.addEventListener("pointermove", (e) => this.#point(e));
    this.stage.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    new ResizeObserver(() => this.#draw()).observe(this.stage);
  }

  show(incident) {
    if (incident?.id !== this.#incident?.id) {
      this.#window = "Whole";
      this.#all = false;
    }
    this.#incident = incident;
    this.element.hidden = !incident?.cameras.some((c) => c.spans);
    this.#draw();
  }

  #draw() {
    const incident = this.#incident;
    const width = this.stage.clientWidth - names;
    if (!incident || this.element.hidden || width < 50) return;
    const all = windows(incident);
    if (!all[this.#window]) this.#window = "Whole";
    this.choice.replaceChildren(...Object.keys(all).map((name) => h("button", { class: "small quiet", "aria-pressed": String(name === this.#window), onclick: () => { this.#window = name; this.#draw(); } }, name)));
    const range = all[this.#window];
    const cameras = this.#all ? incident.cameras : incident.cameras.slice(0, mostRows);
    this.more.hidden = cameras.length === incident.cameras.length;
    const marks = moments(incident, range, width);
    const head = 6 + labelRow * Math.max(1, ...marks.map((m) => m.row + 1));
    const height = head + row * cameras.length + 24;
    const svg = shape("svg", { width: names + width, height, viewBox: `0 0 ${names + width} ${height}`, role: "img", "aria-label": `Who recorded ${cameras.length} cameras, and what is missing` });
    for (const { t, label } of scale(range)) {
      const x = names + (width * (t - range[0])) / Math.max(1, range[1] - range[0]);
      svg.append(shape("line", { class: "tick", x1: x, x2: x, y1: head, y2: height - 18 }), shape("text", { class: "time", x, y: height - 4, "text-anchor": "middle" }, label));
    }
    cameras.forEach((camera, n) => {
      const y = head + n * row + (row - bar) / 2;
      svg.append(shape("text", { class: "camera", x: 0, y: y + bar - 3 }, short(this.#name(camera.camera))),
        shape("rect", { class: "nothing", x: names, y, width, height: bar, rx: 3 }));
      for (const b of bars(incident, camera, range, width)) {
        const rect = shape("rect", { class: (b.span ? "span " : "hole ") + b.kind, x: names + b.x, y, width: Math.max(0.5, b.width), height: bar, "data-tip": b.span
          ? `${clock(b.span.from)} to ${clock(b.span.to)}: recorded by ${b.span.holder}${b.span.joined ? ", joined without a loss: equal samples prove it" : ""}`
          : `${clock(b.gap.from)}: ${gapTitle(b.gap)}` });
        svg.append(rect);
      }
    });
    for (const m of marks) {
      const y = 12 + m.row * labelRow;
      svg.append(shape("line", { class: `mark ${m.tone}`, x1: names + m.x, x2: names + m.x, y1: y - 9, y2: height - 18 }),
        shape("text", { class: `mark ${m.tone}`, x: names + m.x + (m.left ? -5 : 5), y, "text-anchor": m.left ? "end" : "start" }, m.label));
    }
    this.stage.replaceChildren(svg);
  }

  #point(e) {
    const said = e.target.dataset?.tip;
    this.tip.hidden = !said;
    if (!said) return;
    text(this.tip, said);
    const box = this.stage.getBoundingClientRect();
    this.tip.style.left = `${Math.min(e.clientX - box.left + 12, Math.max(0, box.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${e.clientY - box.top + 16}px`;
  }
}

const short = (name) => (name.length > 18 ? `${name.slice(0, 17)}…` : name);
