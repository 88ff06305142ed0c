// One stream for all tabs: who leads, who follows, what happens when one of them ends (CLI-1). Locks, channels, clock and server are
// the test's; a real browser has its own suite.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatClient, initialState, reduce } from "../../streamerd/web/chat-client/chat-client.js";
import { frame, Locks, refusal, settle, wire, World } from "./lib.mjs";

const common = (session, seq, more) => ({ session_id: session, turn_id: "t", generation: 1, seq, ts: "2026-01-01T00:00:00.000Z", ...more });
const fields = { state: "processing", reasoning: "", tool_invocations: [], pending_prompts: [], messages: [], queue: [] };

const changed = frame({ name: "sessions_changed", data: common(null, null, { turn_id: null, generation: 0 }) });

// A server with a log for each session, and a browser with tabs.
class Browser extends World {
  logs = new Map(); // session → events
  streams = new Set(); // {sessions, wire}
  locks_ = new Locks();
  channels = new Set();
  tabs = [];

  constructor() {
    super((request) => this.serve(request));
  }

  snapshot(session, reason) {
    const log = this.logs.get(session);
    return { name: "snapshot", data: common(session, log.length, { ...fields, content: log.map((e) => e.data.content).join(""), ...(reason ? { reason } : {}) }) };
  }

  serve({ url, init }) {
    const at = new URL(url);
    const list = at.searchParams.get("sessions");
    const asked = list !== null ? list.split(",").filter(Boolean) : [at.pathname.split("/")[3]];
    const changes = at.searchParams.get("changes") === "1";
    const cursors = new Map(list !== null ? (init.headers["Last-Event-ID"] ?? "").split(",").filter(Boolean).map((c) => c.split("@")) : [[asked[0], at.searchParams.get("last_event_id")]]);
    const there = asked.filter((s) => this.logs.has(s));
    if (this.refuse) return this.refuse;
    if (!there.length && !changes) return refusal(404, "session_not_found");
    const w = wire(init.signal);
    const stream = { sessions: new Set(there), wire: w, changes };
    this.streams.add(stream);
    init.signal.addEventListener("abort", () => this.streams.delete(stream));
    w.send("retry: 1000\n\n");
    for (const s of asked) {
      const seq = Number((cursors.get(s) ?? "").split("-")[1]);
      if (!this.logs.has(s)) w.send(frame({ name: "error", data: common(s, null, { code: "session_not_found", message: "there is no such session", fatal: false }) }));
      else if (seq) w.send(this.logs.get(s).slice(seq).map(frame).join(""));
      else w.send(frame(this.snapshot(s)));
    }
    if (changes) w.send(changed);
    return w.response;
  }

  change() {
    for (const s of this.streams) if (s.changes) s.wire.send(changed);
  }

  say(session, content) {
    if (!this.logs.has(session)) this.logs.set(session, []);
    const log = this.logs.get(session);
    const event = { name: "response_chunk", data: common(session, log.length + 1, { content }) };
    log.push(event);
    for (const s of this.streams) if (s.sessions.has(session)) s.wire.send(frame(event));
  }

  // forbid(tab) may change its environment
  tab(options = {}, forbid = () => {}) {
    const world = this;
    const tab = { isFrozen: false, queue: [] };
    class Channel {
      constructor(name) {
        this.name = name;
        this.tab = tab;
        world.channels.add(this);
      }

      postMessage(message) {
        if (tab.isFrozen || tab.isDead) return;
        const copy = structuredClone(message);
        for (const c of world.channels) if (c !== this && c.name === this.name) queueMicrotask(() => c.tab.isDead || c.tab.isFrozen || c.onmessage?.({ data: copy }));
      }

      close() {
        world.channels.delete(this);
      }
    }
    const signal = (tab.network = new AbortController()).signal;
    tab.environment = this.environment({
      locks: this.locks_.of(tab), BroadcastChannel: Channel,
      fetch: (url, init) => this.fetch(url, { ...init, signal: AbortSignal.any([init.signal, signal]) }),
      setTimeout: (fn, ms) => {
        const timer = { at: world.time + ms, fn: () => tab.isDead || tab.isFrozen || fn() };
        world.timers.push(timer);
        return timer;
      },
    });
    forbid(tab);
    tab.client = new ChatClient({ baseUrl: "http://h", ...options, environment: tab.environment });
    tab.views = {};
    tab.show = (...sessions) => {
      for (const s of sessions) {
        const view = (tab.views[s] = tab.client.view(s));
        tab["leave " + s] = view.subscribe(() => {});
      }
    };
    tab.watch = () => {
      tab.news = { changes: 0, states: [] };
      tab.unwatch = tab.client.watchSessions(({ connection: c, isChange }) => (isChange ? tab.news.changes++ : tab.news.states.push(c.state)));
    };
    tab.text = (s) => String(tab.views[s].getState().chat.entries.at(-1)?.content ?? "");
    tab.state = (s) => tab.views[s].getState().connection.state;
    tab.kill = () => { // as the browser does: no goodbye
      tab.isDead = true;
      this.channels.forEach((c) => c.tab === tab && this.channels.delete(c));
      tab.network.abort();
      this.locks_.kill(tab);
    };
    this.tabs.push(tab);
    return tab;
  }

  text(session) {
    return this.logs.get(session).map((e) => e.data.content).join("");
  }

  async check(tabs = this.tabs.filter((t) => !t.isDead)) {
    for (const tab of tabs) for (const s of Object.keys(tab.views)) assert.equal(tab.text(s), this.text(s), s + " in tab " + this.tabs.indexOf(tab));
  }
}

async function browser(sessions, ...tabs) {
  const b = new Browser();
  for (const s of sessions) b.say(s, s + ": ");
  for (const shown of tabs) b.tab().show(...shown);
  await b.pass(100);
  return b;
}

test("ten tabs and their sessions share one connection, and each shows its own (CLI-1)", async () => {
  const names = Array.from({ length: 6 }, (_, i) => "s" + i);
  const b = await browser(names, ...Array.from({ length: 10 }, (_, i) => [names[i % 6], names[(i + 1) % 6]]));
  assert.equal(b.streams.size, 1);
  for (let i = 0; i < 30; i++) b.say(names[i % 6], "x" + i + " ");
  await b.pass(100);
  await b.check();
  assert.deepEqual([...new Set(b.tabs.flatMap((t) => Object.keys(t.views).map((s) => t.state(s))))], ["live"]);
});

test("one session alone is asked for at its own address (CLI-1)", async () => {
  const b = await browser(["a"], ["a"], ["a"]);
  assert.match(b.requests[0].url, /\/v1\/sessions\/a\/events$/);
  await b.check();
});

test("who joins in mid-answer gets a snapshot, the others don't draw it again (CLI-1, SDC-8)", async () => {
  const b = await browser(["a", "b"], ["a", "b"]);
  b.say("a", "more ");
  await b.pass(100);
  const before = b.tabs[0].views.a.getState().chat;
  const late = b.tab();
  late.show("a");
  b.say("b", "in between ");
  await b.pass(100);
  assert.equal(b.tabs[0].views.a.getState().chat, before);
  b.say("a", "and on");
  await b.pass(100);
  await b.check();
});

test("frames that arrive while a joining tab waits for its snapshot do no harm (CLI-1)", async () => {
  const b = await browser(["a", "b"], ["a", "b"]);
  const late = b.tab();
  late.show("a");
  for (let i = 0; i < 40; i++) {
    b.say("a", i + " ");
    await b.pass(1);
  }
  await b.check();
  const asked = b.requests.length;
  await b.pass(5000);
  assert.equal(b.requests.length, asked, "no second snapshot was needed");
});

test("a leader that closes hands over, one that is killed is followed; nobody misses anything (CLI-1)", async () => {
  for (const how of ["close", "kill"]) {
    const b = await browser(["a", "b"], ["a"], ["a", "b"], ["b"]);
    for (let round = 0; round < 2; round++) {
      const leader = b.tabs.find((t) => !t.isDead && t.client);
      b.say("a", "before ");
      if (how === "close") {
        leader.client.close();
        leader.isDead = true;
      } else leader.kill();
      b.say("a", "between ");
      b.say("b", "between ");
      await b.pass(200);
      b.say("b", "after ");
      await b.pass(200);
      assert.equal(b.streams.size, 1, how);
      await b.check();
    }
    const last = b.requests.at(-1);
    assert.match(last.url + JSON.stringify(last.init.headers), /b(@|\/events\?last_event_id=)1-\d/, "it goes on with a cursor");
  }
});

test("a random life of tabs, leaders and networks: at the end all show all (CLI-1, FAF-7)", async () => {
  let seed = Number(process.env.SEED || 20261122);
  const random = (n) => ((seed = (seed * 1103515245 + 12345) % 2147483648), Math.floor((seed / 2147483648) * n));
  for (let life = 0; life < 20; life++) {
    const names = ["a", "b", "c", "d"];
    const b = await browser(names, ["a"], ["b", "c"]);
    for (let step = 0; step < 40; step++) {
      const living = b.tabs.filter((t) => !t.isDead);
      const what = random(10);
      if (what < 4) b.say(names[random(4)], step + " ");
      else if (what === 4 && living.length < 6) b.tab().show(names[random(4)], names[random(4)]);
      else if (what === 5 && living.length > 1) living[random(living.length)].kill();
      else if (what === 6) for (const s of [...b.streams]) s.wire.cut(b.streams.delete(s));
      else if (what === 7) b.window.dispatchEvent(new Event("online"));
      else await b.pass([1, 12, 300, 2500][random(4)]);
    }
    await b.pass(40000);
    await b.check();
    assert.equal(b.streams.size, 1);
    assert.deepEqual(b.errors, []);
  }
});

test("a leader that is frozen loses the lead to who misses it, and follows when it wakes (CLI-1)", async () => {
  const b = await browser(["a"], ["a"], ["a"]);
  const [frozen, other] = b.tabs;
  frozen.isFrozen = true;
  b.streams.forEach((s) => b.streams.delete(s)); // its bytes arrive nowhere
  b.say("a", "unheard ");
  await b.pass(60000);
  assert.equal(other.text("a"), b.text("a"));
  frozen.isFrozen = false;
  await b.pass(100);
  b.document.dispatchEvent(new Event("visibilitychange"));
  b.say("a", "heard ");
  await b.pass(15000);
  await b.check();
  assert.equal(b.streams.size, 1);
});

test("a quiet leader is no frozen one: heartbeats are passed on (CLI-1)", async () => {
  const b = await browser(["a"], ["a"], ["a"]);
  for (let i = 0; i < 20; i++) {
    await b.pass(15000);
    for (const s of b.streams) s.wire.send(":\n\n");
  }
  assert.equal(b.requests.length, 1);
});

test("a session that does not exist is gone for its views alone (CLI-1)", async () => {
  const b = await browser(["a"], ["a", "ghost"], ["ghost"]);
  assert.deepEqual(b.tabs.map((t) => t.state("ghost")), ["gone", "gone"]);
  const { error } = b.tabs[1].views.ghost.getState().connection;
  assert.deepEqual([error.status, error.code, error instanceof Error], [404, "session_not_found", true]);
  assert.equal(b.tabs[0].state("a"), "live");
  b.say("ghost", "born");
  b.tabs[1].views.ghost.reconnect();
  await b.pass(100);
  assert.deepEqual([b.tabs[1].state("ghost"), b.tabs[1].text("ghost")], ["live", "born"]);
});

test("a refusal for good is told in every tab, and any tab may try again (CLI-1, FAF-6)", async () => {
  const b = new Browser();
  b.say("a", "x");
  b.refuse = refusal(401, "unauthorized");
  for (let i = 0; i < 2; i++) b.tab().show("a");
  await b.pass(100);
  assert.deepEqual(b.tabs.map((t) => [t.state("a"), t.views.a.getState().connection.error.status]), [["gone", 401], ["gone", 401]]);
  b.refuse = null;
  b.tabs[1].views.a.reconnect();
  await b.pass(100);
  assert.deepEqual(b.tabs.map((t) => t.state("a")), ["live", "live"]);
  await b.check();
});

test("a cleared session is gone in every tab (SDC-6)", async () => {
  const b = await browser(["a", "b"], ["a"], ["a", "b"]);
  for (const s of b.streams) s.wire.send(frame({ name: "session_cleared", data: common("a", b.logs.get("a").length + 1, {}) }));
  await b.pass(100);
  assert.deepEqual([b.tabs[0].state("a"), b.tabs[1].state("a"), b.tabs[1].state("b")], ["gone", "gone", "live"]);
});

test("what nobody shows any more goes off the stream, and the last one ends it (CLI-1)", async () => {
  const b = await browser(["a", "b"], ["a", "b"], ["b"]);
  b.tabs[0]["leave a"]();
  await b.pass(8000);
  assert.deepEqual([...b.streams].map((s) => [...s.sessions]), [["b"]]);
  b.tabs[0]["leave b"]();
  b.tabs[1]["leave b"]();
  await b.pass(8000);
  assert.deepEqual([b.streams.size, b.channels.size, b.locks_.held.size, b.locks_.queue.length, b.timers.length], [0, 0, 0, 0, 0]);
});

test("what a tab showed that was killed goes off the stream too (CLI-1)", async () => {
  const b = await browser(["a", "b"], ["a"], ["b"]);
  b.tabs[1].kill();
  await b.pass(8000);
  assert.deepEqual([...b.streams].map((s) => [...s.sessions]), [["a"]]);
});

test("a stream that breaks goes on where each session was (CLI-1)", async () => {
  const b = await browser(["a", "b"], ["a", "b"]);
  for (let i = 0; i < 5; i++) b.say("a", i + " ");
  b.say("b", "x");
  await b.pass(10);
  for (const s of [...b.streams]) s.wire.cut(b.streams.delete(s));
  await b.pass(2000);
  assert.equal(b.requests.at(-1).init.headers["Last-Event-ID"], "a@1-6,b@1-2");
  await b.check();
});

test("word of changes comes over the one connection that all tabs share, to each that asked for it (CLI-1, CLI-2)", async () => {
  const b = await browser(["a"], ["a"], []);
  const told = () => b.tabs.map((t) => t.news?.changes ?? null);
  b.tabs[1].watch();
  await b.pass(100);
  assert.deepEqual([b.streams.size, told(), b.tabs[1].news.states.at(-1)], [1, [null, 1], "live"]);
  assert.match(b.requests.at(-1).url, /\/v1\/events\?sessions=a&changes=1$/);
  assert.equal(b.requests.at(-1).init.headers["Last-Event-ID"], "a@1-1", "the chat goes on where it was");
  b.change();
  b.say("a", "x");
  await b.pass(100);
  assert.deepEqual(told(), [null, 2]);
  await b.check();
  // a second one costs nothing
  const before = b.requests.length;
  b.tabs[0].watch();
  await b.pass(100);
  assert.deepEqual([b.requests.length, b.tabs[0].news.states.at(-1)], [before, "live"]);
  // with its leader gone the next one asks for it too
  b.tabs[0].kill();
  await b.pass(3000);
  b.change();
  await b.pass(100);
  assert.ok(told()[1] >= 4, "at least: again, and the change");
  assert.equal(b.tabs[1].news.states.at(-1), "live");
  b.tabs[1].unwatch();
  await b.pass(8000);
  assert.deepEqual([b.streams.size, b.channels.size, b.locks_.held.size, b.timers.length], [0, 0, 0, 0]);
});

test("a list alone has a stream, which a broken network ends for a while and a chat joins (CLI-1, CLI-2)", async () => {
  const b = await browser(["a"], []);
  b.tabs[0].watch();
  await b.pass(100);
  assert.match(b.requests[0].url, /\/v1\/events\?sessions=&changes=1$/);
  for (const s of [...b.streams]) s.wire.cut(b.streams.delete(s));
  await b.pass(500);
  assert.equal(b.tabs[0].news.states.at(-1), "retrying");
  await b.pass(2000);
  assert.deepEqual([b.tabs[0].news.states.at(-1), b.tabs[0].news.changes], ["live", 2]);
  b.tabs[0].show("a");
  await b.pass(100);
  b.say("a", "more");
  await b.pass(100);
  await b.check();
  b.tabs[0]["leave a"]();
  await b.pass(8000);
  assert.deepEqual([b.streams.size, [...b.streams][0].sessions.size], [1, 0]);
  b.tabs[0].client.close();
  await b.pass(8000);
  assert.equal(b.streams.size, 0);
});

test("where nothing is shared no connection is spent on changes, and it is said so (CLI-1, CLI-2)", async () => {
  const b = new Browser();
  b.tab({ share: false }).watch();
  b.tab({}, (tab) => (tab.environment.locks = { request: () => Promise.reject(new DOMException("no", "SecurityError")) })).watch();
  await b.pass(100);
  assert.deepEqual([b.requests.length, b.tabs.map((t) => t.news.states.at(-1)), b.errors], [0, ["closed", "closed"], []]);
});

test("clients with a token share only under a name, and not with others (CLI-1)", async () => {
  const b = new Browser();
  b.say("a", "x");
  for (const options of [{ token: "t" }, { token: "t", share: "ann" }, { token: "t", share: "ann" }, { token: "u", share: "bob" }, { share: false }]) b.tab(options).show("a");
  await b.pass(100);
  assert.equal(b.streams.size, 4);
  await b.check();
});

test("where the browser refuses locks or the channel, each tab has streams of its own (CLI-1, FAF-6)", async () => {
  const forbidden = () => new DOMException("storage is forbidden here", "SecurityError");
  const ways = {
    "locks later": (tab) => (tab.environment.locks = { request: () => Promise.reject(forbidden()) }),
    "locks at once": (tab) => (tab.environment.locks = { request() { throw forbidden(); } }),
    "the channel": (tab) => (tab.environment.BroadcastChannel = class { constructor() { throw forbidden(); } }),
  };
  for (const [way, forbid] of Object.entries(ways)) {
    const b = new Browser();
    for (const s of ["a", "b"]) b.say(s, s + ": ");
    for (let i = 0; i < 2; i++) b.tab({}, forbid).show("a", "b", "ghost");
    await b.pass(100);
    assert.equal(b.streams.size, 4, way);
    b.say("a", "more");
    for (const s of [...b.streams]) s.wire.cut(b.streams.delete(s));
    await b.pass(2000);
    assert.deepEqual(b.tabs.map((t) => [t.text("a"), t.text("b"), t.state("a"), t.state("ghost")]), Array(2).fill(["a: more", "b: ", "live", "gone"]), way);
    b.say("ghost", "born");
    b.tabs[0].views.ghost.reconnect();
    await b.pass(100);
    assert.equal(b.tabs[0].text("ghost"), "born", way);
    b.tabs.forEach((t) => t.client.close());
    await b.pass(8000);
    assert.deepEqual([b.streams.size, b.channels.size, b.errors], [0, 0, []], way);
  }
});

test("a frame that can't be read, or of no session, is told by the view that it was for, and a snapshot follows (FAF-6)", async () => {
  for (const data of ["{broken", '{"seq":9,"messages":7}']) {
    const b = await browser(["a"], ["a"]);
    for (const s of b.streams) s.wire.send("event: snapshot\ndata: " + data + "\n\n");
    await b.pass(2000);
    assert.deepEqual([b.errors.length, b.errors[0]?.code, b.requests.length], [1, "bad_event", 2]);
    b.say("a", "on");
    await b.pass(100);
    await b.check();
  }
});

test("state is the same as over a stream of its own (CLI-1)", async () => {
  const b = await browser(["a"], ["a"]);
  const own = reduce(initialState("a"), b.snapshot("a"));
  assert.deepEqual(b.tabs[0].views.a.getState().chat, own);
  await settle();
});
