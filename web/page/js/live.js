// The live picture of one camera, from whoever holds it: it follows a takeover
// by push and by its own failed or silent connection, whichever comes first. A
// new connection replaces the old one when its session begins, never before.

import { candidates, lease } from "./site.js";
import { pauseAfter } from "./pause.js";
import { Player } from "./player.js";
import { elect, Words } from "./statement.js";

const silent = 1200; // without a fragment, a connection is doubted
const opening = 1500; // for a connection to open
const greeting = 12_000; // for its first key frame
const alone = 1000; // without pictures, all are asked what they have, and others than the holder are tried

/** Connection is one WebSocket to one server on one way. */
class Connection {
  opened = false;
  greeted = false;
  heard = Date.now();

  constructor(server, way, url, listeners) {
    this.server = server;
    this.way = way;
    this.begun = Date.now();
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.opened = true;
      this.heard = Date.now();
      listeners.opened(this);
    };
    socket.onmessage = ({ data }) => {
      this.heard = Date.now();
      if (typeof data === "string") {
        this.greeted = true;
        listeners.hello(this, JSON.parse(data));
      } else listeners.bytes(this, new Uint8Array(data));
    };
    socket.onclose = () => listeners.closed(this);
  }

  close() {
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }
}

export class Live {
  refused = ""; // why the browser cannot show this camera
  #camera;
  #feed;
  #reach;
  #tokens;
  #current = null; // what is shown
  #next = null; // what shall be
  #tries = 0;
  #tryAt = 0;
  #dialing = false;
  #closed = false;
  #started = Date.now();
  #holder;
  #words = new Words();
  #elected = ""; // whose word was followed, since the site told of a holder
  #listeners;
  #off = new AbortController();

  constructor({ camera, video, canvas, feed, reach, tokens, shown }) {
    this.#camera = camera;
    this.#feed = feed;
    this.#reach = reach;
    this.#tokens = tokens;
    this.player = new Player(video, canvas, { shown, broken: () => this.#restart() });
    this.#listeners = {
      opened: (c) => reach.worked(c.server, c.way),
      hello: (c, hello) => this.#hello(c, hello),
      bytes: (c, bytes) => c === this.#current && this.player.append(bytes),
      closed: (c) => this.#lost(c),
    };
    this.#holder = lease(feed.site, camera)?.holder;
    const signal = this.#off.signal;
    feed.addEventListener("site", () => this.#moved(), { signal });
    reach.addEventListener("change", ({ detail: server }) => {
      if (reach.of(server).up && server === this.#holder) this.#soon();
    }, { signal });
    const timer = setInterval(() => this.#tick(), 100);
    signal.addEventListener("abort", () => clearInterval(timer));
    this.#tick();
  }

  /** facts returns what a tile shows of the connection. */
  facts() {
    const c = this.#current;
    return {
      connected: c?.server ?? "", way: c?.way ?? "", quiet: c ? Date.now() - c.heard : Infinity,
      trying: this.#next?.server ?? "", since: this.player.lastFrame || this.#started,
    };
  }

  close() {
    this.#closed = true;
    this.#off.abort();
    this.#current?.close();
    this.#next?.close();
    this.player.close();
  }

  #moved() {
    const holder = lease(this.#feed.site, this.#camera)?.holder;
    if (holder === this.#holder) return;
    this.#holder = holder;
    this.#words.forget();
    this.#elected = "";
    if (this.#next && this.#next.server !== holder) {
      this.#next.close();
      this.#next = null;
    }
    this.#soon();
  }

  #soon() {
    this.#tries = 0;
    this.#tryAt = 0;
    this.#tick();
  }

  #restart() {
    this.#current?.close();
    this.#current = null;
    this.#tries++;
    this.#tryAt = Date.now() + pauseAfter(this.#tries);
  }

  #hello(c, hello) {
    if (c === this.#next) {
      this.#current?.close();
      this.#current = c;
      this.#next = null;
      this.#tries = 0;
    }
    if (c !== this.#current) return;
    hello.way = c.way;
    this.refused = "";
    if (!this.player.session(hello)) {
      const h265 = hello.tracks.some((t) => t.codec === "h265");
      this.refused = h265
        ? "This camera sends H.265, which this browser cannot decode. Use a browser with H.265 hardware decoding, or set the camera to H.264. Recording is not affected."
        : `This browser cannot decode what the camera sends (${hello.mime}). Use another browser, or set the camera to H.264, main profile. Recording is not affected.`;
    }
  }

  #lost(c) {
    if (c !== this.#current && c !== this.#next) return;
    if (c === this.#current) this.#current = null;
    else this.#next = null;
    if (!c.opened) this.#reach.ask(c.server);
    this.#tries++;
    if (!c.opened && this.#tries % 3 === 0) this.#tokens.doubt(); // a browser does not say why it was refused
    this.#tryAt = Date.now() + pauseAfter(this.#tries);
    if (c.opened && this.#tries === 1) this.#tick();
  }

  #tick() {
    if (this.#closed || !this.#holder) return;
    const now = Date.now();
    if (this.#next && (!this.#next.opened && now - this.#next.begun > opening || !this.#next.greeted && now - this.#next.begun > greeting)) {
      const c = this.#next;
      c.close();
      this.#lost(c);
    }
    this.#inquire(now);
    // Whose word was followed is good for as long as nobody tells leases: a mirror shows what it serves no more.
    const right = [this.#holder, ...(this.#feed.connected ? [] : [this.#elected])];
    const good = this.#current && right.includes(this.#current.server) && now - this.#current.heard < silent;
    if (good || this.#next || this.#dialing || now < this.#tryAt) return;
    const server = this.#choose(now);
    if (server) this.#dial(server);
  }

  #quiet(now) {
    return now - (this.#current?.heard ?? Math.max(this.player.lastFrame, this.#started));
  }

  // #inquire asks all that may have the picture, when it stands still.
  async #inquire(now) {
    const quiet = this.#quiet(now);
    if (quiet < alone) return;
    const token = await this.#tokens.get().catch(() => "");
    if (token === "" || this.#closed) return;
    this.#words.ask(candidates(this.#feed.site, this.#camera), this.#camera, token, quiet,
      (server, path) => this.#reach.url(server, "https", path), () => this.#elect());
  }

  // #elect goes to the server that says that it has the picture.
  #elect() {
    if (this.#closed || this.#quiet(Date.now()) < alone) return;
    const server = elect(candidates(this.#feed.site, this.#camera), this.#words.fresh(), this.#current?.server ?? "", !this.#feed.connected);
    if (server === "" || this.#dialing || this.#next?.server === server) return;
    this.#elected = server;
    this.#next?.close();
    this.#next = null;
    this.#dial(server);
  }

  // #choose returns whom to connect to: the holder, if it is there; others only
  // when pictures stay away, since a refused connection slows down later ones.
  #choose(now) {
    const there = (id) => {
      const { up } = this.#reach.of(id);
      if (up === undefined || up === false) this.#reach.ask(id);
      return up;
    };
    const all = candidates(this.#feed.site, this.#camera);
    const quiet = this.#quiet(now);
    if (there(this.#holder) && (quiet < alone || this.#tries % 2 === 0)) return this.#holder;
    if (quiet < alone) return undefined;
    const others = all.filter((id) => id !== this.#current?.server && there(id));
    return others[this.#tries % Math.max(1, others.length)];
  }

  async #dial(server) {
    this.#dialing = true;
    let token;
    try {
      token = await this.#tokens.get();
    } catch {
      this.#tryAt = Date.now() + 1000;
      return;
    } finally {
      this.#dialing = false;
    }
    if (this.#closed || this.#next) return;
    const { way } = this.#reach.of(server);
    const path = `/v1/cameras/${encodeURIComponent(this.#camera)}/live?token=${encodeURIComponent(token)}`;
    this.#next = new Connection(server, way, this.#reach.url(server, "wss", path), this.#listeners);
  }
}
