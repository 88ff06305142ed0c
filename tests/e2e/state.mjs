// The page's reducer, without a browser. `run(test)` adds its tests to a runner.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const source = readFileSync(join(process.env.WEB_DIR, "state.js"));
const { fresh, phase, reduce, running } = await import("data:text/javascript;base64," + source.toString("base64"));

const common = (seq) => ({ session_id: "s", turn_id: "t", generation: 1, seq, ts: "2026-01-01T00:00:00.000Z" });
const play = (events, state = fresh()) =>
  events.reduce((s, [name, d], i) => reduce(s, name, { ...common(s.seq + 1), ...d }), state);
const start = ["response_start", { message: { id: "m", content: "hi" } }];
const prompt = { id: "p", kind: "tool_permission", tool_invocation_id: "c", tool_name: "roll", input: {}, questions: [] };
const call = [["tool_start", { tool_invocation_id: "c", name: "roll", server: "demo" }],
  ["tool_input", { tool_invocation_id: "c", input: {}, status: "waiting" }], ["prompt_pending", { prompt }]];

const summary = (s) => ({ phase: phase(s), seq: s.seq, entries: s.entries.map((e) =>
  e.kind === "answer" ? [e.state, e.content, e.reasoning, e.tools.map((t) => [t.id, t.name, t.status, t.output ?? null]), e.prompts.map((p) => p.id)]
    : [e.kind, e.content ?? e.text]) });

export function run(test) {
  test("an event applies once, whatever comes twice (CLI-2)", () => {
    const s = play([start, ["response_chunk", { content: "a" }]]);
    assert.equal(reduce(s, "response_chunk", { ...common(2), content: "a" }), s);
    assert.equal(running(s).content, "a");
    assert.equal(s.cursor, "1-2");
  });

  test("a hole in the seqs is noticed and not drawn over (FAF-7)", () => {
    const s = reduce(play([start]), "response_chunk", { ...common(3), content: "b" });
    assert.ok(s.gap);
    assert.equal(running(s).content, "");
  });

  test("a notice without seq is shown and moves nothing (CLI-2)", () => {
    const s = reduce(play([start]), "warning", { ...common(null), code: "log_stalled", message: "slow" });
    assert.deepEqual([s.seq, s.cursor, s.entries.at(-1).text], [1, "1-1", "slow (log_stalled)"]);
  });

  test("that the worker is away is shown until it is back, and is no piece of the chat (FAF-6)", () => {
    const away = ["error", { seq: null, fatal: false, code: "worker_unavailable", message: "not there" }];
    const s = play([start, away]);
    assert.deepEqual([s.away, s.entries.length, s.seq], ["not there", 2, 1]);
    assert.equal(play([["warning", { seq: null, code: "worker_unavailable", message: "back" }]], s).away, null);
    assert.equal(play([["response_chunk", { content: "x" }]], s).away, null);
    assert.equal(reduce(s, "snapshot", { ...common(3), state: "idle", messages: [] }).away, null);
  });

  test("a snapshot shows what the events before it add up to (SDC-8, SDC-12)", () => {
    const live = play([start, ["reasoning_chunk", { content: "hm" }], ["response_chunk", { content: "x" }], ...call]);
    const snap = reduce(fresh(), "snapshot", { ...common(6), state: "waiting", content: "x", reasoning: "hm",
      messages: [{ id: "m", role: "user", content: "hi" }], queue: [], pending_prompts: [prompt], error: null,
      tool_invocations: [{ id: "c", name: "roll", server: "demo", input: {}, status: "waiting", output: null }] });
    assert.deepEqual(summary(snap), summary(live));
    assert.equal(phase(live), "waiting");
  });

  test("a resolved prompt is gone and the turn works again (SDC-12)", () => {
    const s = play([start, ...call, ["prompt_resolved", { prompt_id: "p", tool_invocation_id: "c", status: "running", allow: true }]]);
    assert.deepEqual([phase(s), running(s).prompts.length, running(s).tools[0].status], ["processing", 0, "running"]);
  });

  test("turn_resumed replaces what is shown (CLI-2)", () => {
    const s = play([start, ["response_chunk", { content: "void" }], ...call,
      ["turn_resumed", { generation: 2, content: "kept", reasoning: "", tool_invocations: [], pending_prompts: [] }]]);
    assert.deepEqual([running(s).content, running(s).tools, running(s).prompts, running(s).resumed], ["kept", [], [], true]);
  });

  test("each terminal event ends the answer, nothing else does (FAF-7)", () => {
    for (const [name, more, state] of [["response_end", { stop_reason: "stop" }, "complete"], ["aborted", {}, "aborted"],
      ["error", { fatal: true, code: "x", message: "y" }, "error"]]) {
      const s = play([start, ...call, [name, more]]);
      const last = s.entries.at(-1);
      assert.deepEqual([last.state, last.tools[0].status, last.prompts.length, phase(s)], [state, "incomplete", 0, "idle"]);
    }
    assert.equal(phase(play([start, ["error", { fatal: false, code: "x", message: "y" }]])), "processing");
  });

  test("the queue grows, runs and is withdrawn from, and leaves the running turn alone (CLI-2)", () => {
    const queued = play([start, ["turn_queued", { turn_id: "q1", content: "1" }], ["turn_queued", { turn_id: "q2", content: "2" }]]);
    const left = play([["aborted", { turn_id: "q1", reason: "withdrawn" }]], queued);
    assert.deepEqual([left.queue.map((q) => q.turn_id), running(left).turn], [["q2"], "t"]);
    const next = play([["response_end", {}], ["response_start", { turn_id: "q2", message: { id: "m2", content: "2" } }]], left);
    assert.deepEqual([next.queue, running(next).turn], [[], "q2"]);
  });
}
