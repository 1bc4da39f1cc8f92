// What servers say of their own part in a camera, when the picture stands still
// and nobody tells who holds it. The words are signed for whoever passes them
// on; a browser has them from the server itself, over TLS to its host, and
// cannot verify the site's certificates beyond that.

const patience = 1000; // for an answer
const soon = 500; // between two questions to a server, at first
const later = 2000;
const holds = 6000; // of an answer

/** Words are what the servers that may have a camera last said. told is called with each answer. */
export class Words {
  #last = new Map(); // server → { asked, said }: said is null for a server that did not answer
  #asking = new Set();

  /** ask asks each of the servers whose turn it is. url: (server, path) → address. */
  ask(servers, camera, token, quiet, url, told) {
    const now = Date.now();
    const every = Math.min(Math.max(quiet / 4, soon), later);
    for (const server of servers) {
      if (this.#asking.has(server) || now - (this.#last.get(server)?.asked ?? 0) < every) continue;
      this.#asking.add(server);
      question(server, camera, token, url).then((said) => {
        this.#asking.delete(server);
        this.#last.set(server, { asked: now, said });
        told();
      });
    }
  }

  /** fresh returns what was said of late: server → statement, or null. */
  fresh(now = Date.now()) {
    return new Map([...this.#last].filter(([, { asked }]) => now - asked < holds).map(([server, { said }]) => [server, said]));
  }

  /** forget is for when the site tells of another holder. */
  forget() {
    this.#last.clear();
  }
}

async function question(server, camera, token, url) {
  const nonce = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  try {
    const response = await fetch(url(server, `/v1/cameras/${encodeURIComponent(camera)}/statement?nonce=${nonce}&token=${encodeURIComponent(token)}`),
      { signal: AbortSignal.timeout(patience), cache: "no-store" });
    return response.ok ? answers(await response.json(), server, camera, nonce) : null;
  } catch {
    return null;
  }
}

/** answers returns what was said, null when it is not that server's word on that camera to that question. */
export function answers(signed, server, camera, nonce) {
  const said = JSON.parse(atob(signed.statement));
  return said.server === server && said.camera === camera && said.nonce === nonce ? said : null;
}

/**
 * elect returns the server to go to from the one that is shown, "" for none: of
 * those that have the picture the one of the highest epoch, when the one that is
 * shown does not answer, serves the camera no more, receives nothing or, while
 * nobody tells leases (alone), serves under a lower epoch.
 */
export function elect(order, words, shown, alone) {
  let best;
  for (const server of order) {
    const said = words.get(server);
    if (!said?.receiving) continue;
    if (!best || said.epoch > best.epoch || said.epoch === best.epoch && server === shown) best = { server, epoch: said.epoch };
  }
  if (!best || best.server === shown || shown && !words.has(shown)) return "";
  const own = shown ? words.get(shown) : null;
  const well = own?.receiving && own.epoch > 0;
  return well && !(alone && best.epoch > own.epoch) ? "" : best.server;
}
