// What the page knows from one opening to the next, so that it shows the cameras
// while nobody can be asked: who is signed in, the site, and the last media
// token, which servers take for half a day after the management server was heard.

const name = "known";
const longest = 12 * 3600_000; // a session does not last longer

/** Memory keeps what is known in a store: {read, write, remove}, of texts. What it is told, it does in that order. */
export class Memory {
  #store;
  #known = {};
  #turn = Promise.resolve();

  constructor(store = browserStore) {
    this.#store = store;
  }

  /** recall returns {identity, site, token} as they were kept, null if they were not, or too long ago. */
  recall(now = Date.now()) {
    return this.#next(async () => {
      const known = await this.#read(now);
      if (known) this.#known = known;
      return known;
    });
  }

  /** keep changes part of what is known. What another user knew is forgotten. */
  keep(part, now = Date.now()) {
    return this.#next(async () => {
      if (part.identity) {
        const before = this.#known.identity ?? (await this.#read(now))?.identity;
        if (before && before.user !== part.identity.user) await this.#remove();
      }
      this.#known = { ...this.#known, ...part, ...(part.token && { at: now }) };
      const { identity, site, token } = this.#known;
      if (identity && site && token) await this.#store.write(JSON.stringify(this.#known)).catch(() => {}); // a browser without room remembers nothing
    });
  }

  /** forget is for whoever signs out. */
  forget() {
    return this.#next(() => this.#remove());
  }

  #next(step) {
    this.#turn = this.#turn.then(step);
    return this.#turn;
  }

  async #read(now) {
    try {
      const known = JSON.parse(await this.#store.read());
      return known.identity && known.site && known.token && now - known.at < longest ? known : null;
    } catch {
      return null; // nothing is kept, or nothing that can be read
    }
  }

  async #remove() {
    this.#known = {};
    await this.#store.remove().catch(() => {});
  }
}

// A cache holds what is too large for the storage of texts: a site of 20,000 cameras.
const browserStore = {
  read: async () => (await (await caches.open(name)).match(`/${name}`)).text(),
  write: async (text) => (await caches.open(name)).put(`/${name}`, new Response(text)),
  remove: async () => { await caches.delete(name); },
};
