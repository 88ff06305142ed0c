// The calls of the API: what is sent, what is sent again, what is not (CLI-1, DUR-5, FAF-6).
import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatClient, ChatError } from "../../streamerd/web/chat-client/chat-client.js";
import { json, refusal, settle, World } from "./lib.mjs";

const down = () => Promise.reject(new TypeError("fetch failed"));
const broken = () => new Response('{"session_id":"s"', { status: 202 });
const accepted = { session_id: "s", turn_id: "t", generation: 1, created: true };
const ok = () => json(202, accepted);

function setUp(script, options) {
  const world = new World((request, n) => script[Math.min(n, script.length) - 1](request));
  return { world, client: new ChatClient({ baseUrl: "http://h/", environment: world.environment(), ...options }) };
}

// The outcome of a promise, while time passes.
async function outcome(world, promise, ms = 600000) {
  let got = null;
  promise.then((value) => (got = { value }), (error) => (got = { error }));
  for (let passed = 0; !got && passed < ms; passed += 1000) await world.pass(1000);
  return got;
}

const keys = (world) => world.requests.map((r) => r.init.headers["Idempotency-Key"]);

test("a message goes out with a key, and its answer comes back (CLI-1)", async () => {
  const { world, client } = setUp([ok]);
  const message = { content: [{ type: "text", text: "hi" }], provider: "p", model: "m", system: "s", on_busy: "queue", metadata: { a: 1 } };
  assert.deepEqual(await client.send(message), accepted);
  const [{ url, init, body }] = world.requests;
  assert.deepEqual([url, init.method, init.headers["Content-Type"], body], ["http://h/v1/messages", "POST", "application/json", message]);
  await client.send(message);
  assert.match(keys(world)[0], /^[0-9a-f]{32}$/);
  assert.notEqual(keys(world)[0], keys(world)[1]);
});

test("a message is sent again with the same key over lost connections, broken answers and refusals that pass (CLI-1, DUR-5)", async () => {
  const { world, client } = setUp([down, broken, () => refusal(503, "worker_unavailable"), () => refusal(429, "too_many", { "Retry-After": "9" }), ok]);
  const told = [];
  const { value } = await outcome(world, client.send({ content: "x" }, { onRetry: (r) => told.push([r.error.code, r.retryIn]) }));
  assert.deepEqual(value, accepted);
  assert.equal(new Set(keys(world)).size, 1);
  assert.deepEqual(told, [["network", 1000], ["bad_answer", 2000], ["worker_unavailable", 4000], ["too_many", 9000]]);
  assert.equal(world.timers.length, 0);
});

test("what the server refuses for good is not sent again (CLI-1)", async () => {
  for (const status of [400, 401, 403, 404, 409, 413, 415, 422]) {
    const { world, client } = setUp([() => json(status, { error: { code: "c", message: "m", turn_id: "t7", field: "f" } })]);
    const { error } = await outcome(world, client.send({ content: "x" }));
    assert.ok(error instanceof ChatError);
    assert.deepEqual([error.status, error.code, error.message, error.details, error.mayPass, world.requests.length], [status, "c", "m", { turn_id: "t7", field: "f" }, false, 1]);
  }
});

test("patience ends; the error has the key with which it can be sent later (CLI-1)", async () => {
  const { world, client } = setUp([down, down, down, down, ok], { sendPatience: 10000 });
  const { error } = await outcome(world, client.send({ content: "x" }));
  assert.deepEqual([error.code, error.mayPass, world.requests.length], ["network", true, 4]);
  await client.send({ content: "x" }, { idempotencyKey: error.idempotencyKey });
  assert.equal(new Set(keys(world)).size, 1);
});

test("a try that gets no answer is given up and made again (CLI-1)", async () => {
  const { world, client } = setUp([() => null, ok], { callTimeout: 5000 });
  const { value } = await outcome(world, client.send({ content: "x" }));
  assert.deepEqual(value, accepted);
  assert.deepEqual(world.requests.map((r) => r.at - 1_000_000), [0, 6000]);
});

test("who waits for another try goes at once when the network is back (CLI-1)", async () => {
  const { world, client } = setUp([down, ok]);
  const sent = client.send({ content: "x" });
  await settle();
  world.window.dispatchEvent(new Event("online"));
  await sent;
  assert.equal(world.requests[1].at, 1_000_000);
  assert.equal(world.timers.length, 0);
});

test("a signal ends it, in a try, in a pause and before (CLI-1)", async () => {
  for (const script of [[() => null], [down]]) {
    const { world, client } = setUp(script);
    const stop = new AbortController();
    const sent = client.send({ content: "x" }, { signal: stop.signal });
    await settle();
    stop.abort(new Error("enough"));
    await assert.rejects(sent, /enough/);
    await assert.rejects(client.send({ content: "x" }, { signal: stop.signal }), /enough/);
    assert.deepEqual([world.requests.length, world.timers.length], [1, 0]);
  }
});

test("an abort that names its turn is sent again, one that does not is not (SDC-3)", async () => {
  const one = setUp([down, () => refusal(409, "not_processing")]);
  assert.deepEqual(await outcome(one.world, one.client.abort("s", "t")), { value: null });
  assert.deepEqual(one.world.requests[1].body, { turn_id: "t" });
  const other = setUp([down, ok]);
  assert.equal((await outcome(other.world, other.client.abort("s"))).error.code, "network");
  assert.equal(other.world.requests.length, 1);
  const refused = setUp([() => refusal(409, "turn_mismatch")]);
  assert.equal((await outcome(refused.world, refused.client.withdraw("s", "t"))).error.code, "turn_mismatch");
});

test("an answer to a prompt: its own second try is no error, somebody else's answer is (SDC-13)", async () => {
  const lost = setUp([broken, () => refusal(409, "already_resolved")]);
  assert.deepEqual(await outcome(lost.world, lost.client.resolve("s", "p", { allow: true, remember: "session" })), { value: null });
  assert.deepEqual([lost.world.requests[0].url, lost.world.requests[0].body], ["http://h/v1/sessions/s/prompts/p", { allow: true, remember: "session" }]);
  const second = setUp([() => refusal(409, "already_resolved")]);
  assert.equal((await outcome(second.world, second.client.resolve("s", "p", { answers: { q: ["a"] } }))).error.code, "already_resolved");
});

test("lists, a session, messages, a snapshot, deletion (CLI-1)", async () => {
  const { world, client } = setUp([() => json(200, { fine: true })]);
  await client.listSessions();
  await client.listSessions({ limit: 5, cursor: "a&b" });
  await client.getSession("a/b");
  await client.getMessages("s", { limit: 2, before: "m" });
  await client.getSnapshot("s");
  assert.deepEqual(world.requests.map((r) => r.init.method + " " + r.url.slice(8)), ["GET /v1/sessions", "GET /v1/sessions?limit=5&cursor=a%26b", "GET /v1/sessions/a%2Fb",
    "GET /v1/sessions/s/messages?limit=2&before=m", "GET /v1/sessions/s/snapshot"]);
  const gone = setUp([down, () => refusal(404, "session_not_found")]);
  assert.deepEqual(await outcome(gone.world, gone.client.deleteSession("s")), { value: undefined });
  const never = setUp([() => refusal(404, "session_not_found")]);
  assert.equal((await outcome(never.world, never.client.deleteSession("s"))).error.status, 404);
  const fine = setUp([() => new Response(null, { status: 204 })]);
  assert.equal(await fine.client.deleteSession("s"), undefined);
});
