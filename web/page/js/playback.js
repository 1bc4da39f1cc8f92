// Recordings, played over a tile: piece after piece, each from the server where
// it lies.

import { h, text } from "./dom.js";
import { icon } from "./icons.js";
import { pieceAt } from "./spans.js";
import { clock } from "./words.js";

const length = 10 * 60_000; // asked for at once
const iso = (t) => new Date(t).toISOString();

export class Playback {
  #o;
  #piece = null;
  #start = 0; // capture time of the first picture of the piece
  #closed = false;
  #wanted;

  /** o: {feed, reach, tokens, identity, camera, screen, time, timeline(), moved(time, piece), ended(why)} */
  constructor(o) {
    this.#o = o;
    this.#wanted = o.time;
    this.video = h("video", { class: "recorded", playsinline: true, "aria-label": "Recording" });
    this.video.muted = true;
    this.label = h("p", { class: "playing" }, icon("clock"), h("span", {}, clock(o.time)));
    this.video.addEventListener("ended", () => this.#next(this.#piece.to));
    this.video.addEventListener("error", () => this.#failed());
    this.video.addEventListener("timeupdate", () => this.#tell());
    o.screen.append(this.video, this.label);
    this.#next(o.time);
  }

  /** time returns the capture time of the picture shown. */
  time() {
    return this.#piece ? this.#start + this.video.currentTime * 1000 : this.#wanted;
  }

  close() {
    this.#closed = true;
    this.video.removeAttribute("src");
    this.video.load();
    this.video.remove();
    this.label.remove();
  }

  async #next(time) {
    this.#wanted = time;
    const piece = pieceAt(this.#o.timeline(), time, length);
    if (!piece) {
      this.#o.ended("The recordings end here.");
      return;
    }
    const { reach, camera, tokens, identity } = this.#o;
    const token = await tokens.get().catch(() => "");
    if (this.#closed) return;
    const url = (what, from, to, more = "") => reach.url(piece.at, "https", `/v1/cameras/${encodeURIComponent(camera)}/${what}?from=${iso(from)}&to=${iso(to)}&token=${encodeURIComponent(token)}${more}`);
    // A piece begins with the key frame before; the playlist says when that was.
    this.#start = await began(url("hls/index.m3u8", piece.from, Math.min(piece.to, piece.from + 1000)), piece.from);
    if (this.#closed) return;
    if (identity.actions?.includes("export")) piece.save = url("media.mp4", piece.from, piece.from + 60_000, "&download=1");
    this.#piece = piece;
    this.video.src = url("media.mp4", piece.from, piece.to);
    this.video.play().catch(() => {}); // an error event follows
  }

  #tell() {
    if (this.#closed || !this.#piece) return;
    text(this.label.lastChild, clock(this.time()));
    this.#o.moved(this.time(), this.#piece);
  }

  #failed() {
    if (this.#closed || !this.#piece) return;
    this.#o.ended(`The recording on ${this.#piece.at} could not be played: ${this.video.error?.message || "the server did not answer"}.`);
  }
}

async function began(url, otherwise) {
  try {
    const list = await (await fetch(url)).text();
    const at = Date.parse(/#EXT-X-PROGRAM-DATE-TIME:(\S+)/.exec(list)?.[1]);
    return Number.isNaN(at) ? otherwise : at;
  } catch {
    return otherwise;
  }
}
