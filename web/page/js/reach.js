// Which way to a server's media port: directly, or relayed by the management
// server for a browser that does not trust the installation's CA. A browser
// does not tell a certificate it does not trust from a server that is away;
// what does is whether the other way works.

import { decide } from "./way.js";

const patience = 1500; // for one question
const pause = 250; // between questions to a server that is away, at first
const longest = 2000;
const wanted = 3000; // after nobody wanted to know for so long, nobody is asked
const doubt = 8;
const again = 60_000; // the direct way is tried again: the CA may have been installed

/** Reach knows the way to each server. It tells "change" when what it knows has changed. */
export class Reach extends EventTarget {
  #known = new Map();
  #asking = new Set();
  #wanted = new Map(); // when somebody last wanted to know
  #address;

  /** address: id → host:port of a media port, undefined for an unknown server. */
  constructor(address) {
    super();
    this.#address = address;
    setInterval(() => this.#lookAgain(), again);
  }

  /** of returns {way: "direct"|"relayed"|"", up: true|false|undefined} of a server. */
  of(id) {
    return this.#known.get(id) ?? { way: "", up: undefined };
  }

  /** url returns an address on a server's media port. */
  url(id, scheme, path, way = this.of(id).way) {
    return way === "relayed" ? `${scheme}://${location.host}/relay/${encodeURIComponent(id)}${path}` : `${scheme}://${this.#address(id)}${path}`;
  }

  /** worked is told by whoever had media on a way. */
  worked(id, way) {
    this.#set(id, { ...this.of(id), way, up: true });
  }

  /** ask finds out, and asks again while the server is away and somebody still wants to know. */
  async ask(id) {
    this.#wanted.set(id, Date.now());
    if (this.#asking.has(id) || !this.#address(id)) return;
    this.#asking.add(id);
    for (let n = 0; Date.now() - this.#wanted.get(id) < wanted; n++) {
      const known = this.of(id);
      let direct = known.way !== "relayed" && await this.#there(id, "direct");
      // A way that worked is doubted only now and then: the server is what is away.
      const relayed = !direct && (known.way !== "direct" || n % doubt === doubt - 1) && await this.#there(id, "relayed");
      // It may have come back between the two questions.
      if (relayed && known.way === "direct") direct = await this.#there(id, "direct");
      this.#set(id, decide(known, direct, relayed));
      if (direct || relayed) break;
      await new Promise((resolve) => setTimeout(resolve, Math.min(pause * 1.2 ** n, longest)));
    }
    this.#asking.delete(id);
  }

  async #lookAgain() {
    for (const [id, known] of this.#known) {
      if (known.way === "relayed" && known.up && await this.#there(id, "direct")) this.#set(id, { way: "direct", up: true });
    }
  }

  async #there(id, way) {
    try {
      const response = await fetch(this.url(id, "https", "/health", way), { signal: AbortSignal.timeout(patience), cache: "no-store", credentials: way === "direct" ? "omit" : "same-origin" });
      return response.ok;
    } catch {
      return false;
    }
  }

  #set(id, found) {
    const before = this.of(id);
    this.#known.set(id, found);
    if (before.way !== found.way || before.up !== found.up) this.dispatchEvent(new CustomEvent("change", { detail: id }));
  }
}
