// chat-client.js - everything a viewport on a chat server needs, without dependencies, in browsers
// and Node 20.
//
//   bytes --SseReader--> frames --Stream--> view --reduce()--> state --> whoever subscribed
//
// - SseReader: bytes, cut anywhere, into frames, by the letter of the HTML standard.
// - reduce(state, event): what a session looks like, folded from its events. Pure. What did not
//   change keeps its identity, so a page draws again only what is another object than before.
// - Stream: one event stream that stays: opened again with its cursor when it ends, for whatever
//   reason, until it is closed or refused for good. That a stream ends is never the end of an answer.
// - Own, Shared: how views get their frames: by a stream each, or by one for all tabs of a browser.
// - ChatClient: the calls of the API, sent again where that is safe, and the views.
//
// It keeps nothing between two visits, draws nothing, and reads no token from anywhere: those are
// the business of who uses it. The contract is chat-client.d.ts.

// --- text that grows ---

// An immutable text of many pieces. Versions share one list of pieces, each sees as many as it had
// when it was made; so 20,000 pieces cost 20,000 pushes, and who shows the text can ask for
// what is new instead of comparing.
export class Text {
  #pieces;
  #count;
  #flat; // {text, count}: the pieces joined so far, shared like them
  length;

  constructor(text = "") {
    this.#pieces = text ? [text] : [];
    this.#count = this.#pieces.length;
    this.#flat = { text, count: this.#count };
    this.length = text.length;
  }

  append(piece) {
    if (!piece) return this;
    const next = new Text();
    const isNewest = this.#count === this.#pieces.length;
    next.#pieces = isNewest ? this.#pieces : this.#pieces.slice(0, this.#count);
    next.#flat = isNewest ? this.#flat : { text: "", count: 0 };
    next.#pieces.push(piece);
    next.#count = this.#count + 1;
    next.length = this.length + piece.length;
    return next;
  }

  // What this text has behind the older one; null if it is not that text, continued.
  since(older) {
    if (!(older instanceof Text) || older.length === 0) return this.toString();
    if (older.#pieces !== this.#pieces || older.#count > this.#count) return null;
    return this.#pieces.slice(older.#count, this.#count).join("");
  }

  // The text for `text`: this one, or this one continued, where that is what it says.
  become(text) {
    if (text === this.toString()) return this;
    return this.length && text.startsWith(this.toString()) ? this.append(text.slice(this.length)) : new Text(text);
  }

  toString() {
    const flat = this.#flat;
    if (flat.count < this.#count) {
      flat.text += this.#pieces.slice(flat.count, this.#count).join("");
      flat.count = this.#count;
    }
    return flat.text.length === this.length ? flat.text : flat.text.slice(0, this.length);
  }

  toJSON() {
    return this.toString();
  }
}

// --- the state of a session ---

const noText = new Text();
const none = Object.freeze([]);

export function initialState(sessionId = null) {
  return {
    session_id: sessionId, session: null, status: "empty", seq: 0, cursor: null,
    entries: none, queue: none, prompts: none, stale: null, notice: null,
  };
}

function runningAt(entries) {
  for (let i = entries.length - 1; i >= 0; i--) {
    if (entries[i].kind === "answer" && entries[i].state === "running") return i;
  }
  return -1;
}

// The answer that is being given, or null.
export const runningAnswer = (state) => state.entries[runningAt(state.entries)] ?? null;

// The text of a message's content, which may be of parts.
export function plainText(content) {
  if (Array.isArray(content)) return content.map((p) => (p.type === "text" ? p.text : "[" + p.type + "]")).join("\n");
  return content === null || content === undefined ? "" : String(content);
}

const userEntry = (m) => ({
  kind: "user", key: "u:" + m.id, id: m.id, turn_id: m.turn_id ?? null, content: m.content, created_at: m.created_at ?? null,
});

const answerEntry = (turn, state, from, old) => ({
  kind: "answer",
  key: "a:" + turn,
  id: from.id ?? old?.id ?? null,
  turn_id: turn,
  state,
  content: (old?.content ?? noText).become(plainText(from.content)),
  reasoning: (old?.reasoning ?? noText).become(from.reasoning || ""),
  tools: from.tool_invocations?.length ? from.tool_invocations : none,
  prompts: from.pending_prompts?.length ? from.pending_prompts : none,
  error: from.error ?? null,
  refusal: from.refusal ?? null,
  stop_reason: from.stop_reason ?? null,
  usage: from.usage ?? null,
  resumed: false,
  started_at: from.started_at ?? old?.started_at ?? null,
  created_at: from.created_at ?? null,
  duration_ms: null,
});

const noteEntry = (d, level, text) => ({
  kind: "note", key: "n:" + d.seq, level, code: d.code ?? null, text, turn_id: d.turn_id ?? null, created_at: d.ts ?? null,
});

const entryOf = (m) => (m.role === "user" ? userEntry(m) : answerEntry(m.turn_id, m.status || "complete", m));

// Is the entry at hand what this message says? Finished messages never change.
const isSame = (entry, m) => entry && (entry.kind === "user" || (entry.state === (m.status || "complete") && entry.id === m.id));

const add = (state, ...entries) => ({ ...state, entries: [...state.entries, ...entries] });

// Changes the running answer of the event's turn, if there is one.
function change(state, d, fn) {
  const at = runningAt(state.entries);
  if (at < 0 || state.entries[at].turn_id !== d.turn_id) return state;
  const entries = state.entries.slice();
  entries[at] = { ...entries[at], ...fn(entries[at]) };
  return { ...state, entries };
}

const changeTool = (state, d, more) =>
  change(state, d, (a) => ({ tools: a.tools.map((t) => (t.id === d.tool_invocation_id ? { ...t, ...more } : t)) }));

const pick = (d, ...names) => Object.fromEntries(names.filter((n) => d[n] !== undefined).map((n) => [n, d[n]]));

const isOpen = (tool) => ["pending", "waiting", "running"].includes(tool.status);

const ended = (state, d, how, more) =>
  change(state, d, (a) => ({
    id: d.message_id ?? a.id,
    state: how,
    stop_reason: d.stop_reason ?? null,
    usage: d.usage ?? a.usage,
    duration_ms: d.duration_ms ?? null,
    created_at: d.ts ?? null,
    ...more,
    prompts: none,
    tools: a.tools.some(isOpen) ? a.tools.map((t) => (isOpen(t) ? { ...t, status: "incomplete" } : t)) : a.tools,
  }));

function dequeue(state, d) {
  if (!state.queue.some((q) => q.turn_id === d.turn_id)) return state;
  return { ...state, queue: state.queue.filter((q) => q.turn_id !== d.turn_id) };
}

const reasons = {
  too_old: "Older pieces are no longer kept: this is the current state.",
  unknown: "The position was not known: this is the current state.",
  ahead: "The server was set back to an earlier state.",
  other_history: "This chat's history was replaced.",
};

// What is shown stays where it is still so: entries keep their identity, and those that are older
// than the snapshot's messages stay in front of them.
function takeSnapshot(state, d) {
  const messages = d.messages || none;
  const isOther = d.reason === "ahead" || d.reason === "other_history";
  const old = new Map(isOther ? [] : state.entries.map((e) => [e.key, e]));
  const entries = messages.map((m) => {
    const had = old.get(m.role === "user" ? "u:" + m.id : "a:" + m.turn_id);
    return isSame(had, m) ? had : had?.kind === "answer" ? answerEntry(m.turn_id, m.status || "complete", m, had) : entryOf(m);
  });
  const first = entries.length && !isOther ? state.entries.findIndex((e) => e.key === entries[0].key) : -1;
  if (first > 0) entries.unshift(...state.entries.slice(0, first).filter((e) => e.kind !== "note"));
  if (d.state !== "idle" && d.turn_id) {
    entries.push(answerEntry(d.turn_id, "running", { ...d, id: null, created_at: null, error: null, started_at: d.turn?.started_at }, old.get("a:" + d.turn_id)));
  }
  if (d.reason && reasons[d.reason] && state.cursor) entries.push(noteEntry({ ...d, code: d.reason }, "info", reasons[d.reason]));
  // a running turn with an error goes on once the server can store it; an ended one shows its own
  const notice = d.state !== "idle" && d.error ? { level: "error", ...pick(d.error, "code", "message") } : null;
  return {
    ...initialState(d.session_id ?? state.session_id), session: d.session ?? null, entries, notice,
    queue: d.queue?.length ? d.queue : none, status: d.state,
  };
}

const handlers = {
  response_start: (state, d) =>
    add(dequeue(state, d), ...(d.message ? [userEntry(d.message)] : none),
      answerEntry(d.turn_id, "running", { id: d.message_id, started_at: d.ts })),
  response_chunk: (state, d) => change(state, d, (a) => ({ content: a.content.append(d.content) })),
  reasoning_chunk: (state, d) => change(state, d, (a) => ({ reasoning: a.reasoning.append(d.content) })),
  tool_start: (state, d) =>
    change(state, d, (a) => ({
      tools: [...a.tools, { id: d.tool_invocation_id, name: d.name, server: d.server, input: null, status: "pending", output: null, is_error: false, started_at: d.ts }],
    })),
  tool_input: (state, d) => changeTool(state, d, pick(d, "input", "parse_error", "raw", "status")),
  tool_progress: (state, d) => changeTool(state, d, { status: "running", ...pick(d, "progress", "total", "message") }),
  tool_end: (state, d) => changeTool(state, d, { status: "done", ...pick(d, "output", "is_error", "status", "duration_ms") }),
  prompt_pending: (state, d) =>
    change(changeTool(state, { ...d, ...pick(d.prompt, "tool_invocation_id") }, { status: d.prompt.uncertain ? "uncertain" : "waiting" }),
      d, (a) => ({ prompts: [...a.prompts, d.prompt] })),
  prompt_resolved: (state, d) =>
    change(changeTool(state, d, pick(d, "status")), d, (a) => ({ prompts: a.prompts.filter((p) => p.id !== d.prompt_id) })),
  response_end: (state, d) => ended(state, d, "complete"),
  // also what a withdrawn message of the queue gets
  aborted: (state, d) => dequeue(ended(state, d, "aborted"), d),
  error: (state, d) =>
    d.fatal && runningAnswer(state)?.turn_id === d.turn_id
      ? ended(state, d, "error", { error: d })
      : add(dequeue(state, d), noteEntry(d, "error", d.message || "Something failed")),
  warning: (state, d) =>
    add(d.code === "refusal" ? change(state, d, () => ({ refusal: d.message ?? "" })) : state,
      noteEntry(d, "warning", d.message || "Warning")),
  turn_queued: (state, d) => ({ ...dequeue(state, d), queue: [...dequeue(state, d).queue, { turn_id: d.turn_id, content: d.content }] }),
  turn_resumed: (state, d) => change(state, d, (a) => ({ ...answerEntry(d.turn_id, "running", d, a), resumed: true })),
  session_cleared: (state, d) => {
    const running = runningAnswer(state);
    const left = running ? ended(state, { ts: d.ts, turn_id: running.turn_id }, "aborted") : state;
    return { ...left, queue: none, status: "cleared", notice: { level: "info", code: "session_cleared", message: d.reason ?? "" } };
  },
};

export const eventNames = Object.freeze(["snapshot", ...Object.keys(handlers)]);

// What follows from the entries. Waiting: nothing but answers of people is left to come.
function derive(state) {
  if (state.status === "cleared") return state.prompts.length ? { ...state, prompts: none } : state;
  const answer = runningAnswer(state);
  const prompts = answer?.prompts ?? none;
  const status = !answer ? "idle"
    : prompts.length && !answer.tools.some((t) => t.status === "running" || t.status === "pending") ? "waiting" : "processing";
  return prompts === state.prompts && status === state.status ? state : { ...state, prompts, status };
}

// The next state. Each event applies once: one whose seq was seen changes nothing, and one beyond
// the next makes the state `stale`, which only a snapshot mends. A snapshot that says nothing
// new (another tab asked for it) changes nothing either.
export function reduce(state, { name, data: d }) {
  if (name === "snapshot") {
    const isNews = state.status === "empty" || state.stale || d.reason || d.seq > state.seq;
    return isNews ? { ...derive(takeSnapshot(state, d)), seq: d.seq, cursor: d.generation + "-" + d.seq } : state;
  }
  if (d.seq === null || d.seq === undefined) return takeNotice(state, name, d);
  if (d.seq <= state.seq || state.stale) return state;
  if (d.seq > state.seq + 1) return { ...state, stale: "gap" };
  const fn = Object.hasOwn(handlers, name) ? handlers[name] : null; // a newer server's event is counted
  let next = fn ? fn(state, d) : state;
  if (name !== "response_chunk" && name !== "reasoning_chunk") next = derive(next);
  return {
    ...next, seq: d.seq, cursor: d.generation + "-" + d.seq, session_id: next.session_id ?? d.session_id ?? null,
    notice: name === "session_cleared" ? next.notice : null,
  };
}

// Notices are in no log: how things are at the moment, until the next event.
function takeNotice(state, name, d) {
  if (name === "warning" && d.code === "worker_unavailable") return state.notice ? { ...state, notice: null } : state;
  if (name !== "error" && name !== "warning") return state;
  return { ...state, notice: { level: name, code: d.code ?? null, message: d.message ?? "" } };
}

// A page of older messages, as GET …/messages gives it, in front of what is there.
export function prepend(state, messages) {
  const have = new Set(state.entries.map((e) => e.key));
  const older = messages.map(entryOf).filter((e) => !have.has(e.key));
  return older.length ? { ...state, entries: [...older, ...state.entries] } : state;
}

// --- reading a stream ---

const MAX_EVENT = 64 * 1024 * 1024; // characters of one event: twice what the server can send

// Takes the bytes as they come and calls on.event({id, name, data}) for each whole event,
// on.retry(ms) and on.comment(text). Half an event at the end of a stream is none.
export class SseReader {
  #on;
  #decoder = new TextDecoder("utf-8"); // takes a BOM at the beginning away
  #line = []; // pieces of a line whose end has not come
  #size = 0;
  #afterCr = false;
  #data = [];
  #name = "";
  #id = ""; // of the event at hand
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
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.#on.retry?.(Number(value));
  }

  #dispatch() {
    const data = this.#data;
    const name = this.#name;
    this.lastId = this.#id;
    this.#data = [];
    this.#name = "";
    this.#size = 0;
    if (data.length) this.#on.event({ id: this.lastId, name: name || "message", data: data.join("\n") });
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

async function errorOf(response, now) {
  const body = await response.json().catch(() => null);
  const { code, message, ...details } = (body && body.error) || {};
  const error = new ChatError(response.status, code || "http_" + response.status,
    message || "The server answered " + response.status, details);
  error.retryAfter = retryAfter(response, now);
  return error;
}

function networkError(cause, hasTimedOut, hasArrived) {
  const [code, message] = hasTimedOut ? ["timeout", "The server did not answer in time."]
    : hasArrived ? ["bad_answer", "The server's answer broke off."] : ["network", "The server can't be reached."];
  return new ChatError(0, code, message, { cause: cause?.message });
}

// --- what is around us ---

// Everything that is not ours: replaced in tests.
function environment(given = {}) {
  const g = globalThis;
  return {
    fetch: (...rest) => g.fetch(...rest),
    now: () => Date.now(),
    random: () => Math.random(),
    setTimeout: (fn, ms) => g.setTimeout(fn, ms),
    clearTimeout: (t) => g.clearTimeout(t),
    isOnline: () => g.navigator?.onLine !== false,
    isVisible: () => g.document?.visibilityState !== "hidden",
    window: typeof g.addEventListener === "function" && g.document ? g : null,
    document: g.document ?? null,
    locks: g.document ? g.navigator?.locks : undefined, // Node has some of these for threads
    BroadcastChannel: g.document ? g.BroadcastChannel : undefined,
    reportError: (error) => (g.reportError ? g.reportError(error) : g.console?.error(error)),
    ...given,
  };
}

// 1 s doubling to 30 s, each with up to half of it more, so that those who lost the same server
// do not come back as one.
export function backoff(attempt, random, min = 1000, max = 30000) {
  return Math.round(Math.min(max / 1.5, min * 2 ** Math.min(attempt, 30)) * (1 + random / 2));
}

// --- one stream that stays ---

const HEALTHY_MS = 10000; // a connection that held for so long was one
const QUIET_MS = 30000; // nothing for so long while nobody looked: two comments are missing

const connection = (state, more) => Object.freeze({ state, attempt: 0, retryAt: null, retryIn: null, error: null, ...more });

// on.url() is asked at each attempt and brings the cursor; on.frames(list) gets what one read brought
// and says whether it fits what was there; on.change(connection) gets each new state.
class Stream {
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
        headers: { Accept: "text/event-stream", ...(await this.#o.headers()) },
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

// --- where a view gets its frames ---

// A stream for each view.
class Own {
  #client;

  constructor(client) {
    this.#client = client;
  }

  // view: {id, cursor(), frames(list), change(connection)}
  attach(view) {
    const stream = this.#client.stream({
      url: () => {
        const cursor = view.cursor();
        return "/v1/sessions/" + encodeURIComponent(view.id) + "/events" + (cursor ? "?last_event_id=" + encodeURIComponent(cursor) : "");
      },
      frames: (list) => view.frames(list),
      change: (c) => view.change(c),
    });
    stream.open();
    return { again: () => stream.open(), wake: (isNew) => stream.wake(isNew), detach: () => stream.close() };
  }
}

// --- a view on a session ---

const LINGER_MS = 1000; // a stream without subscribers is kept for those who come back at once

class ChatView {
  #client;
  #env;
  #listeners = new Set();
  #line = null; // to where frames come from
  #linger = null;
  #state;

  constructor(client, env, id) {
    this.#client = client;
    this.#env = env;
    this.id = id;
    this.#state = Object.freeze({ chat: initialState(id), connection: connection("closed") });
  }

  getState = () => this.#state;

  // The first subscriber opens the stream, the last one closes it.
  subscribe = (listener) => {
    const entry = { listener };
    this.#listeners.add(entry);
    this.#env.clearTimeout(this.#linger);
    if (!this.#line) this.#attach();
    return () => {
      if (!this.#listeners.delete(entry) || this.#listeners.size) return;
      this.#env.clearTimeout(this.#linger);
      this.#linger = this.#env.setTimeout(() => this.close(), LINGER_MS);
    };
  };

  close() {
    this.#env.clearTimeout(this.#linger);
    this.#line?.detach();
    this.#line = null;
    this.#set({ connection: connection("closed") });
    this.#client.forget(this);
  }

  #attach() {
    this.#line = this.#client.lines.attach({
      id: this.id,
      cursor: () => (this.#state.chat.stale ? null : this.#state.chat.cursor),
      frames: (list) => this.#take(list),
      change: (c) => this.#onConnection(c),
    });
    this.#client.remember(this);
  }

  #set(more) {
    const { chat, connection } = { ...this.#state, ...more };
    if (chat === this.#state.chat && connection === this.#state.connection) return;
    this.#state = Object.freeze({ chat, connection });
    for (const { listener } of [...this.#listeners]) {
      try {
        listener(this.#state);
      } catch (error) {
        this.#env.reportError(error);
      }
    }
  }

  // What one read brought, told in one go. False: something is missing, which a snapshot mends.
  #take(frames) {
    let { chat, connection: now } = this.#state;
    for (const { name, data } of frames) {
      try {
        chat = reduce(chat, { name, data: JSON.parse(data) });
      } catch (error) {
        chat = { ...chat, stale: "defect" };
        this.#env.reportError(new ChatError(0, "bad_event", "An event could not be shown (" + name + ": " + error.message + ")"));
      }
    }
    if (chat.status === "cleared" && now.state !== "gone") {
      this.#line?.detach();
      this.#line = null;
      now = connection("gone", { error: new ChatError(410, "session_cleared", "This chat was cleared.", { reason: chat.notice?.message }) });
    }
    this.#set({ chat, connection: now });
    return !chat.stale;
  }

  #onConnection(next) {
    if (this.#state.connection.state === "gone" && next.state === "closed") return;
    this.#set({ connection: next });
  }

  // From a snapshot: it replaces what is shown, which stays until then.
  refresh() {
    this.#set({ chat: { ...this.#state.chat, stale: "asked" } });
    this.reconnect();
  }

  // Now, whatever the back-off says; also after it was refused or cleared.
  reconnect() {
    if (!this.#listeners.size) return;
    if (this.#line && this.#state.connection.state !== "gone") {
      this.#line.again();
      return;
    }
    this.#line?.detach();
    if (this.#state.chat.status === "cleared") this.#set({ chat: { ...this.#state.chat, stale: "asked" } });
    this.#attach();
  }

  wake(isNewNetwork) {
    this.#line?.wake(isNewNetwork);
  }

  // --- calls for this session ---

  send(message, options) {
    const more = typeof message === "string" || Array.isArray(message) ? { content: message } : message;
    return this.#client.send({ ...more, session_id: this.id }, options);
  }

  // Stops the running turn, or does nothing. If the server says that it does not run and it is shown as
  // if, something was missed.
  async stop(turn = runningAnswer(this.#state.chat)?.turn_id) {
    if (!turn) return null;
    try {
      return await this.#client.abort(this.id, turn);
    } catch (error) {
      if (error.code !== "not_processing" && error.code !== "turn_mismatch") throw error;
      const { chat } = this.#state;
      if (runningAnswer(chat)?.turn_id === turn || chat.queue.some((q) => q.turn_id === turn)) this.refresh();
      return null;
    }
  }

  withdraw(turn) {
    return this.stop(turn);
  }

  // Who comes second need not be told: the prompt goes away with the event of the first.
  async resolve(prompt, answer) {
    try {
      return await this.#client.resolve(this.id, prompt, answer);
    } catch (error) {
      if (error.code === "already_resolved") return null;
      throw error;
    }
  }

  // One page of older messages into the state; false if there are none.
  async loadOlder(limit = 50) {
    const first = this.#state.chat.entries.find((e) => e.kind !== "note" && e.id);
    if (!first) return false;
    const page = await this.#client.getMessages(this.id, { limit, before: first.id });
    this.#set({ chat: prepend(this.#state.chat, page.messages) });
    return page.next !== null;
  }

  // The turn's answer once it has ended, however it did; a ChatError if that can't be learnt.
  done(turn, { signal } = {}) {
    return new Promise((resolve, reject) => {
      let wasQueued = false;
      const finish = (fn, value) => {
        signal?.removeEventListener("abort", onAbort);
        leave();
        fn(value);
      };
      const onAbort = () => finish(reject, signal.reason);
      const look = ({ chat, connection: now }) => {
        const answer = chat.entries.findLast((e) => e.kind === "answer" && e.turn_id === turn);
        const isQueued = chat.queue.some((q) => q.turn_id === turn);
        if (answer && answer.state !== "running") finish(resolve, answer);
        else if (now.state === "gone" || now.state === "closed") finish(reject, now.error ?? new ChatError(0, "closed", "The view was closed."));
        else if (wasQueued && !isQueued && !answer) finish(reject, new ChatError(0, "withdrawn", "The message was withdrawn."));
        wasQueued ||= isQueued;
      };
      const leave = this.subscribe(look);
      if (signal?.aborted) onAbort();
      else {
        signal?.addEventListener("abort", onAbort);
        look(this.#state);
      }
    });
  }
}

// --- the client ---

const defaults = {
  baseUrl: "", retryMin: 1000, retryMax: 30000, headTimeout: 30000, heartbeatTimeout: 45000,
  callTimeout: 30000, callPatience: 20000, sendPatience: 120000, credentials: "same-origin",
};

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

const query = (given) => {
  const list = Object.entries(given).filter(([, v]) => v !== undefined && v !== null);
  return list.length ? "?" + new URLSearchParams(list.map(([k, v]) => [k, String(v)])) : "";
};

const path = (...parts) => "/v1/sessions/" + parts.map(encodeURIComponent).join("/");

export class ChatClient {
  #o;
  #env;
  #views = new Map(); // by session
  #open = new Set(); // views with a stream
  #waiting = new Set(); // wakes calls that wait for another try
  #unlisten = null;

  constructor({ environment: given, ...options } = {}) {
    this.#env = environment(given);
    this.#o = { ...defaults, ...options };
    this.#o.baseUrl = this.#o.baseUrl.replace(/\/+$/, "");
    this.#o.headers = async () => {
      const token = typeof options.token === "function" ? await options.token() : options.token;
      return { ...options.headers, ...(token ? { Authorization: "Bearer " + token } : {}) };
    };
    this.lines = new Own(this);
  }

  // The view on a session: the same object for the same id while somebody uses it.
  view(sessionId) {
    let view = this.#views.get(sessionId);
    if (!view) this.#views.set(sessionId, (view = new ChatView(this, this.#env, sessionId)));
    return view;
  }

  close() {
    for (const view of [...this.#views.values()]) view.close();
    this.#views.clear();
  }

  // --- what views need of it ---

  stream(on) {
    return new Stream(this.#env, this.#o, { ...on, url: () => this.#o.baseUrl + on.url() });
  }

  remember(view) {
    this.#open.add(view);
    if (!this.#views.has(view.id)) this.#views.set(view.id, view);
    this.#listen();
  }

  forget(view) {
    this.#open.delete(view);
    if (this.#views.get(view.id) === view) this.#views.delete(view.id);
    this.#listen();
  }

  #listen() {
    const { window, document } = this.#env;
    const isNeeded = this.#open.size + this.#waiting.size > 0;
    if (!window || isNeeded === Boolean(this.#unlisten)) return;
    if (!isNeeded) {
      this.#unlisten();
      return;
    }
    const wake = (isNew) => {
      for (const view of this.#open) view.wake(isNew);
      for (const again of [...this.#waiting]) again();
    };
    const onOnline = () => wake(true);
    const onShow = () => wake(false);
    const onVisible = () => this.#env.isVisible() && wake(false);
    window.addEventListener("online", onOnline);
    window.addEventListener("pageshow", onShow);
    document?.addEventListener("visibilitychange", onVisible);
    this.#unlisten = () => {
      window.removeEventListener("online", onOnline);
      window.removeEventListener("pageshow", onShow);
      document?.removeEventListener("visibilitychange", onVisible);
      this.#unlisten = null;
    };
  }

  // --- calls ---

  // One try: its answer as JSON. A success whose body did not arrive whole is none: what it says is not known.
  async #once(method, target, body, headers, signal) {
    const abort = new AbortController();
    const onAbort = () => abort.abort();
    let hasTimedOut = false;
    let response = null;
    const timer = this.#env.setTimeout(() => {
      hasTimedOut = true;
      abort.abort();
    }, this.#o.callTimeout);
    signal?.addEventListener("abort", onAbort);
    try {
      response = await this.#env.fetch(this.#o.baseUrl + target, {
        method, signal: abort.signal, credentials: this.#o.credentials, cache: "no-store",
        headers: { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}), ...(await this.#o.headers()), ...headers },
        body: body ? JSON.stringify(body) : undefined,
      });
      if (!response.ok) throw await errorOf(response, this.#env.now());
      return response.status === 204 ? null : await response.json();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw error instanceof ChatError ? error : networkError(error, hasTimedOut, Boolean(response));
    } finally {
      this.#env.clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  // A pause that ends early when the network comes back.
  #pause(ms, signal) {
    return new Promise((resolve, reject) => {
      const finish = (fn, value) => {
        this.#env.clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#waiting.delete(again);
        this.#listen();
        fn(value);
      };
      const again = () => finish(resolve);
      const onAbort = () => finish(reject, signal.reason);
      const timer = this.#env.setTimeout(again, ms);
      signal?.addEventListener("abort", onAbort);
      this.#waiting.add(again);
      this.#listen();
    });
  }

  // Tries again while that may help and patience lasts. isOnce: what the server did is not known
  // after a lost answer and must not be done twice, so only a refusal is tried again.
  async #call(method, target, { body, headers, isOnce, patience = this.#o.callPatience, signal, onRetry } = {}) {
    const end = this.#env.now() + patience;
    for (let attempt = 0, lost = false; ; attempt++) {
      signal?.throwIfAborted();
      try {
        return await this.#once(method, target, body, headers, signal);
      } catch (error) {
        if (!(error instanceof ChatError)) throw error;
        error.afterLostAnswer = lost;
        lost ||= error.status === 0;
        const wait = Math.max(backoff(attempt, this.#env.random(), this.#o.retryMin, this.#o.retryMax), error.retryAfter ?? 0);
        if (!error.mayPass || (isOnce && lost) || this.#env.now() + wait > end) throw error;
        onRetry?.({ error, attempt: attempt + 1, retryIn: wait });
        await this.#pause(wait, signal);
      }
    }
  }

  // A message, delivered once however often it takes. If it fails, the error carries idempotencyKey: sent again with it
  // (options.idempotencyKey) it still starts no second turn.
  async send(message, { idempotencyKey = newKey(), patience = this.#o.sendPatience, ...options } = {}) {
    try {
      return await this.#call("POST", "/v1/messages", { ...options, patience, body: message, headers: { "Idempotency-Key": idempotencyKey } });
    } catch (error) {
      if (error instanceof ChatError) error.idempotencyKey = idempotencyKey;
      throw error;
    }
  }

  // Stops that turn, or withdraws it from the queue. Without a turn: whichever runs, and then it is not asked twice.
  async abort(sessionId, turnId, options) {
    try {
      return await this.#call("POST", path(sessionId, "abort"), { ...options, body: turnId ? { turn_id: turnId } : {}, isOnce: !turnId });
    } catch (error) {
      if (turnId && error.afterLostAnswer && error.status === 409) return null; // the lost one did it, or it ended
      throw error;
    }
  }

  withdraw(sessionId, turnId, options) {
    return this.abort(sessionId, turnId, options);
  }

  // answer: {allow: true}, {allow: true, remember: "session"}, {allow: false} or {answers: {...}}. After a lost answer that it
  // is resolved already is success: null.
  async resolve(sessionId, promptId, answer, options) {
    try {
      return await this.#call("POST", path(sessionId, "prompts", promptId), { ...options, body: answer });
    } catch (error) {
      if (error.afterLostAnswer && error.code === "already_resolved") return null;
      throw error;
    }
  }

  listSessions({ limit, cursor } = {}, options) {
    return this.#call("GET", "/v1/sessions" + query({ limit, cursor }), options);
  }

  getSession(sessionId, options) {
    return this.#call("GET", path(sessionId), options);
  }

  getMessages(sessionId, { limit, before } = {}, options) {
    return this.#call("GET", path(sessionId, "messages") + query({ limit, before }), options);
  }

  getSnapshot(sessionId, options) {
    return this.#call("GET", path(sessionId, "snapshot"), options);
  }

  async deleteSession(sessionId, options) {
    try {
      await this.#call("DELETE", path(sessionId), options);
    } catch (error) {
      if (!(error.afterLostAnswer && error.status === 404)) throw error;
    }
  }
}
