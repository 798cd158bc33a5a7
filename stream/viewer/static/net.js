// Asking the server: with the token that came in the address, if one did, and a WebSocket that comes back by itself.

const KEY = "strefer-token", TRIES = 4;

/** The token of the address (#token=…), kept for this tab so that a reload needs no address; "" where none is wanted. */
function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname + location.search); // not into a bookmark or over a shoulder
  }
  return sessionStorage.getItem(KEY) ?? "";
}

const secret = token();

/** The server's refusal, in its own words. */
export class Refused extends Error {
  /** @param {number} status @param {string} text */
  constructor(status, text) {
    super(text.trim());
    this.status = status;
  }
}

/**
 * Ask the server. @param {string} path @param {RequestInit} [init] @returns {Promise<Response>} a good one; throws Refused.
 */
export async function ask(path, init = {}) {
  const headers = { ...(init.headers ?? {}), ...(secret ? { authorization: `Bearer ${secret}` } : {}) };
  let response = await fetch(path, { ...init, headers, cache: "no-store" });
  for (let tries = 1; response.status === 503 && tries < TRIES; tries++) {
    await new Promise((go) => setTimeout(go, tries * 1000)); // it is busy, and asks for that
    response = await fetch(path, { ...init, headers, cache: "no-store" });
  }
  if (!response.ok) throw new Refused(response.status, await response.text());
  return response;
}

/** Why the server lets this page see nothing, in its own words; "" where it does, or does not answer. */
export async function refusal() {
  try {
    await ask("/api/");
  } catch (e) {
    if (e instanceof Refused && (e.status === 401 || e.status === 403)) return e.message;
  }
  return "";
}

/** The address of what belongs to a feed. @param {string} feed @param {...(string | number)} parts */
export function ofFeed(feed, ...parts) {
  return ["/api/feeds", encodeURIComponent(feed), ...parts.map((p) => encodeURIComponent(p))].join("/");
}

/**
 * A chunk's frames as they come. @param {string} path @param {AbortSignal} signal
 * @returns {AsyncGenerator<{pts_us: number, jpeg: Blob}>}
 */
export async function* frames(path, signal) {
  const reader = (await ask(path, { signal })).body.getReader();
  let held = new Uint8Array(0);
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const joined = new Uint8Array(held.length + value.length);
    joined.set(held);
    joined.set(value, held.length);
    held = joined;
    for (;;) {
      if (held.length < 12) break;
      const view = new DataView(held.buffer, held.byteOffset, held.byteLength);
      const length = view.getUint32(0, true);
      if (held.length < 12 + length) break;
      yield { pts_us: Number(view.getBigInt64(4, true)), jpeg: new Blob([held.slice(12, 12 + length)], { type: "image/jpeg" }) };
      held = held.subarray(12 + length);
    }
  }
}

/** The WebSocket, opened again for as long as the page lives: after half a second, then twice as long up to five. */
export class Line {
  /**
   * @param {(message: any) => void} told @param {(up: boolean) => void} changed
   * @param {() => {feed: string, version: number}} wanted what to watch when it is open
   */
  constructor(told, changed, wanted) {
    this.told = told;
    this.changed = changed;
    this.wanted = wanted;
    this.pause_ms = 500;
    this.#open();
  }

  #open() {
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
    this.socket = new WebSocket(address, secret ? ["strefer", `token.${secret}`] : ["strefer"]);
    this.socket.onopen = () => {
      this.pause_ms = 500;
      this.changed(true);
      this.watch();
    };
    this.socket.onmessage = (event) => this.told(JSON.parse(event.data));
    this.socket.onclose = () => {
      this.changed(false);
      setTimeout(() => this.#open(), this.pause_ms);
      this.pause_ms = Math.min(5000, this.pause_ms * 2);
    };
  }

  /** Say what to watch now. */
  watch() {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(this.wanted()));
  }
}
