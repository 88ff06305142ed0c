// The operator's view: what /metrics says, read every 2 s and drawn over five minutes.
//
// Nothing is kept anywhere but in this tab: for longer times there is Prometheus. A line whose figures the
// server does not have is left out, as all of chatd's while no worker answers; the table below has all.
// The names are held to the list in .lore/specs/metrics.md by a test.
import { $, count, el, keep, setText } from "./dom.js";
import { helpOf, nameOf, parse, quantile, rate, total, typeOf } from "./metrics.js";
import { Plot } from "./plot.js";
import { login, token } from "./token.js";

const EVERY_MS = 2000;
const SPAN_MS = 5 * 60 * 1000;
const LATE_MS = 10000; // no answer for so long is none

const base = new URL(".", location.href).pathname;

// two digits, never as 1.6e+2
const number = (v) => (Number.isInteger(v) || v >= 10 ? count(Math.round(v)) : v.toPrecision(2));
const perSecond = (v) => (v === 0 ? "0" : number(v)) + "/s";
const bytes = (v) => (v >= 1e6 ? (v / 1e6).toFixed(1) + " MB" : v >= 1e3 ? (v / 1e3).toFixed(1) + " kB" : Math.round(v) + " B") + "/s";
const milliseconds = (v) => (v >= 0.1 ? Math.round(v * 1000) : Number((v * 1000).toPrecision(2))) + " ms";

const any = (...names) => new RegExp("^(" + names.join("|") + ")$");
const isThere = (sample, names) => [...sample.types.keys()].some((name) => names.test(name));

// A label that was never counted is 0, not unknown.
const counted = (value, sample, names) => value ?? (isThere(sample, names) ? 0 : null);
const gauge = (label, names) => ({ label, names, of: (from, to) => total(to, names) });
const growth = (label, names, labels) => ({ label, names, of: (from, to) => counted(rate(from, to, names, labels), to, names) });
const timing = (label, name, q) => ({ label, names: new RegExp("^" + name + "$"), of: (from, to) => quantile(from, to, name, q) });

const plots = [
  ["Turns", number, [gauge("running", /^chatd_turns_running$/), gauge("waiting", /^chatd_turns_waiting$/), gauge("queued", /^chatd_turns_queued$/)]],
  ["Turns begun and ended", perSecond, [growth("begun", /^chatd_turns_started_total$/), growth("done", /^chatd_turns_total$/, /outcome="done"/),
    growth("stopped or failed", /^chatd_turns_total$/, /outcome="(aborted|error)"/)]],
  ["Workers", number, [gauge("there", /^chatd_workers$/), gauge("answering", /^chatd_workers_up$/), gauge("able to write", /^chatd_workers_writable$/)]],
  ["Viewers", number, [gauge("streams", /^streamerd_viewers$/), gauge("sessions", /^streamerd_feeds$/)]],
  ["Events", perSecond, [growth("stored", /^chatd_events_stored_total$/), growth("delivered", /^streamerd_deliveries_total$/)]],
  ["Bytes to viewers", bytes, [growth("written", /^streamerd_bytes_out_total$/)]],
  ["Time of a commit", milliseconds, [timing("median", "chatd_commit_seconds", 0.5), timing("99 %", "chatd_commit_seconds", 0.99)]],
  ["Tokens", perSecond, [growth("in", /^chatd_tokens_total$/, /kind="input"/), growth("out", /^chatd_tokens_total$/, /kind="output"/)]],
  ["Errors", perSecond, [growth("turns", /^chatd_turn_errors_total$/), growth("providers", /^chatd_provider_requests_total$/, /outcome="(?!answered")/),
    growth("log and processes", any("chatd_log_failures_total", "chatd_log_read_failures_total", "chatd_worker_restarts_total",
      "streamerd_bus_losses_total", "streamerd_bus_unanswered_total", "streamerd_connections_full_total"))]],
  ["Requests", perSecond, [growth("all", /^streamerd_requests_total$/), growth("5xx", /^streamerd_requests_total$/, /5xx/)]],
];

let samples = []; // {at, values, types, helps, told: Map of line → what it showed}, oldest first
let drawn = null; // [[Plot, lines]], made when it is known which figures there are
let pausedAt = null;
let timer = 0;

const form = login(() => look());

function say(text, state) {
  setText($("connection-text"), text);
  $("connection").dataset.state = state;
}

// Of how things are now nothing is said while it is paused, also not by a read that was under way.
function sayHow(problem) {
  if (pausedAt) say("paused at " + pausedAt.toLocaleTimeString("en-GB"), "closed");
  else if (problem) say("not read: " + problem, "retrying");
  else say("live", "live");
}

function make(sample) {
  drawn = plots
    .map(([title, format, lines]) => [title, format, lines.filter((line) => isThere(sample, line.names))])
    .filter(([, , lines]) => lines.length)
    .map(([title, format, lines]) => [new Plot(title, lines, format), lines]);
  $("plots").replaceChildren(...drawn.map(([plot]) => plot.element));
}

function draw() {
  const to = samples.at(-1).at;
  const from = Math.min(samples[0].at, to - 60000); // not longer than there is something to see
  const told = (line, s, before) => {
    if (!s.told.has(line)) s.told.set(line, line.of(before, s));
    return s.told.get(line);
  };
  for (const [plot, lines] of drawn) {
    const series = lines.map((line) => samples.slice(1).map((s, i) => [s.at, told(line, s, samples[i])]));
    plot.draw(series, from, to);
  }
  drawAll();
}

function drawAll() {
  const [before, now] = [samples.at(-2) ?? samples.at(-1), samples.at(-1)];
  keep($("all-rows"), [...now.values].map(([key, value]) => ({ key, value })), ({ key }) => {
    const value = el("td");
    const growing = el("td");
    return {
      element: el("tr", {}, el("td", {}, key), value, growing, el("td", {}, helpOf(now, key))),
      update(item) {
        const last = before.values.get(key);
        const isCounter = typeOf(now, key) === "counter" || /_(bucket|sum|count)$/.test(nameOf(key));
        setText(value, item.value.toLocaleString("en"));
        setText(growing, isCounter && last !== undefined && now.at > before.at
          ? (Math.max(0, item.value - last) / ((now.at - before.at) / 1000)).toFixed(1) : "");
      },
    };
  });
}

async function read() {
  const value = token();
  const r = await fetch(base + "metrics", {
    headers: value ? { Authorization: "Bearer " + value } : {}, cache: "no-store", signal: AbortSignal.timeout(LATE_MS),
  });
  if (r.status === 401) {
    form.show();
    throw new Error("a token is needed");
  }
  if (!r.ok) throw new Error("the server answered " + r.status);
  return { at: Date.now(), told: new Map(), ...parse(await r.text()) };
}

async function look() {
  clearTimeout(timer);
  try {
    const sample = await read();
    const isOther = drawn && ![...sample.types.keys()].every((name) => samples.at(-1).types.has(name));
    samples = [...samples.filter((s) => s.at > sample.at - SPAN_MS), sample];
    if (!drawn || isOther) make(sample);
    draw();
    sayHow(null);
  } catch (error) {
    sayHow(error.name === "TimeoutError" ? "no answer in time" : error.message);
  }
  clearTimeout(timer); // of another look, begun while this one read
  if (!pausedAt) timer = setTimeout(look, EVERY_MS);
}

$("pause").addEventListener("click", () => {
  pausedAt = pausedAt ? null : new Date();
  $("pause").setAttribute("aria-pressed", String(Boolean(pausedAt)));
  clearTimeout(timer);
  if (pausedAt) sayHow(null);
  else look();
});
look();
