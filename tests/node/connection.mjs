// A stream that stays: when it is opened again, when not, and what is told meanwhile (CLI-1, FAF-7). The clock is moved by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, ChatClient } from "../../streamerd/web/chat-client/chat-client.js";
import { frame, refusal, settle, wire, World } from "./lib.mjs";

const common = (seq, more) => ({ session_id: "s", turn_id: "t", generation: 1, seq, ts: "2026-01-01T00:00:00.000Z", ...more });
const event = (name, seq, more) => frame({ name, data: common(seq, more) });
const snapshot = (seq, more) => event("snapshot", seq, { state: "processing", content: "", reasoning: "", tool_invocations: [], pending_prompts: [], messages: [], queue: [], ...more });
const chunk = (seq, content = "x") => event("response_chunk", seq, { content });

// A view on session s; script: one answer for each attempt, the last one again and again. "wire" is a stream that the test writes.
async function watch(script, options = {}) {
  const wires = [];
  const world = new World((request, n) => {
    const answer = script[Math.min(n, script.length) - 1];
    if (answer !== "wire") return answer(request);
    const w = wire(request.init.signal);
    wires.push(w);
    return w.response;
  });
  const client = new ChatClient({ baseUrl: "http://h", environment: world.environment(), ...options });
  const view = client.view("s");
  const told = [];
  const leave = view.subscribe(({ connection: c }) => told.at(-1) !== c && told.push(c));
  await settle();
  return { world, client, view, told, leave, wires, states: () => told.map((c) => c.state), now: () => view.getState().connection, chat: () => view.getState().chat };
}

const down = () => Promise.reject(new TypeError("fetch failed"));
const gaps = (world) => world.requests.slice(1).map((r, i) => r.at - world.requests[i].at);

test("the waits double from 1 s to 30 s, with jitter at both ends (CLI-1)", () => {
  const at = (random) => Array.from({ length: 8 }, (_, i) => backoff(i, random));
  assert.deepEqual(at(0), [1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000]);
  assert.deepEqual(at(0.999999), [1500, 3000, 6000, 12000, 24000, 30000, 30000, 30000]);
  assert.equal(backoff(10000, 0.5), 25000);
});

test("a server that is down is tried again with these waits, and each is told (CLI-1)", async () => {
  const { world, states, now } = await watch([down]);
  assert.deepEqual([now().state, now().retryIn, now().retryAt, now().error.code, now().attempt], ["retrying", 1000, world.time + 1000, "network", 1]);
  await world.pass(100000);
  assert.deepEqual(gaps(world), [1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000]);
  assert.deepEqual(states().slice(0, 4), ["connecting", "retrying", "connecting", "retrying"]);
});

test("progress begins the waits anew, a mere head does not (CLI-1)", async () => {
  const { world, wires, now } = await watch([down, down, "wire", "wire", "wire"]);
  await world.pass(3000);
  assert.equal(now().state, "live");
  wires[0].send("retry: 1000\n\n:\n\n");
  await settle();
  wires[0].end();
  await settle();
  assert.equal(now().retryIn, 4000);
  await world.pass(4000);
  wires[1].send(snapshot(5));
  await settle();
  wires[1].end();
  await settle();
  assert.equal(now().retryIn, 1000);
});

test("a quiet connection that held for a while begins the waits anew (CLI-1)", async () => {
  const { world, wires, now } = await watch([down, down, "wire"]);
  await world.pass(3000);
  await world.pass(14000);
  wires[0].send(":\n\n");
  await settle();
  wires[0].end();
  await settle();
  assert.equal(now().retryIn, 1000);
});

test("a stream that ends, breaks or stops in the middle of an event goes on where it was (FAF-7)", async () => {
  const { world, wires, now, chat } = await watch(["wire"]);
  wires[0].send("retry: 1000\n\n" + snapshot(5) + chunk(6, "a") + chunk(7, "lost").slice(0, -1));
  await settle();
  wires[0].end();
  await settle();
  assert.deepEqual([now().state, now().error.code, chat().status, chat().entries.at(-1).state], ["retrying", "stream_ended", "processing", "running"]);
  await world.pass(1000);
  assert.equal(world.requests[1].url, "http://h/v1/sessions/s/events?last_event_id=1-6");
  wires[1].send(chunk(6, "a") + chunk(7, "b")); // with an overlap
  await settle();
  wires[1].cut();
  await settle();
  assert.deepEqual([now().error.code, String(chat().entries.at(-1).content)], ["stream_broken", "ab"]);
  await world.pass(1000);
  wires[2].send(event("response_end", 8, { stop_reason: "stop" }));
  await settle();
  wires[2].end(); // also after the answer: the next turn may come
  await settle();
  assert.deepEqual([chat().status, now().state], ["idle", "retrying"]);
});

test("a silent connection is given up by the watchdog, one with comments is not (CLI-1)", async () => {
  const { world, wires, now } = await watch(["wire"], { heartbeatTimeout: 200 });
  for (let i = 0; i < 10; i++) {
    await world.pass(150);
    wires[0].send(":\n\n");
    await settle();
  }
  assert.equal(now().state, "live");
  await world.pass(199);
  assert.equal(now().state, "live");
  await world.pass(1);
  assert.deepEqual([now().state, now().error.code], ["retrying", "timeout"]);
  assert.ok(world.requests[0].init.signal.aborted, "the connection is closed");
  await world.pass(1000);
  assert.equal(now().state, "live");
});

test("a server that takes the connection and says nothing is given up (CLI-1)", async () => {
  const { world, now } = await watch([() => null], { headTimeout: 300 });
  assert.equal(now().state, "connecting");
  await world.pass(300);
  assert.deepEqual([now().state, now().error.code], ["retrying", "timeout"]);
});

for (const status of [400, 401, 403, 404, 405, 409, 410, 421, 422]) {
  test(`${status} is final and says why (CLI-1, FAF-6)`, async () => {
    const { world, now, view } = await watch([() => refusal(status, "code_" + status), "wire"]);
    assert.deepEqual([now().state, now().error.status, now().error.code, now().error.message], ["gone", status, "code_" + status, "said by the test"]);
    await world.pass(100000);
    world.window.dispatchEvent(new Event("online"));
    await settle();
    assert.equal(world.requests.length, 1);
    view.reconnect(); // a person signed in again
    await settle();
    assert.equal(now().state, "live");
  });
}

for (const status of [408, 425, 429, 500, 502, 503, 504]) {
  test(`${status} is tried again (CLI-1)`, async () => {
    const { world, now } = await watch([() => refusal(status, "busy"), "wire"]);
    assert.deepEqual([now().state, now().error.status], ["retrying", status]);
    await world.pass(1000);
    assert.equal(now().state, "live");
  });
}

test("204 is final: the server has nothing more; what is no event stream is tried again (CLI-1)", async () => {
  const done = await watch([() => new Response(null, { status: 204 })]);
  assert.deepEqual([done.now().state, done.now().error.code], ["gone", "no_content"]);
  const portal = await watch([() => new Response("<html>", { headers: { "Content-Type": "text/html" } }), "wire"]);
  assert.deepEqual([portal.now().state, portal.now().error.code], ["retrying", "bad_answer"]);
});

test("Retry-After is waited for, within reason; retry: is the least wait, within reason (CLI-1)", async () => {
  const wait = async (headers) => (await watch([() => refusal(503, "busy", headers)])).now().retryIn;
  assert.equal(await wait({ "Retry-After": "7" }), 7000);
  assert.equal(await wait({ "Retry-After": "0" }), 1000);
  assert.equal(await wait({ "Retry-After": "86400" }), 120000);
  assert.equal(await wait({ "Retry-After": new Date(1_000_000 + 9000).toUTCString() }), 9000);
  assert.equal(await wait({ "Retry-After": "soon" }), 1000);
  for (const [ms, least] of [[5000, 5000], [10, 1000], [999999, 20000]]) {
    const { wires, now } = await watch(["wire"]);
    wires[0].send("retry: " + ms + "\n\n" + snapshot(1));
    await settle();
    wires[0].end();
    await settle();
    assert.equal(now().retryIn, least);
  }
});

test("at once when the network is back or somebody looks, not when nobody does (CLI-1)", async () => {
  for (const [target, name] of [["window", "online"], ["window", "pageshow"], ["document", "visibilitychange"]]) {
    const { world, now } = await watch([down, "wire"]);
    world.visible = false;
    world.document.dispatchEvent(new Event("visibilitychange"));
    await settle();
    assert.equal(world.requests.length, 1);
    world.visible = true;
    world[target].dispatchEvent(new Event(name));
    await settle();
    assert.deepEqual([name, now().state, world.requests.length], [name, "live", 2]);
  }
});

test("who looks again at a connection that was quiet for long gets a new one, and one with the network that changed (CLI-1)", async () => {
  const { world, wires, states } = await watch(["wire"]);
  wires[0].send(snapshot(3));
  await world.pass(29000);
  world.document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.equal(world.requests.length, 1);
  await world.pass(2000);
  world.document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.deepEqual([world.requests.length, world.requests[1].url], [2, "http://h/v1/sessions/s/events?last_event_id=1-3"]);
  world.window.dispatchEvent(new Event("online"));
  await settle();
  assert.equal(world.requests.length, 3);
  assert.deepEqual(states(), ["connecting", "live", "connecting", "live", "connecting", "live"]);
});

test("without network it says so, and tries nevertheless: a browser may be wrong (CLI-1)", async () => {
  const world = new World(down);
  world.online = false;
  const view = new ChatClient({ environment: world.environment() }).view("s");
  view.subscribe(() => {});
  await settle();
  assert.equal(view.getState().connection.state, "offline");
  await world.pass(1000);
  assert.equal(world.requests.length, 2);
});

test("a hole, or an event that can't be read, leads to a snapshot (FAF-7, FAF-6)", async () => {
  for (const bad of [chunk(9), "id: 1-6\nevent: response_chunk\ndata: {broken\n\n", "event: response_chunk\ndata: null\n\n"]) {
    const { world, wires, chat, now } = await watch(["wire"]);
    wires[0].send(snapshot(5) + bad + chunk(10));
    await settle();
    assert.ok(chat().stale);
    assert.equal(now().state, "retrying");
    await world.pass(1000);
    assert.equal(world.requests[1].url, "http://h/v1/sessions/s/events");
    wires[1].send(snapshot(10, { content: "all" }) + chunk(11, "!"));
    await settle();
    assert.deepEqual([chat().stale, String(chat().entries.at(-1).content)], [null, "all!"]);
    assert.equal(world.errors.length, bad.startsWith("id: 1-9") ? 0 : 1);
  }
});

test("a cleared session is gone, and nothing is asked for it any more (SDC-6)", async () => {
  const { world, wires, now, chat } = await watch(["wire"]);
  wires[0].send(snapshot(5) + event("session_cleared", 6, {}));
  await settle();
  wires[0].end();
  await world.pass(60000);
  assert.deepEqual([now().state, now().error.code, chat().status, world.requests.length], ["gone", "session_cleared", "cleared", 1]);
});

test("done() hears of a message that was queued and withdrawn in one piece (API-4, CLI-1)", async () => {
  const { wires, view } = await watch(["wire"]);
  let failure = null;
  view.done("q").catch((error) => (failure = error));
  wires[0].send(snapshot(1) + event("turn_queued", 2, { turn_id: "q", content: "x" }) + event("aborted", 3, { turn_id: "q", reason: "withdrawn" }));
  await settle();
  assert.equal(failure?.code, "withdrawn");
});

test("what came in one piece is told once (CLI-1)", async () => {
  const { view, wires } = await watch(["wire"]);
  let times = 0;
  view.subscribe(() => times++);
  wires[0].send(snapshot(1) + chunk(2) + chunk(3) + chunk(4));
  await settle();
  assert.equal(times, 1);
});

test("the first subscriber opens the stream, the last one closes it, who comes back at once keeps it (CLI-1)", async () => {
  const { world, view, leave, now, wires } = await watch(["wire"]);
  wires[0].send(snapshot(4));
  const second = view.subscribe(() => {});
  leave();
  leave();
  await world.pass(5000);
  assert.equal(now().state, "live");
  second();
  await world.pass(500);
  const third = view.subscribe(() => {});
  await world.pass(5000);
  assert.deepEqual([now().state, world.requests.length], ["live", 1]);
  third();
  await world.pass(1000);
  assert.equal(now().state, "closed");
  assert.ok(world.requests[0].init.signal.aborted);
  view.subscribe(() => {});
  await settle();
  assert.match(world.requests[1].url, /last_event_id=1-4$/);
});

test("a listener that throws harms nobody (FAF-6)", async () => {
  const { world, view, wires, chat } = await watch(["wire"]);
  let heard = 0;
  view.subscribe(() => {
    throw new Error("mine");
  });
  view.subscribe(() => heard++);
  wires[0].send(snapshot(1));
  await settle();
  assert.deepEqual([heard, chat().seq, world.errors[0].message], [1, 1, "mine"]);
});

test("the token is asked for at each attempt and goes with it (CLI-1)", async () => {
  let n = 0;
  const { world } = await watch([down], { token: async () => "t" + ++n });
  await world.pass(1000);
  assert.deepEqual(world.requests.map((r) => r.init.headers.Authorization), ["Bearer t1", "Bearer t2"]);
});
