// Reads one event stream, by fetch. Unlike an EventSource it tells why a stream was refused, and
// its heartbeats are seen here, so a connection that died without a word is noticed. It opens
// nothing again: that is the page's business, which knows where to go on.

const HEAD_MS = 30000; // no answer: the server tries for up to 20 s
const SILENCE_MS = 45000; // a comment comes every 15 s: three are missing

// Takes the text as it comes, in pieces; calls event(name, data) for each event.
export function parser(event) {
  let rest = "";
  let name = "";
  let data = [];
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length) event(name || "message", data.join("\n"));
        name = "";
        data = [];
      } else if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("data: ")) data.push(line.slice(6));
    }
  };
}

// What an answer says of its error: {code, message}, or {} if it says nothing.
export async function errorOf(response) {
  const body = await response.json().catch(() => null);
  return (body && body.error) || {};
}

// Calls on.open() once, on.event(name, data) for each, and at the end, unless it was closed from
// here: on.refused(status, error), or on.lost(why) with why "timeout", "unreachable" or "ended".
// Nothing is called after close().
export function follow(url, on, { headMs = HEAD_MS, silenceMs = SILENCE_MS } = {}) {
  const abort = new AbortController();
  let timer = 0;
  let closed = false;
  let silent = false;
  let opened = false;
  const expect = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      silent = true;
      abort.abort();
    }, ms);
  };
  const close = () => {
    closed = true;
    clearTimeout(timer);
    abort.abort();
  };
  const guarded = (name) => (...rest) => closed || on[name](...rest);

  async function read() {
    const r = await fetch(url, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal: abort.signal });
    if (!r.ok) return [r.status, await errorOf(r)];
    opened = true;
    expect(silenceMs);
    guarded("open")();
    const reader = r.body.getReader();
    const decoder = new TextDecoder();
    const take = parser(guarded("event"));
    for (;;) {
      const { done, value } = await reader.read();
      if (done || closed) return null;
      expect(silenceMs);
      take(decoder.decode(value, { stream: true }));
    }
  }

  expect(headMs);
  read().then(
    (refused) => (refused ? guarded("refused")(...refused) : guarded("lost")("ended")),
    () => guarded("lost")(silent ? "timeout" : opened ? "ended" : "unreachable"),
  ).finally(close);
  return close;
}
