// What the suites share: a clock that stands until it is moved, a server that is a function.
import { webcrypto } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// what browsers and node 20 have, and the client needs: so its suites run on Debian 12's node, too
export const hasCrypto = Boolean(globalThis.crypto);
globalThis.crypto ??= webcrypto;
AbortSignal.any ??= (signals) => {
  const any = new AbortController();
  for (const s of signals) {
    if (s.aborted) any.abort(s.reason);
    else s.addEventListener("abort", () => any.abort(s.reason), { once: true });
  }
  return any.signal;
};

export const here = dirname(fileURLToPath(import.meta.url));
export const golden = join(here, "..", "golden", "events");

// Each recording: {name, events, snapshots: Map of seq → event}.
export const recordings = () =>
  readdirSync(golden).sort().map((file) => {
    const lines = readFileSync(join(golden, file), "utf8").trim().split("\n").map((l) => JSON.parse(l));
    return {
      name: file,
      events: lines.filter((e) => e.name !== "snapshot"),
      snapshots: new Map(lines.filter((e) => e.name === "snapshot").map((e) => [e.data.seq, e])),
    };
  });

// Everything that was queued up to now, and what it queued.
export async function settle(rounds = 30) {
  for (let i = 0; i < rounds; i++) await new Promise((done) => setImmediate(done));
}

// An environment whose time is moved by hand.
export class World {
  time = 1_000_000;
  timers = [];
  requests = []; // {url, init, head: {…}, body}
  online = true;
  visible = true;
  chance = 0;
  window = new EventTarget();
  document = new EventTarget();
  errors = [];

  constructor(answer) {
    this.answer = answer; // (request, number) → Response, or a promise
  }

  environment(more = {}) {
    return {
      now: () => this.time,
      random: () => this.chance,
      setTimeout: (fn, ms) => {
        const timer = { fn, at: this.time + ms };
        this.timers.push(timer);
        return timer;
      },
      clearTimeout: (timer) => (this.timers = this.timers.filter((t) => t !== timer)),
      isOnline: () => this.online,
      isVisible: () => this.visible,
      window: this.window,
      document: this.document,
      locks: undefined,
      BroadcastChannel: undefined,
      reportError: (e) => this.errors.push(e),
      fetch: (url, init) => this.fetch(url, init),
      ...more,
    };
  }

  fetch(url, init) {
    const request = { url, init, at: this.time, body: init.body && JSON.parse(init.body) };
    this.requests.push(request);
    return new Promise((yes, no) => {
      const stop = () => no(init.signal.reason ?? new DOMException("aborted", "AbortError"));
      if (init.signal?.aborted) return stop();
      init.signal?.addEventListener("abort", stop);
      Promise.resolve(this.answer(request, this.requests.length)).then((r) => r && yes(r), no);
    });
  }

  // Lets ms pass, with all that comes due on the way.
  async pass(ms) {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const next = this.timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.time = Math.max(this.time, next.at);
      this.timers = this.timers.filter((t) => t !== next);
      next.fn();
    }
    this.time = end;
    await settle();
  }
}

export const json = (status, body, headers = {}) => new Response(body === null ? null : JSON.stringify(body), { status, headers });
export const refusal = (status, code, headers) => json(status, { error: { code, message: "said by the test" } }, headers);

// A response whose stream is written by hand: {response, send(text), end(), cut()}.
export function wire(signal, headers = { "Content-Type": "text/event-stream" }) {
  let control;
  const body = new ReadableStream({ start: (c) => (control = c) });
  const close = (fn) => {
    try {
      fn();
    } catch {
      // the other side was first
    }
  };
  signal?.addEventListener("abort", () => close(() => control.error(signal.reason)));
  return {
    response: new Response(body, { status: 200, headers }),
    send: (text) => close(() => control.enqueue(typeof text === "string" ? new TextEncoder().encode(text) : text)),
    end: () => close(() => control.close()),
    cut: () => close(() => control.error(new TypeError("cut"))),
  };
}

export const frame = ({ name, data }) =>
  (data.seq === null ? "" : "id: " + data.generation + "-" + data.seq + "\n") + "event: " + name + "\ndata: " + JSON.stringify(data) + "\n\n";

// Web Locks, as far as they are used: exclusive, first come first served, signal, steal; a tab that ends gives up what it holds or asks for.
export class Locks {
  held = new Map(); // name → {tab, reject}
  queue = [];

  of(tab) {
    return { request: (name, options, fn) => new Promise((resolve, reject) => {
      const request = { tab, name, fn, resolve, reject };
      if (options.steal) {
        this.held.get(name)?.reject(new DOMException("stolen", "AbortError"));
        this.held.delete(name);
        this.queue.unshift(request);
      } else this.queue.push(request);
      options.signal?.addEventListener("abort", () => {
        if (!this.queue.includes(request)) return;
        this.queue = this.queue.filter((r) => r !== request);
        reject(new DOMException("aborted", "AbortError"));
      });
      queueMicrotask(() => this.grant());
    }) };
  }

  grant() {
    for (const request of [...this.queue]) {
      if (this.held.has(request.name)) continue;
      this.queue = this.queue.filter((r) => r !== request);
      this.held.set(request.name, request);
      const free = () => {
        if (this.held.get(request.name) !== request) return;
        this.held.delete(request.name);
        queueMicrotask(() => this.grant());
      };
      Promise.resolve(request.fn()).then((v) => (free(), request.resolve(v)));
    }
  }

  kill(tab) {
    this.queue = this.queue.filter((r) => r.tab !== tab);
    for (const [name, request] of this.held) if (request.tab === tab) this.held.delete(name);
    queueMicrotask(() => this.grant());
  }
}
