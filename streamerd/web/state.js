// What a session looks like, folded from its events. Pure: no DOM, no network, no clock.
//
// reduce(state, name, data) gives the next state; what did not change stays the same object, so
// that the view can tell by === what to draw again. Each event applies once: its seq must be the
// next one. A smaller one was seen already; a larger one means that something is missing (`gap`:
// the stream must be opened anew, for a snapshot). Notices have no seq and always apply.
//
//   state   { cursor, seq, entries, queue, gap, gone, away: what the server says of a worker that it
//             can't reach, or null }
//   entry   { key, kind: "user", content }
//           { key, kind: "note", level, text }
//           { key, kind: "answer", turn, state: "running" | "complete" | "aborted" | "error",
//             content, reasoning, tools, prompts, error, stop, resumed }

export const fresh = () => ({ cursor: null, seq: 0, entries: [], queue: [], gap: false, gone: false, away: null });

export const running = (state) => state.entries.find((e) => e.kind === "answer" && e.state === "running") || null;

// "idle", "processing", or "waiting": nothing but answers of people is left to come.
export function phase(state) {
  const answer = running(state);
  if (!answer) return "idle";
  const busy = answer.tools.some((t) => t.status === "running" || t.status === "pending");
  return answer.prompts.length && !busy ? "waiting" : "processing";
}

export function plain(content) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((p) => (p.type === "text" ? p.text : "[" + p.type + "]")).join("\n");
}

const user = (m) => ({ key: "u:" + m.id, kind: "user", content: plain(m.content) });
const withKeys = (list) => (list || []).map((one) => ({ ...one, key: one.id }));

const answer = (turn, state, from) => ({
  key: "a:" + turn,
  kind: "answer",
  turn,
  state,
  content: plain(from.content),
  reasoning: from.reasoning || "",
  tools: withKeys(from.tool_invocations),
  prompts: withKeys(from.pending_prompts),
  error: from.error || null,
  stop: from.stop_reason || null,
  resumed: false,
});

const note = (d, level, text) => ({ key: "n:" + (d.seq === null ? d.ts + d.code : d.seq), kind: "note", level, text });

const add = (state, ...entries) => ({ ...state, entries: [...state.entries, ...entries] });

// Changes the running answer of the event's turn, if there is one.
function change(state, d, fn) {
  const at = state.entries.findIndex((e) => e.kind === "answer" && e.turn === d.turn_id && e.state === "running");
  if (at < 0) return state;
  const entries = [...state.entries];
  entries[at] = { ...entries[at], ...fn(entries[at]) };
  return { ...state, entries };
}

const changeTool = (state, d, more) =>
  change(state, d, (a) => ({
    tools: a.tools.map((t) => (t.id === d.tool_invocation_id ? { ...t, ...more } : t)),
  }));

const pick = (d, ...names) => Object.fromEntries(names.filter((n) => d[n] !== undefined).map((n) => [n, d[n]]));

const ended = (state, d, how, more) =>
  change(state, d, (a) => ({
    ...more,
    state: how,
    prompts: [],
    tools: a.tools.map((t) => (["pending", "waiting", "running"].includes(t.status) ? { ...t, status: "incomplete" } : t)),
  }));

const dequeue = (state, d) => ({ ...state, queue: state.queue.filter((q) => q.turn_id !== d.turn_id) });

const reasons = {
  too_old: "Older pieces are no longer kept: this is the current state.",
  unknown: "The position was not known: this is the current state.",
  ahead: "The server was set back to an earlier state.",
  other_history: "This chat's history was replaced.",
};

const handlers = {
  snapshot(state, d) {
    const entries = (d.messages || []).map((m) =>
      m.role === "user" ? user(m) : answer(m.turn_id, m.status || "complete", m));
    if (d.state !== "idle") entries.push(answer(d.turn_id, "running", { ...d, error: null }));
    // a running turn with an error goes on once the server can store it; an ended one shows its own
    if (d.state !== "idle" && d.error) entries.push(note({ seq: null, ts: d.ts, ...d.error }, "error", d.error.message));
    if (d.reason && reasons[d.reason]) entries.push(note(d, "info", reasons[d.reason]));
    return { ...fresh(), entries, queue: withKeys(d.queue).map((q) => ({ ...q, key: q.turn_id })) };
  },
  response_start: (state, d) =>
    add(dequeue(state, d), ...(d.message ? [user(d.message)] : []), answer(d.turn_id, "running", {})),
  response_chunk: (state, d) => change(state, d, (a) => ({ content: a.content + d.content })),
  reasoning_chunk: (state, d) => change(state, d, (a) => ({ reasoning: a.reasoning + d.content })),
  tool_start: (state, d) =>
    change(state, d, (a) => ({
      tools: [...a.tools, { key: d.tool_invocation_id, id: d.tool_invocation_id, name: d.name, server: d.server, status: "pending" }],
    })),
  tool_input: (state, d) => changeTool(state, d, pick(d, "input", "parse_error", "raw", "status")),
  tool_progress: (state, d) => changeTool(state, d, { status: "running", ...pick(d, "progress", "message") }),
  tool_end: (state, d) => changeTool(state, d, { status: "done", ...pick(d, "output", "is_error", "status") }),
  prompt_pending: (state, d) =>
    change(changeTool(state, { ...d, ...pick(d.prompt, "tool_invocation_id") }, { status: d.prompt.uncertain ? "uncertain" : "waiting" }),
      d, (a) => ({ prompts: [...a.prompts, { ...d.prompt, key: d.prompt.id }] })),
  prompt_resolved: (state, d) =>
    change(changeTool(state, d, pick(d, "status")), d, (a) => ({ prompts: a.prompts.filter((p) => p.id !== d.prompt_id) })),
  response_end: (state, d) => ended(state, d, "complete", { stop: d.stop_reason || null }),
  // also what a withdrawn message of the queue gets
  aborted: (state, d) => dequeue(ended(state, d, "aborted"), d),
  error: (state, d) =>
    d.fatal && running(state)?.turn === d.turn_id
      ? ended(state, d, "error", { error: d })
      : add(dequeue(state, d), note(d, "error", (d.message || "Something failed") + " (" + d.code + ")")),
  warning: (state, d) => add(state, note(d, "warning", (d.message || "Warning") + " (" + d.code + ")")),
  turn_queued: (state, d) =>
    ({ ...state, queue: [...state.queue, { key: d.turn_id, turn_id: d.turn_id, content: d.content }] }),
  turn_resumed: (state, d) => change(state, d, () => ({ ...answer(d.turn_id, "running", d), resumed: true })),
  session_cleared: (state) => ({ ...fresh(), gone: true }),
};

export const eventNames = Object.keys(handlers);

export function reduce(state, name, d) {
  const isNotice = d.seq === null;
  if (name !== "snapshot" && !isNotice) {
    if (d.seq <= state.seq) return state;
    if (d.seq > state.seq + 1) return { ...state, gap: true };
  }
  // of the worker itself: not a piece of the conversation, and gone when it is back
  if (isNotice && d.code === "worker_unavailable") return { ...state, away: name === "error" ? d.message : null };
  const next = handlers[name](state, d);
  return isNotice ? next : { ...next, away: null, seq: d.seq, cursor: d.generation + "-" + d.seq };
}
