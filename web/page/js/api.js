// The management server's REST API, and media tokens.

const base = "/api/v1";

/** Failure is an error of the API: code to branch on, message to show. */
export class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** call asks the API and returns the answer, undefined where there is none. It waits for so many milliseconds, if that is said. */
export async function call(method, path, body, patience) {
  let response;
  try {
    response = await fetch(base + path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: patience && AbortSignal.timeout(patience),
    });
  } catch {
    throw new Failure("unavailable", "The management server does not answer. Recording goes on without it; this page tries again.");
  }
  if (response.status === 204) return undefined;
  const text = await response.text();
  let answer;
  try {
    answer = text === "" ? undefined : JSON.parse(text);
  } catch {
    throw new Failure("internal", `The management server answered ${response.status} with something that is not JSON.`);
  }
  if (!response.ok) {
    throw new Failure(answer?.code ?? "internal", sentence(answer?.message ?? `The management server answered ${response.status}.`));
  }
  return answer;
}

/** sentence makes of an error message, which begins small and has no full stop, a sentence. */
export function sentence(message) {
  if (message === "") return "";
  const whole = message[0].toUpperCase() + message.slice(1);
  return /[.!?…]$/.test(whole) ? whole : whole + ".";
}

/** Tokens keeps a media token fresh. Servers verify it without asking anyone, so an old one serves while management is away. */
export class Tokens {
  #token;
  #memory;
  #renewAt = 0;
  #asking = null;

  /** token is the last one that is known, "" for none. */
  constructor(memory, token = "") {
    this.#memory = memory;
    this.#token = token;
  }

  /** get returns a token; it waits only for the first one. */
  async get() {
    if (Date.now() >= this.#renewAt) this.#ask();
    if (this.#token === "") await this.#asking;
    return this.#token;
  }

  /** doubt has another asked for: servers refuse one that was given before its user's rights were changed. */
  doubt() {
    this.#renewAt = 0;
  }

  #ask() {
    this.#asking ??= call("POST", "/media-tokens")
      .then((answer) => {
        this.#token = answer.token;
        this.#renewAt = Date.now() + (Date.parse(answer.expires) - Date.now()) / 2;
        this.#memory.keep({ token: this.#token });
      })
      .catch((err) => {
        this.#renewAt = Date.now() + 5000;
        if (this.#token === "") throw err;
      })
      .finally(() => { this.#asking = null; });
  }
}
