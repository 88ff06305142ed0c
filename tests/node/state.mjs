// The reducer: what any way through a recorded stream leads to (CLI-1, SDC-8, SDC-12, FAF-3, FAF-7).
import assert from "node:assert/strict";
import { test } from "node:test";
import { initialState, plainText, prepend, reduce, runningAnswer, Text } from "../../streamerd/web/chat-client/chat-client.js";
import { recordings } from "./lib.mjs";

const all = recordings();
const play = (events, state = initialState()) => events.reduce(reduce, state);
const plain = (value) => JSON.parse(JSON.stringify(value));

// What a snapshot says and a witness of every event saw: notes and the times of single calls are beyond it.
const shown = (state) => {
  const { entries, seq, cursor, status, queue, prompts, stale } = plain(state);
  return {
    seq, cursor, status, queue, prompts, stale,
    entries: entries.filter((e) => e.kind !== "note").map((e) => ({
      ...e, id: e.state === "running" ? null : e.id, resumed: null, duration_ms: null, started_at: null,
      created_at: e.kind === "user" ? e.created_at : null, usage: e.state === "running" ? null : e.usage,
      error: e.error && { code: e.error.code, message: e.error.message },
      tools: e.tools?.map(({ id, name, server, input, status: s, output, is_error }) => ({ id, name, server, input, s, output, is_error })),
    })),
  };
};

for (const { name, events, snapshots } of all) {
  test(name + ": cut at every event, with replays and overlaps, it ends the same (CLI-1, FAF-3)", () => {
    const whole = plain(play(events));
    assert.equal(whole.stale, null);
    for (let cut = 0; cut <= events.length; cut++) {
      const before = play(events.slice(0, cut));
      assert.equal(play(events.slice(0, cut), before), before, "a replay of all changes nothing");
      for (const from of new Set([cut, Math.max(0, cut - 1), Math.max(0, cut - 7), 0])) {
        if (from === 0 && cut % 16) continue; // quadratic enough
        assert.deepEqual(plain(play(events.slice(from), before)), whole);
      }
    }
  });

  test(name + ": from any snapshot on it ends the same, and at the snapshot it is the same (SDC-8, FAF-3)", () => {
    const end = shown(play(events));
    assert.ok(snapshots.size > 1);
    for (const [seq, snapshot] of snapshots) {
      const before = play(events.slice(0, seq));
      const fresh = reduce(initialState(), snapshot);
      assert.deepEqual(shown(fresh), shown(before), "at " + seq);
      assert.deepEqual(shown(play(events.slice(seq), fresh)), end, "from " + seq);
      assert.equal(reduce(before, snapshot), before, "one that says nothing new changes nothing");
      const older = play(events.slice(0, Math.max(0, seq - 5)));
      assert.deepEqual(shown(reduce(older, snapshot)), shown(fresh), "over what is older, at " + seq);
    }
  });

  test(name + ": a hole at any place is noticed, nothing is drawn over it, a snapshot mends it (FAF-7)", () => {
    const end = shown(play(events));
    const last = [...snapshots.values()].at(-1);
    for (let hole = 1; hole < events.length - 1; hole++) {
      const before = play(events.slice(0, hole));
      const after = play(events.slice(hole + 1), before);
      assert.deepEqual(after, { ...before, stale: "gap" });
      assert.equal(after.entries, before.entries);
      assert.deepEqual(shown(reduce(after, last)), end);
    }
  });

  test(name + ": what did not change stays the same object (CLI-1)", () => {
    let state = initialState();
    for (const event of events) {
      const next = reduce(state, event);
      const now = new Map(next.entries.map((e) => [e.key, e]));
      for (const entry of state.entries) {
        const later = now.get(entry.key);
        if (entry.kind !== "answer" || entry.turn_id !== event.data.turn_id || entry.state !== "running") assert.equal(later, entry);
        else if (event.name === "response_chunk") {
          assert.equal(later.tools, entry.tools);
          assert.equal(later.reasoning, entry.reasoning);
          assert.equal(later.content.since(entry.content), event.data.content);
        }
      }
      if (!["turn_queued", "aborted", "response_start"].includes(event.name)) assert.equal(next.queue, state.queue);
      state = next;
    }
    const again = reduce({ ...state, stale: "asked" }, [...snapshots.values()].at(-1));
    for (const entry of again.entries) assert.equal(state.entries.find((e) => e.key === entry.key), entry);
  });
}

const common = (seq, more) => ({ session_id: "s", turn_id: "t", generation: 1, seq, ts: "2026-01-01T00:00:00.000Z", ...more });
const event = (name, seq, more) => ({ name, data: common(seq, more) });
const start = event("response_start", 1, { message: { id: "m", turn_id: "t", role: "user", content: "hi" }, message_id: "a" });

test("the recordings hold every event there is (CLI-1)", () => {
  const names = new Set(all.flatMap((r) => r.events.map((e) => e.name)));
  for (const name of ["response_start", "response_chunk", "reasoning_chunk", "tool_start", "tool_input", "tool_end", "prompt_pending", "prompt_resolved",
    "response_end", "aborted", "error", "turn_queued", "turn_resumed", "warning"]) assert.ok(names.has(name), name);
});

test("only a terminal event ends an answer, and it ends its tools and prompts (FAF-7)", () => {
  const call = [event("tool_start", 2, { tool_invocation_id: "c", name: "n", server: "s" }), event("tool_input", 3, { tool_invocation_id: "c", input: {}, status: "waiting" }),
    event("prompt_pending", 4, { prompt: { id: "p", kind: "tool_permission", tool_invocation_id: "c" } })];
  const waiting = play([start, ...call]);
  assert.deepEqual([waiting.status, waiting.prompts.length], ["waiting", 1]);
  assert.equal(play([event("tool_progress", 5, { tool_invocation_id: "c", progress: 0.5 })], waiting).status, "processing");
  assert.equal(play([event("error", 5, { fatal: false, code: "x", message: "y" })], waiting).status, "waiting");
  for (const [name, more, how] of [["response_end", { stop_reason: "stop" }, "complete"], ["aborted", {}, "aborted"], ["error", { fatal: true, code: "x", message: "y" }, "error"]]) {
    const s = play([event(name, 5, more)], waiting);
    const a = s.entries[1];
    assert.deepEqual([a.state, a.tools[0].status, a.prompts.length, s.prompts.length, s.status], [how, "incomplete", 0, 0, "idle"]);
  }
});

test("an event of a newer server is counted and shows nothing (CLI-1)", () => {
  const s = play([start]);
  const next = play([event("confetti", 2, {}), event("constructor", 3, {})], s);
  assert.deepEqual([next.seq, next.entries === s.entries, next.stale], [3, true, null]);
  assert.equal(runningAnswer(play([event("response_chunk", 4, { content: "x" })], next)).content.toString(), "x");
});

test("a notice moves nothing and goes with the next event (FAF-6)", () => {
  const s = play([start, { name: "error", data: common(null, { code: "worker_unavailable", message: "away", fatal: false }) }]);
  assert.deepEqual([s.seq, s.cursor, s.notice.code, s.entries.length], [1, "1-1", "worker_unavailable", 2]);
  assert.equal(reduce(s, { name: "warning", data: common(null, { code: "worker_unavailable", message: "back" }) }).notice, null);
  assert.equal(reduce(s, event("response_chunk", 2, { content: "x" })).notice, null);
});

test("a snapshot with a reason replaces what is there, also by something older (DUR-4)", () => {
  const s = play([start, event("response_chunk", 2, { content: "abc" })]);
  const snapshot = (seq, more) => event("snapshot", seq, { state: "idle", messages: [], queue: [], content: "", reasoning: "", tool_invocations: [], pending_prompts: [], ...more });
  assert.equal(reduce(s, snapshot(1)), s);
  const back = reduce(s, snapshot(1, { reason: "ahead" }));
  assert.deepEqual([back.seq, back.entries.map((e) => e.code)], [1, ["ahead"]]);
});

test("a cleared session has no running turn, no queue and no prompts (SDC-6)", () => {
  const s = play([start, event("turn_queued", 2, { turn_id: "q", content: "later" }), event("session_cleared", 3, { reason: "exclusive" })]);
  assert.deepEqual([s.status, s.queue.length, s.entries[1].state, s.notice.message], ["cleared", 0, "aborted", "exclusive"]);
});

test("the last twenty that were withdrawn are known, over a snapshot too; what was answered is not one of them (API-4)", () => {
  const gone = (seq, turn_id) => [event("turn_queued", seq, { turn_id, content: "x" }), event("aborted", seq + 1, { turn_id, reason: "withdrawn" })];
  const s = play([start, event("aborted", 2, { reason: "asked" }), ...Array.from({ length: 22 }, (_, i) => gone(3 + 2 * i, "q" + i)).flat()]);
  assert.deepEqual([s.withdrawn.length, s.withdrawn[0], s.withdrawn.at(-1), s.entries.length], [20, "q2", "q21", 2]);
  const snapshot = (reason) => reduce({ ...s, stale: "asked" }, event("snapshot", 99, { state: "idle", messages: [], queue: [], reason }));
  assert.deepEqual([snapshot().withdrawn, snapshot("other_history").withdrawn], [s.withdrawn, []]);
});

test("older pages go in front, once, and stay there over a snapshot (CLI-1)", () => {
  const m = (n, role) => ({ id: "m" + n, turn_id: "t" + (n >> 1), role, content: "c" + n, status: "complete", created_at: "x" });
  const page = [m(0, "user"), m(1, "assistant"), m(2, "user"), m(3, "assistant")];
  const d = common(9, { turn_id: "t2", state: "idle", messages: [m(4, "user"), m(5, "assistant")], queue: [] });
  const s = reduce(initialState(), { name: "snapshot", data: d });
  const more = prepend(prepend(s, page), page);
  assert.deepEqual(more.entries.map((e) => plainText(e.content)), ["c0", "c1", "c2", "c3", "c4", "c5"]);
  const again = reduce({ ...more, stale: "asked" }, { name: "snapshot", data: { ...d, seq: 10 } });
  assert.deepEqual(again.entries, more.entries);
  again.entries.forEach((e, i) => assert.equal(e, more.entries[i]));
});

test("a text grows, branches and compares as if each version were its own (CLI-1)", () => {
  const a = new Text("one").append(" two");
  const b = a.append(" three");
  const c = a.append(" drei");
  assert.deepEqual([String(a), String(b), String(c), a.length, c.length], ["one two", "one two three", "one two drei", 7, 12]);
  assert.deepEqual([b.since(a), c.since(a), a.since(b), c.since(b), b.since(null), b.since(b)], [" three", null, null, null, "one two three", ""]);
  assert.deepEqual([b.become("one two three!").since(b), b.become(String(b)) === b, String(b.become("x"))], ["!", true, "x"]);
  assert.equal(a.append(""), a);
});

// Ten times as many chunks must not cost a hundred times as much; generous, for slow machines.
test("20,000 chunks are not quadratic, also when somebody reads along (CLI-1)", () => {
  const run = (n) => {
    const began = process.hrtime.bigint();
    let state = play([start]);
    let before = runningAnswer(state);
    let shownText = 0;
    for (let i = 0; i < n; i++) {
      state = reduce(state, event("response_chunk", i + 2, { content: "chunk " + i + " " }));
      if (i % 10 === 0) {
        const answer = runningAnswer(state);
        shownText += answer.content.since(before.content).length;
        before = answer;
      }
    }
    const text = String(runningAnswer(state).content);
    assert.ok(text.startsWith("chunk 0 chunk 1 ") && text.endsWith(" " + (n - 1) + " ") && shownText > 0);
    return Number(process.hrtime.bigint() - began) / 1e6;
  };
  run(2000); // warm
  const small = Math.max(run(2000), 1);
  const large = run(20000);
  assert.ok(large < 60 * small && large < 5000, `2,000: ${small} ms, 20,000: ${large} ms`);
});
