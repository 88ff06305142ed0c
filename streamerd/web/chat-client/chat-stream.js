// One event stream that stays: read by the letter of the standard, opened again with its cursor
// when it ends, for whatever reason, until it is closed or refused for good. That a stream ends is
// never the end of an answer.
//
// It knows nothing of sessions: where to go on from, and whether what came fits, is for its owner
// to say. Clock, fetch and chance come with the environment.

// --- reading a stream ---

const MAX_EVENT = 64 * 1024 * 1024; // characters of one event: twice what the server can send

// Takes the bytes as they come and calls on.event({id, hasId, name, data}) for each whole event,
// on.retry(ms) and on.comment(text). Half an event at the end of a stream is none.
export class SseReader {
  #on;
  #decoder = new TextDecoder("utf-8"); // takes a BOM at the beginning away
  #line = []; // pieces of a line whose end has not come
  #size = 0;
  #afterCr = false;
  #data = [];
  #name = "";
  #id = ""; // the last one that was given
  #hasId = false; // by the event at hand
  lastId = "";

  constructor(on) {
    this.#on = on;
  }

  push(bytes) {
    const text = this.#decoder.decode(bytes, { stream: true });
    let at = 0;
    if (this.#afterCr && text) {
      if (text[0] === "\n") at = 1; // the rest of CRLF
      this.#afterCr = false;
    }
    let cr = text.indexOf("\r", at);
    let lf = text.indexOf("\n", at);
    while (cr >= 0 || lf >= 0) {
      const end = cr >= 0 && (lf < 0 || cr < lf) ? cr : lf;
      this.#line.push(text.slice(at, end));
      this.#take(this.#line.length === 1 ? this.#line[0] : this.#line.join(""));
      this.#line = [];
      at = end + 1;
      if (end === cr) {
        if (at === text.length) this.#afterCr = true;
        else if (text[at] === "\n") at++;
        cr = text.indexOf("\r", at);
      }
      if (lf >= 0 && lf < at) lf = text.indexOf("\n", at);
    }
    if (at < text.length) {
      this.#line.push(text.slice(at));
      this.#count(text.length - at);
    }
  }

  #count(n) {
    this.#size += n;
    if (this.#size > MAX_EVENT) throw new Error("an event is too large");
  }

  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return this.#on.comment?.(line.slice(1));
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    this.#count(line.length);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
    else if (field === "id" && !value.includes("\0")) [this.#id, this.#hasId] = [value, true];
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.#on.retry?.(Number(value));
  }

  #dispatch() {
    const data = this.#data;
    const name = this.#name;
    const hasId = this.#hasId;
    this.lastId = this.#id;
    this.#hasId = false;
    this.#data = [];
    this.#name = "";
    this.#size = 0;
    if (data.length) this.#on.event({ id: this.lastId, hasId, name: name || "message", data: data.join("\n") });
  }
}

// --- errors ---

// What the server or the way to it said. status 0: no answer, code "network", "timeout" or "bad_answer".
export class ChatError extends Error {
  constructor(status, code, message, details = {}) {
    super(message);
    this.name = "ChatError";
    this.status = status;
    this.code = code;
    this.details = details;
    this.retryAfter = null; // ms
    this.idempotencyKey = null;
  }

  // May the same request succeed later?
  get mayPass() {
    return this.status === 0 || this.status >= 500 || [408, 425, 429].includes(this.status);
  }
}

const MAX_RETRY_AFTER = 120000; // what asks for more is asked again then all the same

function retryAfter(response, now) {
  const text = response.headers.get("Retry-After");
  if (!text) return null;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return ms >= 0 ? Math.min(ms, MAX_RETRY_AFTER) : null;
}

export async function errorOf(response, now) {
  const body = await response.json().catch(() => null);
  const { code, message, ...details } = (body && body.error) || {};
  const error = new ChatError(response.status, code || "http_" + response.status,
    message || "The server answered " + response.status, details);
  error.retryAfter = retryAfter(response, now);
  return error;
}

export function networkError(cause, hasTimedOut, hasArrived) {
  const [code, message] = hasTimedOut ? ["timeout", "The server did not answer in time."]
    : hasArrived ? ["bad_answer", "The server's answer broke off."] : ["network", "The server can't be reached."];
  return new ChatError(0, code, message, { cause: cause?.message });
}

// 1 s doubling to 30 s, each with up to half of it more, so that those who lost the same server
// do not come back as one.
export function backoff(attempt, random, min = 1000, max = 30000) {
  return Math.round(Math.min(max / 1.5, min * 2 ** Math.min(attempt, 30)) * (1 + random / 2));
}

// --- one stream that stays ---

const HEALTHY_MS = 10000; // a connection that held for so long was one
const QUIET_MS = 30000; // nothing for so long while nobody looked: two comments are missing

export const connection = (state, more) => Object.freeze({ state, attempt: 0, retryAt: null, retryIn: null, error: null, ...more });

// on.url() is asked at each attempt and brings the cursor; on.frames(list) gets what one read brought
// and says whether it fits what was there; on.change(connection) gets each new state.
export class Stream {
  #env;
  #o;
  #on;
  #attempt = 0;
  #timer = null; // before the next attempt
  #guard = null; // until which something must come
  #abort = null; // of the attempt at hand
  #min;
  #heardAt = 0;
  connection = connection("connecting");

  constructor(env, options, on) {
    this.#env = env;
    this.#o = options;
    this.#on = on;
    this.#min = options.retryMin;
  }

  // Begins, or begins anew at once: with another URL, or because the way is thought to be open again.
  open({ quietly = false } = {}) {
    this.#drop();
    const abort = (this.#abort = new AbortController());
    if (!quietly || this.connection.state !== "live") this.#change(connection("connecting", { attempt: this.#attempt }));
    this.#run(abort).catch((error) => {
      if (abort === this.#abort) this.#lost(error);
    });
  }

  close() {
    this.#drop();
    this.#change(connection("closed"));
  }

  // The network is back, or somebody looks again.
  wake(isNewNetwork) {
    const { state } = this.connection;
    if (state === "retrying" || state === "offline") this.open();
    else if (state === "live" && (isNewNetwork || this.#env.now() - this.#heardAt > QUIET_MS)) this.open();
    else if (state === "connecting" && isNewNetwork) this.open();
  }

  #drop() {
    this.#env.clearTimeout(this.#timer);
    this.#env.clearTimeout(this.#guard);
    this.#timer = this.#guard = null;
    this.#abort?.abort();
    this.#abort = null;
  }

  #change(next) {
    this.connection = next;
    this.#on.change(next);
  }

  // Something must come within ms.
  #expect(ms, abort, what) {
    this.#env.clearTimeout(this.#guard);
    this.#guard = this.#env.setTimeout(() => {
      if (abort !== this.#abort) return;
      this.#lost(new ChatError(0, "timeout", what));
    }, ms);
  }

  async #run(abort) {
    let response;
    this.#expect(this.#o.headTimeout, abort, "The server did not answer in time.");
    try {
      response = await this.#env.fetch(this.#on.url(), {
        headers: { Accept: "text/event-stream", ...(await this.#o.headers()), ...this.#on.headers?.() },
        credentials: this.#o.credentials, cache: "no-store", signal: abort.signal,
      });
    } catch (error) {
      throw networkError(error);
    }
    if (abort !== this.#abort) return;
    if (!response.ok) throw await errorOf(response, this.#env.now());
    if (response.status === 204 || !response.body) throw new ChatError(response.status, "no_content", "The server has nothing more to send.");
    if (!/^text\/event-stream\b/i.test(response.headers.get("Content-Type") ?? "")) {
      throw new ChatError(0, "bad_answer", "What answered is not an event stream.");
    }
    if (abort !== this.#abort) return;
    const openedAt = (this.#heardAt = this.#env.now());
    this.#expect(this.#o.heartbeatTimeout, abort, "The connection went silent.");
    this.#change(connection("live"));
    await this.#read(response.body.getReader(), abort, openedAt);
    throw new ChatError(0, "stream_ended", "The connection ended.");
  }

  async #read(body, abort, openedAt) {
    let frames = [];
    const reader = new SseReader({
      event: (frame) => frames.push(frame),
      retry: (ms) => (this.#min = Math.max(this.#o.retryMin, Math.min(ms, this.#o.retryMax))),
    });
    for (;;) {
      let chunk;
      try {
        chunk = await body.read();
      } catch (error) {
        throw new ChatError(0, "stream_broken", "The connection broke.", { cause: error?.message });
      }
      if (abort !== this.#abort || chunk.done) return;
      this.#heardAt = this.#env.now();
      this.#expect(this.#o.heartbeatTimeout, abort, "The connection went silent.");
      reader.push(chunk.value);
      this.#on.heard?.();
      if (frames.length) {
        const got = frames;
        frames = [];
        const isGood = this.#on.frames(got);
        if (abort !== this.#abort) return;
        if (!isGood) throw new ChatError(0, "bad_stream", "The stream had a hole.");
        this.#attempt = 0; // progress
      }
      if (this.#heardAt - openedAt > HEALTHY_MS) this.#attempt = 0;
    }
  }

  #lost(error) {
    this.#drop();
    if (!(error instanceof ChatError)) error = new ChatError(0, "bad_answer", "The stream can't be read: " + error.message);
    if (!error.mayPass) {
      this.#change(connection("gone", { error }));
      return;
    }
    const wait = Math.max(backoff(this.#attempt, this.#env.random(), this.#min, this.#o.retryMax), error.retryAfter ?? 0);
    this.#attempt++;
    this.#timer = this.#env.setTimeout(() => this.open(), wait);
    this.#change(connection(this.#env.isOnline() ? "retrying" : "offline",
      { error, attempt: this.#attempt, retryIn: wait, retryAt: this.#env.now() + wait }));
  }
}
