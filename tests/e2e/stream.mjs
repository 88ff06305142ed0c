// The page's reader of a stream, without a browser. `run(test)` adds its tests to a runner.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const source = readFileSync(join(process.env.WEB_DIR, "stream.js"));
const { follow, parser } = await import("data:text/javascript;base64," + source.toString("base64"));

const frame = 'id: 1-2\nevent: response_chunk\ndata: {"content":"a: ü"}\n\n';
const notice = 'event: warning\ndata: {"seq":null}\n\n';

// follow() with a fetch that is ours; what it tells, in order, once it is over. `closeAt`: it is
// closed from inside that callback.
async function outcome(answer, { closeAt, headMs = 5000, silenceMs = 5000 } = {}) {
  const told = [];
  const real = globalThis.fetch;
  globalThis.fetch = (url, { signal }) =>
    new Promise((yes, no) => {
      signal.addEventListener("abort", () => no(signal.reason));
      Promise.resolve(answer(signal)).then((r) => r && yes(r), no);
    });
  try {
    await new Promise((over) => {
      const tell = (name) => (...rest) => {
        told.push([name, ...rest]);
        if (name === closeAt) setTimeout(over, 50, close());
        else if (name === "refused" || name === "lost") over();
      };
      const close = follow("/x", { open: tell("open"), event: tell("event"), refused: tell("refused"), lost: tell("lost") },
        { headMs, silenceMs });
    });
  } finally {
    globalThis.fetch = real;
  }
  return told;
}

// A body of these pieces; `then` is "end", "break" or "silence".
const body = (pieces, then) => (signal) => new Response(new ReadableStream({
  start(c) {
    for (const p of pieces) c.enqueue(p);
    if (then === "end") c.close();
    else if (then === "break") c.error(new TypeError("network error"));
    else signal.addEventListener("abort", () => c.error(signal.reason));
  },
}));
const bytes = (text) => [...Buffer.from(text)].map((b) => Uint8Array.of(b));

export function run(test) {
  test("events are the same however the bytes are cut (CLI-2)", async () => {
    const text = "retry: 1000\n\n" + frame + ":\n\n" + notice;
    for (const pieces of [[Buffer.from(text)], bytes(text)]) {
      assert.deepEqual(await outcome(body(pieces, "end")), [["open"], ["event", "response_chunk", '{"content":"a: ü"}'],
        ["event", "warning", '{"seq":null}'], ["lost", "ended"]]);
    }
  });

  test("half an event at the end of a stream is none (FAF-7)", () => {
    const events = [];
    parser((...e) => events.push(e))(frame + frame.slice(0, -1));
    assert.equal(events.length, 1);
  });

  test("a refused stream tells why, also one whose answer can't be read (FAF-6)", async () => {
    const error = { code: "too_many", message: "too many open viewers" };
    assert.deepEqual(await outcome(() => new Response(JSON.stringify({ error }), { status: 429 })), [["refused", 429, error]]);
    assert.deepEqual(await outcome(() => new Response("<html>", { status: 502 })), [["refused", 502, {}]]);
  });

  test("a server that can't be reached, one that is silent and one that goes away are told apart (FAF-6)", async () => {
    assert.deepEqual(await outcome(() => Promise.reject(new TypeError("refused"))), [["lost", "unreachable"]]);
    assert.deepEqual(await outcome(() => null, { headMs: 20 }), [["lost", "timeout"]]);
    assert.deepEqual(await outcome(body([Buffer.from(":\n\n")], "silence"), { silenceMs: 20 }), [["open"], ["lost", "timeout"]]);
    assert.deepEqual(await outcome(body([], "break")), [["open"], ["lost", "ended"]]);
  });

  test("nothing is told after it was closed (CLI-2)", async () => {
    assert.deepEqual(await outcome(body([Buffer.from(frame + frame)], "end"), { closeAt: "event" }),
      [["open"], ["event", "response_chunk", '{"content":"a: ü"}']]);
  });
}
