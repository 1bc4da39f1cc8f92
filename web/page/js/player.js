// One <video> fed with live fragments of one session after another. The picture
// never goes black: sessions are laid end to end on one media timeline, and an
// empty buffer leaves the last picture standing. Where the media source must be
// made anew, a copy of the last picture covers the change.

import { chase } from "./edge.js";
import { Pacer } from "./fragment.js";

const keep = 12; // seconds kept behind the playhead
const trimAt = 30;
const waiting = 1000; // fragments that may wait to be appended

export class Player {
  frames = 0; // decoded, over all sessions
  sessions = []; // {offset, base, server, epoch}: where each begins on the media timeline
  shown = null; // session of the picture that is shown
  lastFrame = 0; // Date.now() of the last new picture
  #video;
  #canvas;
  #source = null;
  #buffer = null;
  #mime = "";
  #queue = []; // of Uint8Array, or {mime, server, base, epoch}
  #pending = null; // a session whose init is not there yet
  #pacer = new Pacer();
  #listeners;
  #counted = 0;

  /** listeners: shown(session) when the picture is of another session, broken(sentence) when it must be begun anew. */
  constructor(video, canvas, listeners) {
    this.#video = video;
    this.#canvas = canvas;
    this.#listeners = listeners;
    video.muted = true;
    video.playsInline = true;
    video.addEventListener("error", () => {
      if (this.#source) this.#broke(`The browser could not decode the picture (${video.error?.message || "no reason given"}).`);
    });
    this.#count();
  }

  /** session begins another one: its init segment is the next append. False when the browser cannot decode it. */
  session(hello) {
    if (!MediaSource.isTypeSupported(hello.mime)) {
      this.close();
      return false;
    }
    if (!this.#source || this.#video.error) this.#open();
    this.#queue.push(...this.#pacer.flush());
    this.#pending = hello;
    return true;
  }

  append(bytes) {
    if (!this.#source) return;
    if (this.#pending) {
      this.#queue.push({ hello: this.#pending, bytes });
      this.#pending = null;
    } else this.#queue.push(...this.#pacer.next(bytes));
    if (this.#queue.length > waiting) this.#broke("The browser takes no more of the picture.");
    else this.#pump();
  }

  /** delay returns seconds from capture to now of the picture shown; undefined if none is. */
  delay() {
    const s = this.shown;
    return s ? (Date.now() - s.base) / 1000 - (this.#video.currentTime - s.offset) : undefined;
  }

  /** close frees what the player holds; the last picture stays. */
  close() {
    this.#cover();
    this.#drop();
  }

  #open() {
    this.#cover();
    this.#drop();
    const source = new MediaSource();
    this.#source = source;
    const url = URL.createObjectURL(source);
    source.addEventListener("sourceopen", () => {
      URL.revokeObjectURL(url);
      this.#pump();
    }, { once: true });
    this.#video.src = url;
  }

  #drop() {
    this.#source = this.#buffer = this.#pending = null;
    this.#queue = [];
    this.#pacer = new Pacer();
    this.sessions = [];
    this.#counted = 0;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #cover() {
    if (this.#video.videoWidth === 0 || this.#video.readyState < 2) return;
    this.#canvas.width = this.#video.videoWidth;
    this.#canvas.height = this.#video.videoHeight;
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0);
    this.#canvas.hidden = false;
  }

  #broke(why) {
    this.#cover();
    this.#drop();
    this.#listeners.broken(why);
  }

  #pump() {
    if (this.#source?.readyState !== "open" || this.#buffer?.updating || this.#queue.length === 0) return;
    try {
      const first = this.#queue[0];
      if (first instanceof Uint8Array) this.#appendAll();
      else {
        this.#begin(first.hello);
        this.#buffer.appendBuffer(first.bytes);
        this.#queue.shift();
      }
    } catch (err) {
      if (err.name === "QuotaExceededError" && this.#trim(1)) return;
      this.#broke(`The browser did not take the picture (${err.message}).`);
    }
  }

  // #appendAll appends all that waits up to the next session as one piece.
  #appendAll() {
    let n = this.#queue.findIndex((x) => !(x instanceof Uint8Array));
    if (n < 0) n = this.#queue.length;
    const pieces = this.#queue.slice(0, n);
    const whole = new Uint8Array(pieces.reduce((sum, p) => sum + p.length, 0));
    let at = 0;
    for (const p of pieces) {
      whole.set(p, at);
      at += p.length;
    }
    this.#buffer.appendBuffer(whole);
    this.#queue.splice(0, n);
  }

  #begin(hello) {
    if (!this.#buffer) {
      this.#buffer = this.#source.addSourceBuffer(hello.mime);
      this.#buffer.addEventListener("updateend", () => this.#updated());
      this.#mime = hello.mime;
    } else {
      this.#buffer.abort();
      if (hello.mime !== this.#mime) this.#buffer.changeType(this.#mime = hello.mime);
    }
    const offset = this.#end();
    this.#buffer.timestampOffset = offset;
    this.sessions = [...this.sessions.slice(-5), { offset, base: Date.parse(hello.base), server: hello.server, epoch: hello.epoch, way: hello.way }];
  }

  #end() {
    const b = this.#buffer.buffered;
    return b.length === 0 ? 0 : b.end(b.length - 1);
  }

  #updated() {
    if (!this.#buffer) return;
    const b = this.#buffer.buffered;
    if (b.length > 0) {
      const next = chase(this.#video.currentTime, b.start(b.length - 1), b.end(b.length - 1));
      if (next.jump !== undefined) this.#video.currentTime = next.jump;
      else if (this.#video.playbackRate !== next.rate) this.#video.playbackRate = next.rate;
      if (this.#video.paused) this.#video.play().catch(() => {}); // asked again with the next fragment
    }
    if (this.#video.currentTime - (b.length > 0 ? b.start(0) : 0) > trimAt && this.#trim(keep)) return;
    this.#pump();
  }

  // #trim forgets what is older than seconds behind the playhead.
  #trim(seconds) {
    const b = this.#buffer.buffered;
    const to = this.#video.currentTime - seconds;
    if (b.length === 0 || to <= b.start(0) || this.#buffer.updating) return false;
    this.#buffer.remove(0, to);
    return true;
  }

  // #count counts pictures as they are shown.
  #count() {
    const shown = (_, about) => {
      if (this.#source && about.presentedFrames !== this.#counted) {
        this.frames += Math.max(1, about.presentedFrames - this.#counted);
        this.#counted = about.presentedFrames;
        this.lastFrame = Date.now();
        this.#canvas.hidden = true;
        const session = this.sessions.findLast((s) => about.mediaTime >= s.offset - 0.001);
        if (session && session !== this.shown) {
          this.shown = session;
          this.#listeners.shown(session);
        }
      }
      this.#video.requestVideoFrameCallback(shown);
    };
    this.#video.requestVideoFrameCallback(shown);
  }
}
