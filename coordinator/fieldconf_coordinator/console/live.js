// The stream of what changes: server-sent events, read with fetch.
//
// EventSource would hide two things that are needed here: the beats, without which a connection
// that died while the laptop slept looks like one on which nothing happens, and the header that
// says from where to go on. So this reads the stream itself:
//
// * No byte for longer than three beats: the connection is dead; begin anew.
// * The laptop woke up, or the network came back: look at once instead of waiting.
// * The coordinator is gone: try again after 0.5, 1, 2 … 10 s; go on after the last message.

const SILENCE_MS = 50_000;
const LONGEST_PAUSE_MS = 10_000;

/** Cuts a stream of text into messages {id, event, data}. */
export class Parser {
  #rest = "";
  #message = { event: "message", data: [] };
  id = "";

  /** Return the messages that this piece completes. */
  push(piece) {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop();
    const found = [];
    for (const line of lines) this.#line(line.replace(/\r$/, ""), found);
    return found;
  }

  #line(line, found) {
    if (line === "") {
      if (this.#message.data.length) {
        found.push({
          id: this.id,
          event: this.#message.event,
          data: this.#message.data.join("\n"),
        });
      }
      this.#message = { event: "message", data: [] };
      return;
    }
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#message.data.push(value);
    else if (field === "event") this.#message.event = value;
    else if (field === "id") this.id = value;
  }
}

/** Keeps a stream of one scope open, whatever happens. */
export class Live {
  #handlers;
  #scope = null;
  #abort = null;
  #timer = 0;
  #watchdog = 0;
  #attempt = 0;
  #lastId = "";
  #heard = 0;

  /**
   * handlers.message(event, data): a message came
   * handlers.status("connecting" | "live" | "lost"): how the connection is
   * handlers.refused(status): the coordinator does not let us in
   */
  constructor(handlers) {
    this.#handlers = handlers;
    for (const [target, name] of [
      [window, "online"],
      [window, "focus"],
      [window, "pageshow"],
      [document, "visibilitychange"],
    ]) {
      target.addEventListener(name, () => this.#look());
    }
    // No need to wait until the silence tells.
    window.addEventListener("offline", () => this.#abort?.abort());
  }

  /** Watch this scope ({application, instances, logs}) from now on. */
  watch(scope) {
    if (this.#scope && JSON.stringify(scope) === JSON.stringify(this.#scope)) return;
    this.#scope = scope;
    this.#lastId = "";
    this.#attempt = 0;
    this.#open();
  }

  /** Watch nothing any more. */
  stop() {
    this.#scope = null;
    this.#close();
  }

  #close() {
    clearTimeout(this.#timer);
    clearInterval(this.#watchdog);
    this.#abort?.abort();
    this.#abort = null;
  }

  /** The page was woken: the connection may be dead, or the pause needless. */
  #look() {
    if (!this.#scope || document.hidden) return;
    const silent = Date.now() - this.#heard > SILENCE_MS;
    if (this.#abort === null || silent) {
      this.#attempt = 0;
      this.#open();
    }
  }

  async #open() {
    this.#close();
    const abort = new AbortController();
    this.#abort = abort;
    this.#heard = Date.now();
    this.#watchdog = setInterval(() => this.#watch(abort), 5000);
    if (!this.#lastId) this.#handlers.status("connecting");
    try {
      await this.#read(abort);
    } catch {
      // Lost: it is tried again below.
    }
    if (this.#abort === abort) this.#again();
  }

  #watch(abort) {
    if (Date.now() - this.#heard > SILENCE_MS) abort.abort();
  }

  #again() {
    this.#close();
    if (!this.#scope) return;
    this.#handlers.status("lost");
    const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.#attempt);
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#open(), pause * (0.75 + Math.random() / 2));
  }

  async #read(abort) {
    const given = Object.entries(this.#scope).filter(([, value]) => value !== undefined);
    const headers = { Accept: "text/event-stream" };
    if (this.#lastId) headers["Last-Event-ID"] = this.#lastId;
    const response = await fetch(`/api/v1/stream?${new URLSearchParams(given)}`, {
      headers,
      signal: abort.signal,
      credentials: "same-origin",
      cache: "no-store",
    });
    if (!response.ok) {
      if (response.status === 401 || response.status === 403) {
        this.#scope = null;
        this.#handlers.refused(response.status);
      }
      return;
    }
    this.#handlers.status("live");
    this.#attempt = 0;
    await this.#messages(response.body, abort);
  }

  async #messages(body, abort) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new Parser();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.#abort !== abort) return;
      this.#heard = Date.now();
      for (const message of parser.push(value)) {
        this.#handlers.message(message.event, JSON.parse(message.data));
        if (message.id) this.#lastId = message.id;
      }
    }
  }
}
