// The timeline of the selected camera: what is recorded, who recorded it, where
// it lies; a click plays it in the camera's tile.

import { call } from "./api.js";
import { h, text } from "./dom.js";
import { gapKind, gapTitle, gapsSentence } from "./gaps.js";
import { lockFootage, markEvent } from "./evidence.js";
import { icon } from "./icons.js";
import { Playback } from "./playback.js";
import { ticks } from "./spans.js";
import { camera, isFailover } from "./site.js";
import { clock } from "./words.js";

const ranges = { "10 min": 600_000, "1 h": 3_600_000, "24 h": 86_400_000 };

export class Timeline {
  #context;
  #grid;
  #camera = "";
  #length = ranges["10 min"];
  #timeline = null;
  #playback = null;
  #asking = false;
  #window = [0, 0];

  constructor(context, grid) {
    this.#context = context;
    this.#grid = grid;
    this.title = h("h2", {});
    this.track = h("div", { class: "track", tabindex: "0", role: "slider", "aria-label": "Play recordings from", "aria-valuemin": "0", "aria-valuemax": "0", "aria-valuenow": "0",
      onclick: (e) => this.#play(this.#timeAt(e.clientX)),
      onpointermove: (e) => this.#point(e.clientX), onpointerleave: () => { this.cursor.hidden = true; },
      onkeydown: (e) => this.#key(e) });
    this.cursor = h("div", { class: "cursor", hidden: true });
    this.head = h("div", { class: "playhead", hidden: true });
    this.note = h("p", { class: "note", role: "status" });
    this.liveButton = h("button", { class: "small", hidden: true, onclick: () => this.#live() }, icon("live"), "Back to live");
    this.saveButton = h("a", { class: "save", hidden: true, title: "One minute from here, as one MP4 file" }, icon("save"), "Save a minute");
    const buttons = Object.entries(ranges).map(([name, length]) => h("button", { class: "small quiet", "aria-pressed": String(length === this.#length), onclick: (e) => {
      this.#length = length;
      for (const b of buttons) b.setAttribute("aria-pressed", String(b === e.currentTarget));
      this.refresh();
    } }, name));
    const may = (action) => Boolean(context.identity.actions?.includes(action));
    const markButton = h("button", { class: "small quiet", hidden: !may("events"), title: "Note that something happened now", onclick: () => markEvent(this.#camera, () => this.refresh()) }, icon("mark"), "Mark");
    const lockButton = h("button", { class: "small quiet", hidden: !may("lock"), title: "Keep what is shown from being deleted", onclick: () => lockFootage(this.#camera, ...this.#window) }, icon("lock"), "Lock");
    this.element = h("section", { class: "timeline", "aria-label": "Recordings", hidden: true },
      h("div", { class: "line" }, this.title, h("span", { class: "legend" }, h("i", { class: "home" }), "home", h("i", { class: "failover" }), "failover server", h("i", { class: "gap" }), "gap"),
        h("span", { class: "filters", role: "group", "aria-label": "Range" }, ...buttons), markButton, lockButton, this.saveButton, this.liveButton,
        h("button", { class: "quiet small", "aria-label": "Close the timeline", title: "Close", onclick: () => this.close() }, icon("close"))),
      this.track, h("div", { class: "axis" }), this.note);
    context.feed.addEventListener("events", ({ detail }) => {
      if (detail.some((e) => ["takeover", "failback", "merge", "storage"].includes(e.kind))) setTimeout(() => this.refresh(), 700);
    });
    setInterval(() => this.refresh(), 5000);
  }

  show(id) {
    if (id !== this.#camera) this.#live();
    this.#camera = id;
    this.#timeline = null;
    this.element.hidden = false;
    this.refresh();
  }

  close() {
    this.#live();
    this.#camera = "";
    this.element.hidden = true;
    this.#grid.select("");
  }

  async refresh() {
    const id = this.#camera;
    if (id === "" || this.#asking) return;
    this.#asking = true;
    const to = Date.now();
    const from = to - this.#length;
    try {
      const timeline = await call("GET", `/cameras/${encodeURIComponent(id)}/timeline?from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}`);
      if (id !== this.#camera) return;
      // What lies on a server that is away is still known from before.
      const away = new Set(timeline.missing ?? []);
      const known = (this.#timeline?.spans ?? []).filter((s) => away.has(s.at) && Date.parse(s.to) > from);
      timeline.spans.push(...known.map((s) => ({ ...s, away: true })));
      this.#timeline = timeline;
      this.#draw(from, to);
    } catch (err) {
      text(this.note, err.message);
    } finally {
      this.#asking = false;
    }
  }

  #draw(from, to) {
    const { site } = this.#context.feed;
    this.#window = [from, to];
    text(this.title, camera(site, this.#camera)?.name ?? this.#camera);
    const place = (element, a, b) => {
      element.style.left = `${100 * Math.max(0, (a - from) / (to - from))}%`;
      if (b !== undefined) element.style.width = `${Math.max(0.15, 100 * (Math.min(b, to) - Math.max(a, from)) / (to - from))}%`;
      return element;
    };
    const spans = this.#timeline.spans.map((s) => {
      const kind = (isFailover(site, s.holder) ? "failover" : "home") + (s.away ? " away" : "");
      const where = s.away ? `lies on ${s.at}, which is away` : s.at === s.holder ? `lies on ${s.at}` : `recorded by ${s.holder}, lies on ${s.at} now`;
      return place(h("div", { class: "span " + kind, "data-at": s.at, "data-holder": s.holder, title: `${clock(s.from)} to ${clock(s.to)}: recorded by ${s.holder}, ${where}` }), Date.parse(s.from), Date.parse(s.to));
    });
    const holes = (this.#timeline.gaps ?? []).map((g) => place(h("div", { class: "hole " + gapKind(g), "data-cause": g.cause, title: `${clock(g.from)} to ${clock(g.to)}: ${gapTitle(g)}` }), Date.parse(g.from), Date.parse(g.to)));
    const notes = this.#timeline.notes ?? [];
    const second = notes.filter((n) => n.kind === "stand_in").map((n) => place(h("div", { class: "second-stream", title: `${clock(n.from)} to ${clock(n.to)}: ${n.sentence}` }), Date.parse(n.from), Date.parse(n.to)));
    const marks = notes.filter((n) => n.kind === "event").map((n) => place(h("div", { class: "mark", title: `${clock(n.from)}: ${n.name}` }), Math.max(from, Date.parse(n.from))));
    this.track.replaceChildren(...spans, ...second, ...holes, ...marks, this.cursor, this.head);
    this.element.querySelector(".axis").replaceChildren(...ticks(from, to).map((t) => place(h("span", {}, new Date(t).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false })), t)));
    const missing = this.#timeline.missing ?? [];
    // What is before the first recording, and behind the last, is no gap of it.
    const missed = gapsSentence((this.#timeline.gaps ?? []).filter((g) => Date.parse(g.from) > from + 1000 && Date.parse(g.to) < to - 3000));
    text(this.note, missing.length > 0 ? `${missing.join(", ")} did not answer: what lies there cannot be played now.`
      : this.#playback ? this.note.textContent
      : spans.length === 0 ? "Nothing is recorded in this range."
      : `${holders(this.#timeline)}.${missed === "" ? "" : ` ${missed}.`} Click to play.`);
  }

  #timeAt(x) {
    const box = this.track.getBoundingClientRect();
    const [from, to] = this.#window;
    return from + Math.min(1, Math.max(0, (x - box.left) / box.width)) * (to - from);
  }

  #point(x) {
    const box = this.track.getBoundingClientRect();
    this.cursor.hidden = false;
    this.cursor.style.left = `${x - box.left}px`;
    this.cursor.dataset.time = clock(this.#timeAt(x));
  }

  #key(e) {
    const step = { ArrowLeft: -10_000, ArrowRight: 10_000, PageDown: -60_000, PageUp: 60_000 }[e.key];
    if (step !== undefined) {
      e.preventDefault();
      this.#play((this.#playback?.time() ?? Date.now()) + step);
    } else if (e.key === "Escape") this.#live();
  }

  #play(time) {
    const tile = this.#grid.tile(this.#camera);
    if (!tile || !this.#timeline) return;
    this.#playback?.close();
    this.#playback = new Playback({ ...this.#context, camera: this.#camera, screen: tile.screen, time,
      timeline: () => this.#timeline,
      moved: (at, piece) => this.#moved(at, piece),
      ended: (why) => { this.#live(); if (why) text(this.note, why); } });
    this.liveButton.hidden = false;
  }

  #moved(time, piece) {
    const [from, to] = this.#window;
    this.head.hidden = false;
    this.head.style.left = `${100 * Math.min(1, Math.max(0, (time - from) / (to - from)))}%`;
    this.track.setAttribute("aria-valuetext", clock(time));
    text(this.note, `Playing ${clock(time)}, from ${piece.at}.`);
    this.saveButton.hidden = !piece.save;
    if (piece.save && this.saveButton.href !== piece.save) this.saveButton.href = piece.save;
  }

  #live() {
    this.#playback?.close();
    this.#playback = null;
    this.head.hidden = this.liveButton.hidden = this.saveButton.hidden = true;
    text(this.note, "");
  }
}

function holders(timeline) {
  const by = [...new Set(timeline.spans.map((s) => s.holder))];
  const at = [...new Set(timeline.spans.map((s) => s.at))];
  return `Recorded by ${by.join(" and ")}${at.join() === by.join() ? "" : `; all of it lies on ${at.join(" and ")} now`}`;
}
