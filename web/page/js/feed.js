// The service channel: the site as it is, then every change, by push.

import { call } from "./api.js";
import { applyEvent, emptySite, wholeSite } from "./site.js";

const silence = 12_000; // the channel tells of all servers every second
const kept = 300; // events
const remember = 1000; // after a change, the site is

/** Feed follows the channel and tells listeners: "site", "status", "events", "connection", "signed-out". */
export class Feed extends EventTarget {
  site = emptySite();
  status = new Map(); // server id → status
  events = []; // newest first
  connected = false;
  #source = null;
  #cursor = "";
  #heard = 0;
  #watch = null;
  #retry = null;
  #memory;
  #remembering = null;

  constructor(memory) {
    super();
    this.#memory = memory;
  }

  /** start follows the channel; site is how it was last known, if nobody can tell how it is. */
  start(site) {
    if (site) {
      this.site = wholeSite(site);
      this.#tell("site");
    }
    this.#open();
    this.#watch = setInterval(() => {
      if (Date.now() - this.#heard > silence) this.#reopen();
    }, 1000);
  }

  stop() {
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    clearTimeout(this.#remembering);
    this.#source?.close();
  }

  #open() {
    this.#heard = Date.now();
    const source = new EventSource("/api/v1/channel" + (this.#cursor === "" ? "" : `?cursor=${encodeURIComponent(this.#cursor)}`));
    this.#source = source;
    const on = (name, take) => source.addEventListener(name, (message) => {
      this.#heard = Date.now();
      if (message.lastEventId !== "" && (name === "site" || name === "event")) this.#cursor = message.lastEventId;
      this.#connected(true);
      take(JSON.parse(message.data));
    });
    on("site", (site) => {
      this.site = wholeSite(site);
      this.#changed();
      this.#history();
    });
    on("event", (event) => {
      const before = this.site;
      this.site = applyEvent(this.site, event);
      this.#keep([event]);
      if (this.site !== before && event.changes?.length) this.#changed();
    });
    on("status", (all) => {
      this.status = new Map((all ?? []).map((s) => [s.server, s]));
      this.#tell("status");
    });
    on("reset", () => this.#tell("rights"));
    source.onerror = () => {
      this.#connected(false);
      if (source.readyState === EventSource.CLOSED && source === this.#source) this.#later();
    };
  }

  #changed() {
    this.#tell("site");
    this.#remembering ??= setTimeout(() => {
      this.#remembering = null;
      this.#memory.keep({ site: this.site });
    }, remember);
  }

  #reopen() {
    this.#connected(false);
    this.#source?.close();
    this.#open();
  }

  // #later opens again after the server refused: perhaps the session has ended.
  #later() {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(async () => {
      try {
        await call("GET", "/me");
      } catch (err) {
        if (err.code === "unauthenticated") {
          this.stop();
          this.#tell("signed-out");
          return;
        }
      }
      this.#reopen();
    }, 1000);
  }

  async #history() {
    try {
      this.#keep(await call("GET", "/events?limit=200"));
    } catch {
      // the next snapshot asks again; new events come by push meanwhile
    }
  }

  #keep(events) {
    const known = new Set(this.events.map((e) => e.seq));
    const fresh = events.filter((e) => !known.has(e.seq));
    if (fresh.length === 0) return;
    this.events = [...fresh, ...this.events].sort((a, b) => b.seq - a.seq).slice(0, kept);
    this.dispatchEvent(new CustomEvent("events", { detail: fresh }));
  }

  #connected(is) {
    if (is === this.connected) return;
    this.connected = is;
    this.#tell("connection");
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}
