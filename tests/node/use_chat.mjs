// useChat in React, over a server that is a function (CLI-1). Needs npm's packages: NODE_MODULES.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { frame, here, json, refusal, wire, World } from "./lib.mjs";

// as an application has it: the package and react in one node_modules
const app = mkdtempSync(join(tmpdir(), "use-chat-"));
after(() => rmSync(app, { recursive: true }));
cpSync(join(here, "..", "..", "streamerd", "web", "chat-client"), join(app, "chatd-client"), { recursive: true });
symlinkSync(process.env.NODE_MODULES, join(app, "node_modules"));
const require = createRequire(join(app, "app.js"));
const React = require("react");
const { act, create } = require("react-test-renderer");
const { ChatClient } = await import(pathToFileURL(join(app, "chatd-client", "chat-client.js")));
const { useChat } = await import(pathToFileURL(join(app, "chatd-client", "use-chat.js")));
globalThis.IS_REACT_ACT_ENVIRONMENT = true;

const common = (seq, more) => ({ session_id: "s", turn_id: "t", generation: 1, seq, ts: "2026-01-01T00:00:00.000Z", ...more });
const event = (name, seq, more) => frame({ name, data: common(seq, more) });
const user = { id: "m1", turn_id: "t", role: "user", content: "hi", status: "complete", created_at: "x" };
const snapshot = event("snapshot", 1, { state: "processing", content: "", reasoning: "", tool_invocations: [], pending_prompts: [], queue: [], messages: [user],
  session: { id: "s", title: "hi", provider: "p", model: "m", created_at: "x" }, turn: { id: "t", state: "processing", started_at: "x" } });
const accepted = { session_id: "s", turn_id: "t", generation: 1, created: true };

async function mount(props = {}, { strict = false, post = () => json(202, accepted) } = {}) {
  const it = { renders: [], wires: [], post };
  it.world = new World((request) => {
    if (request.init.method !== "GET" && request.init.method) return it.post(request);
    const w = wire(request.init.signal);
    it.wires.push(w);
    return w.response;
  });
  it.client = new ChatClient({ baseUrl: "http://h", environment: it.world.environment() });
  const Probe = (p) => {
    it.chat = useChat({ client: it.client, ...p });
    it.renders.push(it.chat);
    return React.createElement("p", null, it.chat.messages.map((m) => m.content).join("|"));
  };
  it.draw = (p) => {
    const probe = React.createElement(Probe, p);
    return strict ? React.createElement(React.StrictMode, null, probe) : probe;
  };
  it.pass = (ms = 0) => act(async () => await it.world.pass(ms));
  await act(async () => {
    it.root = create(it.draw(props));
  });
  it.send = (text, n = it.wires.length - 1) => act(async () => {
    it.wires[n].send(text);
    await it.world.pass(0);
  });
  return it;
}

test("a first message: submitted, streaming once connected, ready; one message object for what did not change (CLI-1)", async () => {
  const sessions = [];
  const it = await mount({ onSession: (id) => sessions.push(id), defaults: { model: "m" } });
  assert.deepEqual([it.chat.status, it.chat.messages, it.chat.id], ["ready", [], null]);
  let release;
  it.post = () => new Promise((done) => (release = () => done(json(202, accepted))));
  let sent;
  await act(async () => {
    sent = it.chat.sendMessage({ text: "hi" });
    await it.world.pass(0);
  });
  assert.equal(it.chat.status, "submitted");
  assert.deepEqual(it.world.requests[0].body, { model: "m", content: "hi" });
  await act(async () => {
    release();
    assert.deepEqual(await sent, accepted);
  });
  await it.pass();
  assert.deepEqual([it.chat.status, it.chat.id, sessions], ["submitted", "s", ["s"]]);
  await it.send(snapshot + event("response_chunk", 2, { content: "Hel" }));
  assert.deepEqual([it.chat.status, it.chat.messages.map((m) => [m.role, m.content])], ["streaming", [["user", "hi"], ["assistant", "Hel"]]]);
  const [first, answer] = it.chat.messages;
  await it.send(event("response_chunk", 3, { content: "lo" }) + event("reasoning_chunk", 4, { content: "hm" }));
  assert.equal(it.chat.messages[0], first);
  assert.notEqual(it.chat.messages[1], answer);
  assert.equal(it.chat.messages[1].id, answer.id);
  assert.deepEqual(it.chat.messages[1].parts, [{ type: "reasoning", text: "hm" }, { type: "text", text: "Hello" }]);
  await it.send(event("response_end", 5, { stop_reason: "stop", usage: null, message_id: "a1" }));
  assert.deepEqual([it.chat.status, it.chat.messages[1].state, it.chat.messages[1].id], ["ready", "complete", answer.id]);
  assert.equal(JSON.stringify(it.root.toJSON().children), '["hi|Hello"]');
});

test("a connection that is lost in mid-answer is not streaming, and goes on (FAF-7)", async () => {
  const it = await mount({ sessionId: "s" });
  await it.send(snapshot + event("response_chunk", 2, { content: "a" }));
  await act(async () => {
    it.wires[0].end();
    await it.world.pass(0);
  });
  assert.deepEqual([it.chat.status, it.chat.connection.state], ["submitted", "retrying"]);
  await it.pass(1000);
  await it.send(event("response_chunk", 3, { content: "b" }));
  assert.deepEqual([it.chat.status, it.chat.messages[1].content], ["streaming", "ab"]);
});

test("errors: of the answer, of the message, of the connection (FAF-6)", async () => {
  const it = await mount({ sessionId: "s" });
  await it.send(snapshot + event("error", 2, { fatal: true, code: "provider_error", message: "no" }));
  assert.deepEqual([it.chat.status, it.chat.error.code, it.chat.messages[1].state], ["error", "provider_error", "error"]);
  it.post = () => refusal(400, "unknown_provider");
  await act(async () => assert.equal(await it.chat.sendMessage("x"), null));
  assert.deepEqual([it.chat.status, it.chat.error.code], ["error", "unknown_provider"]);
  await act(async () => it.chat.clearError());
  assert.equal(it.chat.error.code, "provider_error");
  await it.send(event("session_cleared", 3, {}));
  assert.deepEqual([it.chat.status, it.chat.error.code], ["error", "session_cleared"]);
});

test("prompts, queue, stop and withdraw (CLI-1, SDC-12)", async () => {
  const it = await mount({ sessionId: "s" });
  const prompt = { id: "p", kind: "tool_permission", tool_invocation_id: "c", tool_name: "n", server: "x", input: {}, questions: [] };
  await it.send(snapshot + event("tool_start", 2, { tool_invocation_id: "c", name: "n", server: "x" }) + event("tool_input", 3, { tool_invocation_id: "c", input: {}, status: "waiting" })
    + event("prompt_pending", 4, { prompt }) + event("turn_queued", 5, { turn_id: "q", content: "next" }));
  assert.deepEqual([it.chat.status, it.chat.prompts, it.chat.queue], ["streaming", [prompt], [{ turn_id: "q", content: "next" }]]);
  assert.equal(it.chat.messages[1].parts[0].tool.status, "waiting");
  it.post = () => json(200, {});
  await act(async () => {
    await it.chat.resolve("p", { allow: true });
    await it.chat.withdraw("q");
    await it.chat.stop();
    await it.chat.sendMessage("more");
  });
  assert.deepEqual(it.world.requests.slice(1).map((r) => [r.url.slice(8), r.body]), [["/v1/sessions/s/prompts/p", { allow: true }], ["/v1/sessions/s/abort", { turn_id: "q" }],
    ["/v1/sessions/s/abort", { turn_id: "t" }], ["/v1/messages", { on_busy: "queue", content: "more", session_id: "s" }]]);
});

test("what is said beside the conversation is there: notices while they last, notes for good (FAF-4, FAF-6)", async () => {
  const it = await mount({ sessionId: "s" });
  assert.deepEqual([it.chat.notice, it.chat.notes], [null, []]);
  await it.send(snapshot + event("warning", 2, { code: "provider_retry", message: "again in 1 s" }));
  const { notes } = it.chat;
  assert.deepEqual(notes.map((n) => [n.level, n.code, n.text, n.turn_id]), [["warning", "provider_retry", "again in 1 s", "t"]]);
  for (const code of ["persist_error", "worker_unavailable"]) {
    await it.send(event("error", null, { code, message: "for now", fatal: false }));
    assert.deepEqual([it.chat.notice, it.chat.status], [{ level: "error", code, message: "for now" }, "streaming"]);
  }
  assert.equal(it.chat.notes[0], notes[0]);
  await it.send(event("response_chunk", 3, { content: "x" }));
  assert.equal(it.chat.notice, null);
  await it.send(event("warning", 4, { code: "refusal", message: "I won't" }) + event("response_end", 5, { stop_reason: "refusal" }));
  assert.deepEqual([it.chat.messages.map((m) => m.role), it.chat.messages[1].refusal, it.chat.notes.map((n) => n.code)],
    [["user", "assistant"], "I won't", ["provider_retry", "refusal"]]);
});

test("a queued message that is withdrawn is not on its way any more, also if its answer comes after that (API-4)", async () => {
  const it = await mount({ sessionId: "s" });
  const ended = (seq) => event("response_end", seq, { stop_reason: "stop" });
  await it.send(snapshot + ended(2));
  it.post = () => json(202, { ...accepted, turn_id: "q1", created: false });
  await act(async () => void await it.chat.sendMessage("one"));
  assert.equal(it.chat.status, "submitted");
  await it.send(event("turn_queued", 3, { turn_id: "q1", content: "one" }));
  assert.deepEqual([it.chat.status, it.chat.queue.length], ["ready", 1]);
  await it.send(event("aborted", 4, { turn_id: "q1", reason: "withdrawn" }));
  assert.deepEqual([it.chat.status, it.chat.queue.length, it.chat.messages.length], ["ready", 0, 2]);
  let release;
  it.post = () => new Promise((done) => (release = () => done(json(202, { ...accepted, turn_id: "q2", created: false }))));
  let sent;
  await act(async () => {
    sent = it.chat.sendMessage("two");
    await it.world.pass(0);
  });
  await it.send(event("turn_queued", 5, { turn_id: "q2", content: "two" }));
  await it.send(event("aborted", 6, { turn_id: "q2", reason: "withdrawn" }));
  assert.equal(it.chat.status, "submitted");
  await act(async () => {
    release();
    await sent;
  });
  assert.equal(it.chat.status, "ready");
});

test("a message that is queued and withdrawn within one read is not on its way any more (API-4, CLI-1)", async () => {
  const it = await mount({ sessionId: "s" });
  const gone = (seq, turn_id) => event("turn_queued", seq, { turn_id, content: "x" }) + event("aborted", seq + 1, { turn_id, reason: "withdrawn" });
  await it.send(snapshot + event("response_end", 2, { stop_reason: "stop" }));
  it.post = () => json(202, { ...accepted, turn_id: "q1", created: false });
  await act(async () => void await it.chat.sendMessage("one"));
  assert.equal(it.chat.status, "submitted");
  await it.send(gone(3, "q1"));
  assert.deepEqual([it.chat.status, it.chat.queue.length, it.chat.messages.length], ["ready", 0, 2]);
  // also if the answer to the POST comes last
  let release;
  it.post = () => new Promise((done) => (release = () => done(json(202, { ...accepted, turn_id: "q2", created: false }))));
  let sent;
  await act(async () => {
    sent = it.chat.sendMessage("two");
    await it.world.pass(0);
  });
  await it.send(gone(5, "q2"));
  assert.equal(it.chat.status, "submitted");
  await act(async () => {
    release();
    await sent;
  });
  assert.equal(it.chat.status, "ready");
  // and one that is really on its way still is
  it.post = () => json(202, { ...accepted, turn_id: "q3", created: false });
  await act(async () => void await it.chat.sendMessage("three"));
  await it.send(gone(7, "q4"));
  assert.equal(it.chat.status, "submitted");
});

test("in strict mode, and from one session to another, there is one stream for what is shown (CLI-1)", async () => {
  const it = await mount({ sessionId: "s" }, { strict: true });
  await it.send(snapshot);
  assert.equal(it.wires.length, 1);
  await act(async () => it.root.update(it.draw({ sessionId: "other" })));
  await it.pass(2000);
  assert.deepEqual([it.wires.length, it.chat.messages.length, it.world.requests[0].init.signal.aborted], [2, 0, true]);
  await act(async () => it.root.unmount());
  await it.pass(2000);
  assert.ok(it.world.requests[1].init.signal.aborted);
});

test("without a session nothing is asked for (CLI-1)", async () => {
  const it = await mount();
  assert.equal(it.chat.connection.state, "closed");
  assert.equal(it.world.requests.length, 0);
});
