// The operator's view: what /metrics says, read every 2 s and drawn over five minutes.
//
// Nothing is kept anywhere but in this tab: for longer times there is Prometheus. Which figures there are
// is the server's business: each plot takes what matches its patterns, a line that nothing matches is left
// out, and the table below has all.
import { $, count, el, keep, setText } from "./dom.js";
import { helpOf, nameOf, parse, quantile, rate, total, typeOf } from "./metrics.js";
import { Plot } from "./plot.js";
import { login, token } from "./token.js";

const EVERY_MS = 2000;
const SPAN_MS = 5 * 60 * 1000;
const LATE_MS = 10000; // no answer for so long is none

const base = new URL(".", location.href).pathname;

const number = (v) => (Number.isInteger(v) || v >= 1000 ? count(v) : v.toPrecision(2));
const perSecond = (v) => (v === 0 ? "0" : number(v)) + "/s";
const bytes = (v) => (v >= 1e6 ? (v / 1e6).toFixed(1) + " MB" : v >= 1e3 ? (v / 1e3).toFixed(1) + " kB" : Math.round(v) + " B") + "/s";
const milliseconds = (v) => (v >= 0.1 ? Math.round(v * 1000) : Number((v * 1000).toPrecision(2))) + " ms";

const gauge = (label, pattern) => ({ label, of: (from, to) => total(to, pattern) });
const growth = (label, pattern) => ({ label, of: (from, to) => rate(from, to, pattern) });
const timing = (label, name, q) => ({ label, of: (from, to) => quantile(from, to, name, q), names: new RegExp("^" + name + "_bucket$") });

const plots = [
  ["Turns", number, [gauge("running", /_turns_(active|running)$/), gauge("waiting", /_turns_waiting$/), gauge("queued", /_turns_queued$/)]],
  ["Turns begun and ended", perSecond, [growth("begun", /_turns_started_total$/), growth("done", /_turns_done_total$/),
    growth("stopped or failed", /_turns_(aborted|failed)_total$/)]],
  ["Workers", number, [gauge("there", /^chatd_workers$/), gauge("answering", /^chatd_workers_up$/), gauge("able to write", /^chatd_workers_writable$/)]],
  ["Viewers", number, [gauge("streams", /^streamerd_viewers$/), gauge("sessions", /^streamerd_feeds$/)]],
  ["Events", perSecond, [growth("stored", /^chatd_events_stored_total$/), growth("delivered", /^streamerd_deliveries_total$/)]],
  ["Bytes to viewers", bytes, [growth("written", /^streamerd_bytes_out_total$/)]],
  ["Time of a commit", milliseconds, [timing("median", "chatd_commit_seconds", 0.5), timing("99 %", "chatd_commit_seconds", 0.99)]],
  ["Tokens", perSecond, [growth("in", /_input_tokens_total$/), growth("out", /_output_tokens_total$/)]],
  ["Errors", perSecond, [growth("chatd", /^chatd_.*(fail|error|lost|crash).*_total$/), growth("streamerd", /^streamerd_.*(unanswered|losses|full).*_total$/)]],
  ["Requests", perSecond, [growth("all", /^streamerd_requests_total$/),
    { label: "5xx", of: (from, to) => rate(only(from, /5xx/), only(to, /5xx/), /^streamerd_requests_total$/), names: /^streamerd_requests_total$/ }]],
];

const only = (sample, labels) => ({ ...sample, values: new Map([...sample.values].filter(([key]) => labels.test(key))) });

let samples = []; // {at, values, types, helps}, oldest first
let drawn = null; // [[Plot, lines]], made when it is known which figures there are
let isPaused = false;
let timer = 0;

const form = login(() => look());

function say(text, isBad) {
  setText($("connection-text"), text);
  $("connection").dataset.state = isBad ? "retrying" : "live";
}

// Does this line have anything to show? Asked of what is there now: growth needs two samples.
const has = (line, sample) => (line.names ? total(sample, line.names) : line.of(sample, { ...sample, at: sample.at + 1 })) !== null;

function make(sample) {
  drawn = plots
    .map(([title, format, lines]) => [title, format, lines.filter((line) => has(line, sample))])
    .filter(([, , lines]) => lines.length)
    .map(([title, format, lines]) => [new Plot(title, lines, format), lines]);
  $("plots").replaceChildren(...drawn.map(([plot]) => plot.element));
}

function draw() {
  const to = samples.at(-1).at;
  const from = Math.min(samples[0].at, to - 60000); // not longer than there is something to see
  for (const [plot, lines] of drawn) {
    const series = lines.map((line) => samples.slice(1).map((s, i) => [s.at, line.of(samples[i], s)]));
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
  return { at: Date.now(), ...parse(await r.text()) };
}

async function look() {
  clearTimeout(timer);
  try {
    const sample = await read();
    const isOther = drawn && ![...sample.types.keys()].every((name) => samples.at(-1).types.has(name));
    samples = [...samples.filter((s) => s.at > sample.at - SPAN_MS), sample];
    if (!drawn || isOther) make(sample);
    draw();
    say("live", false);
  } catch (error) {
    say("not read: " + (error.name === "TimeoutError" ? "no answer in time" : error.message), true);
  }
  if (!isPaused) timer = setTimeout(look, EVERY_MS);
}

$("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  $("pause").setAttribute("aria-pressed", String(isPaused));
  clearTimeout(timer);
  if (!isPaused) look();
});
look();
