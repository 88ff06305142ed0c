// The client against the real daemons, over networks and servers that fail in the middle of answers (CLI-1, FAF-7, DUR-4, DUR-5, DUR-7).
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ChatClient, initialState, reduce, runningAnswer } from "../../streamerd/web/chat-client/chat-client.js";
import { Locks } from "./lib.mjs";
import { Proxy } from "./proxy.mjs";

const { BASE_URL, CONTROL_URL } = process.env;
const LIMIT = 30000 * Number(process.env.TIME_SCALE || 1);
const control = (what) => fetch(CONTROL_URL + what, { method: "POST" });
const SEED = Number(process.env.SEED || Date.now() % 2 ** 31);
let seed = SEED;
const random = (n) => ((seed = (seed * 1103515245 + 12345) % 2147483648), Math.floor((seed / 2147483648) * n));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const direct = new ChatClient({ baseUrl: BASE_URL });
const proxy = await Proxy.to(BASE_URL);
after(() => proxy.close());

async function until(what, condition) {
  for (const end = Date.now() + LIMIT; ; await sleep(10)) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error("it does not come true: " + what);
  }
}

const quick = { baseUrl: proxy.url, retryMin: 20, retryMax: 200, heartbeatTimeout: 30000 };

// A client with a view on a new session, in which an answer of so many chunks runs.
async function talk(chunks, options = quick) {
  const client = new ChatClient(options);
  const { session_id, turn_id } = await client.send({ content: `demo: chunks=${chunks} size=8` });
  const view = client.view(session_id);
  const states = [];
  view.subscribe(({ connection }) => states.push(connection.state));
  const length = () => view.getState().chat.entries.at(-1)?.content?.length ?? 0;
  return { client, session_id, turn_id, view, states, length };
}

const shown = (chat) => ({ seq: chat.seq, status: chat.status, queue: chat.queue, entries: JSON.parse(JSON.stringify(chat.entries)).filter((e) => e.kind !== "note").map((e) =>
  ({ key: e.key, content: e.content, state: e.state, stop: e.stop_reason, tools: e.tools?.map((t) => [t.id, t.status, t.output]) })) });

// What is shown is what the server has.
async function same(view) {
  const data = await direct.getSnapshot(view.id);
  assert.deepEqual(shown(view.getState().chat), shown(reduce(initialState(view.id), { name: "snapshot", data })));
}

async function finish({ client, view, turn_id }, chunks) {
  const answer = await view.done(turn_id, { signal: AbortSignal.timeout(LIMIT) });
  assert.deepEqual([answer.state, answer.content.length], ["complete", chunks * 8]);
  await same(view);
  client.close();
}

test("cut at 20 random points of an answer, nothing is missing and nothing twice (CLI-1, FAF-7, DUR-4)", async (t) => {
  t.diagnostic("SEED=" + SEED); // not before the first line of TAP
  const it = await talk(700);
  const points = Array.from({ length: 20 }, () => 8 * random(650)).sort((a, b) => a - b);
  for (const point of points) {
    await until("it grows", () => it.length() >= point);
    proxy.cut();
    await until("it is noticed", () => it.view.getState().connection.state !== "live");
  }
  await finish(it, 700);
  assert.ok(it.states.filter((s) => s === "retrying").length >= 10);
});

test("a stalled connection is noticed by the watchdog, of 200 ms here, and left (CLI-1)", async () => {
  const it = await talk(300, { ...quick, heartbeatTimeout: 200 });
  for (const point of [200, 900, 1600]) {
    await until("it grows", () => it.length() >= point);
    proxy.stall();
    const error = await until("it is noticed", () => it.view.getState().connection.error);
    assert.equal(error.code, "timeout");
  }
  await finish(it, 300);
});

test("streamerd is killed in mid-answer: the answer goes on (DUR-7, FAF-7)", async () => {
  const it = await talk(500, { ...quick, baseUrl: BASE_URL });
  for (let i = 1; i <= 2; i++) {
    await until("it grows", () => it.length() > i * 800);
    await control("/kill-streamerd");
    assert.ok(it.states.includes("retrying"));
  }
  await finish(it, 500);
});

test("the worker is killed in mid-answer: what is shown is replaced by what stands, and goes on (DUR-6)", async () => {
  const it = await talk(400);
  await until("it grows", () => it.length() > 800);
  await control("/kill-workers");
  await until("it is taken up", () => runningAnswer(it.view.getState().chat)?.resumed);
  await finish(it, 400);
});

test("a 202 that is lost: the message is sent again and starts no second turn (DUR-5, CLI-1)", async () => {
  const client = new ChatClient(quick);
  const first = await client.send({ content: "demo: chunks=2 size=8" });
  const view = client.view(first.session_id);
  await view.done(first.turn_id);
  for (let i = 0; i < 3; i++) {
    const retries = [];
    const before = proxy.swallowed;
    proxy.swallow = "POST /v1/messages";
    const sent = await view.send("demo: chunks=3 size=8", { onRetry: (r) => retries.push(r.error.code) });
    assert.deepEqual([retries, proxy.swallowed], [["network"], before + 1]);
    await view.done(sent.turn_id, { signal: AbortSignal.timeout(LIMIT) });
  }
  const { messages } = await direct.getMessages(first.session_id);
  assert.deepEqual(messages.map((m) => m.role), Array(4).fill(["user", "assistant"]).flat());
  await same(view);
  client.close();
});

test("a message that is sent while the worker is dead arrives, once (CLI-1, DUR-5)", async () => {
  const client = new ChatClient(quick);
  const killed = control("/kill-workers");
  const sent = await Promise.all(Array.from({ length: 5 }, () => client.send({ content: "demo: chunks=3 size=8" })));
  await killed;
  assert.equal(new Set(sent.map((s) => s.session_id)).size, 5);
  for (const { session_id, turn_id } of sent) {
    await client.view(session_id).done(turn_id, { signal: AbortSignal.timeout(LIMIT) });
    assert.equal((await direct.getMessages(session_id)).messages.length, 2);
  }
  client.close();
});

test("permission, question, queue, withdrawal and stop, seen alike by two (SDC-12, API-4)", async () => {
  const [one, two] = [new ChatClient(quick), new ChatClient({ ...quick, baseUrl: BASE_URL })];
  const { session_id, turn_id } = await one.send({ content: "test" });
  const [a, b] = [one.view(session_id), two.view(session_id)];
  a.subscribe(() => {});
  b.subscribe(() => {});
  const prompt = (v, kind) => until(kind, () => v.getState().chat.prompts.find((p) => p.kind === kind));
  const permission = await prompt(a, "tool_permission");
  await prompt(b, "tool_permission");
  assert.equal(a.getState().chat.status, "waiting");
  await assert.rejects(a.resolve(permission.id, { answers: {} }), (e) => e.status === 422 && e.code === "bad_answer");
  proxy.swallow = "/prompts/"; // its answer is lost: the second try finds it resolved, which is no error
  assert.equal(await a.resolve(permission.id, { allow: true }), null);
  assert.equal(await b.resolve(permission.id, { allow: false }), null);
  const question = await prompt(b, "ask_user");
  const gone = await a.send({ content: "gone", on_busy: "queue" });
  const next = await a.send({ content: "demo: chunks=2 size=8", on_busy: "queue" });
  await until("it is queued", () => b.getState().chat.queue.length === 2);
  await assert.rejects(b.send("now"), (e) => e.status === 409 && e.code === "already_processing" && e.details.turn_id === turn_id);
  const withdrawn = assert.rejects(b.done(gone.turn_id), /withdrawn/);
  await a.withdraw(gone.turn_id);
  await withdrawn;
  await b.resolve(question.id, { answers: { [question.questions[0].id]: "That was enough" } });
  assert.equal((await a.done(turn_id)).state, "complete");
  assert.equal((await b.done(next.turn_id)).state, "complete");
  const last = await a.send("demo: chunks=5000 size=8");
  await until("it runs", () => runningAnswer(b.getState().chat)?.content.length);
  await b.stop();
  assert.equal((await a.done(last.turn_id)).state, "aborted");
  await same(a);
  await same(b);
  await one.deleteSession(session_id);
  await until("both hear of it", () => [a, b].every((v) => v.getState().connection.error?.code === "session_cleared"));
  await assert.rejects(two.getSession(session_id), (e) => e.status === 404);
  one.close();
  two.close();
});

test("older messages are loaded page by page in front of what is there (CLI-1)", async () => {
  const client = new ChatClient({ baseUrl: BASE_URL });
  const first = await client.send({ content: "demo: chunks=1 size=1" });
  const view = client.view(first.session_id);
  await view.done(first.turn_id);
  for (let i = 1; i < 28; i++) await view.done((await view.send(`demo: chunks=1 size=${i}`)).turn_id);
  const other = new ChatClient({ baseUrl: BASE_URL }).view(first.session_id);
  const leave = other.subscribe(() => {});
  await until("a snapshot", () => other.getState().chat.seq);
  assert.equal(other.getState().chat.entries.length, 50);
  const kept = other.getState().chat.entries[0];
  assert.equal(await other.loadOlder(4), true);
  assert.equal(await other.loadOlder(4), false);
  assert.equal(other.getState().chat.entries[6], kept);
  assert.deepEqual(other.getState().chat.entries.map((e) => e.key), view.getState().chat.entries.map((e) => e.key));
  other.close();
  leave();
  client.close();
});

test("three tabs and four sessions share /v1/events; leaders go, the network is cut, streamerd dies (CLI-1, DUR-7)", async () => {
  const locks = new Locks();
  const turns = await Promise.all(Array.from({ length: 4 }, () => direct.send({ content: "demo: chunks=400 size=8" })));
  const ids = turns.map((t) => t.session_id);
  const asked = [];
  const tabs = [[0, 1], [1, 2, 3], [0, 3]].map((shows, i) => {
    const client = new ChatClient({ ...quick, share: "test", environment: { locks: locks.of(i), BroadcastChannel, fetch: (...a) => (asked.push(String(a[0])), fetch(...a)) } });
    const views = shows.map((n) => client.view(ids[n]));
    views.forEach((v) => v.subscribe(() => {}));
    return { client, views };
  });
  const grown = (n) => until("they grow", () => tabs.at(-1).views.every((v) => v.getState().chat.entries.at(-1)?.content?.length > n));
  await grown(200);
  proxy.cut();
  await grown(700);
  tabs.shift().client.close(); // the leader
  await grown(1200);
  await control("/kill-streamerd");
  await grown(1500);
  tabs.shift().client.close();
  const [{ client, views }] = tabs;
  for (const view of views) {
    const answer = await view.done(turns[ids.indexOf(view.id)].turn_id, { signal: AbortSignal.timeout(LIMIT) });
    assert.equal(answer.content.length, 3200);
    await same(view);
  }
  assert.ok(asked.some((url) => /\/v1\/events\?sessions=/.test(url)));
  assert.equal(asked.some((url) => /\/sessions\/[^/]+\/events/.test(url)), false);
  client.close();
});
