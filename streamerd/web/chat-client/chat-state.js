// What a session looks like, folded from its events. Pure: no DOM, no network, no clock.
//
// reduce(state, event) gives the next state; what did not change keeps its identity, so a page
// draws again only what is another object than before. The state of 20,000 chunks costs 20,000
// pushes (Text), not their square.

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
    entries: none, queue: none, withdrawn: none, prompts: none, stale: null, notice: null,
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

const MAX_WITHDRAWN = 20; // as many as a queue can hold

// A turn that ended before it began leaves no entry: whoever sent it, and saw neither, learns of it here.
function noteWithdrawn(state, d) {
  if (state.entries.some((e) => e.turn_id === d.turn_id)) return state;
  return { ...state, withdrawn: [...state.withdrawn, d.turn_id].slice(-MAX_WITHDRAWN) };
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
    queue: d.queue?.length ? d.queue : none, withdrawn: isOther ? none : state.withdrawn, status: d.state,
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
      tools: [...a.tools, { id: d.tool_invocation_id, name: d.name, server: d.server, input: null, status: "pending", output: null, is_error: false, started_at: d.ts, ...pick(d, "at") }],
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
  aborted: (state, d) => noteWithdrawn(dequeue(ended(state, d, "aborted"), d), d),
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
