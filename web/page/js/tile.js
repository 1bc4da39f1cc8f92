// One camera of the grid.

import { h, text, data } from "./dom.js";
import { icon } from "./icons.js";
import { Live } from "./live.js";
import { camera, lease } from "./site.js";
import { clock, serverKind, states, tileState } from "./words.js";

const stale = 1200; // without a new picture a tile is not live
const broken = 350; // the same, when the connection is lost

export class Tile {
  #context;
  #live;
  #parts;
  #movedAt = 0;
  #off = new AbortController();

  /** context: {feed, reach, tokens, select(id), enlarge(id)} */
  constructor(id, context) {
    this.id = id;
    this.#context = context;
    const p = {
      name: h("span", { class: "name" }),
      state: h("span", { class: "chip state" }),
      video: h("video", { muted: true, playsinline: true, disablepictureinpicture: true, "aria-label": "Live picture" }),
      canvas: h("canvas", { class: "still", hidden: true }),
      notice: h("p", { class: "notice", role: "status", hidden: true }),
      server: h("span", { class: "from" }),
      way: h("span", { class: "way" }),
      delay: h("span", { class: "delay" }),
      why: h("p", { class: "why" }),
    };
    this.#parts = p;
    this.screen = h("div", { class: "screen" }, p.video, p.canvas, p.notice);
    this.element = h("article", { class: "tile", tabindex: "0", "data-camera": id,
      onclick: () => context.select(id),
      ondblclick: () => context.enlarge(id),
      onkeydown: (e) => {
        if (e.target !== this.element) return;
        if (e.key === "Enter" || e.key === " ") { e.preventDefault(); context.select(id); }
      },
    },
    this.screen,
    h("header", {}, p.name, p.state,
      h("button", { class: "quiet", title: "Enlarge", "aria-label": "Enlarge or shrink", onclick: (e) => { e.stopPropagation(); context.enlarge(id); } }, icon("expand"))),
    h("footer", {}, h("div", { class: "facts" }, p.server, p.way, p.delay), p.why));
    this.element.addEventListener("gone", () => this.close());
    this.#live = new Live({ camera: id, video: p.video, canvas: p.canvas, ...context,
      shown: () => { this.#movedAt = Date.now(); this.update(); } });
    context.feed.addEventListener("site", () => this.update(), { signal: this.#off.signal });
    context.feed.addEventListener("status", () => this.update(), { signal: this.#off.signal });
    const timer = setInterval(() => this.update(), 250);
    this.#off.signal.addEventListener("abort", () => clearInterval(timer));
    this.update();
  }

  /** facts is what a test may ask of a tile. */
  facts() {
    const d = this.element.dataset;
    return { camera: this.id, server: d.server, state: d.state, path: d.path, frames: this.#live.player.frames,
      movedAt: this.#movedAt, notice: this.#parts.notice.textContent, delay: this.#live.player.delay() };
  }

  close() {
    this.#off.abort();
    this.#live.close();
  }

  update() {
    const { feed } = this.#context;
    const site = feed.site;
    const now = Date.now();
    const player = this.#live.player;
    const facts = this.#live.facts();
    const { state, sentence } = tileState({
      site, status: feed.status, id: this.id, facts, now,
      fresh: now - player.lastFrame < (facts.connected === "" ? broken : stale), had: player.lastFrame > 0, refused: this.#live.refused,
      connected: feed.connected, relayed: player.shown?.way === "relayed",
    });
    const shown = player.shown;
    const l = lease(site, this.id);
    const from = shown?.server ?? "";
    const element = this.element;
    data(element, "state", state);
    data(element, "server", from);
    data(element, "kind", serverKind(site, from || l?.holder));
    data(element, "path", shown?.way ?? "");
    data(element, "frames", player.frames);
    const p = this.#parts;
    const name = camera(site, this.id)?.name ?? this.id;
    text(p.name, name);
    if (element.ariaLabel !== name) element.ariaLabel = name;
    text(p.state, states[state]);
    text(p.notice, sentence);
    p.notice.hidden = sentence === "";
    this.#origin(p.server, from || l?.holder || "", serverKind(site, from || l?.holder));
    this.#way(p.way, shown?.way);
    const delay = player.delay();
    text(p.delay, state === "live" && delay !== undefined && delay > -1 && delay < 60 ? `${Math.max(0, delay).toFixed(1)} s` : "");
    p.delay.title = "From the camera to this page";
    text(p.why, l ? `${clock(l.since)}  ${l.sentence}` : "");
    p.why.title = l?.sentence ?? "";
  }

  #origin(element, id, kind) {
    if (element.dataset.shown === id + kind) return;
    element.dataset.shown = id + kind;
    element.replaceChildren(icon(kind === "failover" ? "standby" : "server"), id);
    element.title = kind === "failover" ? "A failover server stands in" : "The camera's own recording server";
  }

  #way(element, way = "") {
    if (element.dataset.shown === way) return;
    element.dataset.shown = way;
    element.replaceChildren(...(way === "" ? [] : [icon(way), way]));
    element.title = way === "relayed" ? "Through the management server: this browser does not trust the servers' certificates" : "Straight from the server";
  }
}
