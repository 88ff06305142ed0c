// The chat page: watches a session, and sends what a person does.
//
// The session's id is in the address (#ses_...), so a reload shows the same session. What is on
// the screen follows from the events alone (state.js); a click changes nothing here before its
// event has come back, so all tabs show the same.
import { eventNames, fresh, reduce, running } from "/state.js";
import { errorOf, follow } from "/stream.js";
import { draw } from "/view.js";

const $ = (id) => document.getElementById(id);
const places = { log: $("log"), queue: $("queue"), input: $("text"), send: $("send"), stop: $("stop") };
const { input, send, stop } = places;

let session = null; // id of the session that is shown
let state = fresh();
let close = () => {}; // ends its stream
let retry = 0; // timer that opens the stream again
let delay = 1000; // before that
let outbox = null; // what is being sent: {key, text, session}; kept until it is known to have arrived

// --- showing ---

let isDue = false;

function render() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    try {
      draw(places, state, { resolve, withdraw });
    } catch (error) {
      console.warn(error);
      problem("This page could not be drawn (" + error.message + "). Please reload it.");
    }
  });
}

function connection(text, bad) {
  if ($("connection").textContent !== text) $("connection").textContent = text; // else it is read aloud again
  $("connection").classList.toggle("bad", Boolean(bad));
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

// For who can't see it: only what matters, not each piece of text.
function announce(name, d) {
  const texts = {
    prompt_pending: () => (d.prompt.kind === "ask_user" ? "A question for you." : "Permission is needed for " + d.prompt.tool_name + "."),
    response_end: () => "The answer is complete.",
    aborted: () => "Stopped.",
    error: () => d.message,
    warning: () => d.message,
  };
  if (texts[name]) $("announce").textContent = texts[name]();
}

// --- watching ---

const noToken = "This server wants a token, and this page can't send one: use the API, or a proxy that adds it.";

function onEvent(name, data) {
  if (!eventNames.includes(name)) return; // of a newer server
  const d = JSON.parse(data);
  const next = reduce(state, name, d);
  if (next === state) return;
  if (!next.gap) delay = 1000; // it works
  state = next;
  if (state.gone) {
    show(null);
    problem("This chat was deleted.");
  } else if (state.gap) {
    anew();
  } else {
    announce(name, d);
    if (state.away) connection(state.away, true);
    else connection("connected");
  }
  render();
}

// A defect of the page, or of what it was sent: said, and a snapshot may be better.
function tryEvent(name, data) {
  try {
    onEvent(name, data);
  } catch (error) {
    console.warn(error);
    problem("An event could not be shown (" + name + ": " + error.message + ").");
    state = { ...state, cursor: null };
    lost("an event could not be shown");
  }
}

function open() {
  close();
  close = () => {};
  clearTimeout(retry);
  retry = 0;
  if (!session) return;
  connection("connecting …");
  close = follow("/v1/sessions/" + session + "/events" + (state.cursor ? "?last_event_id=" + state.cursor : ""), {
    open: () => {
      state = { ...state, away: null }; // a stream is begun only where the worker is there
      connection("connected");
    },
    event: tryEvent,
    refused,
    lost: (why) => lost({ timeout: "nothing came in time", unreachable: "the server can't be reached" }[why] || "connection lost"),
  });
}

// From a snapshot: it replaces what is shown, which stays until then.
function anew() {
  state = { ...state, cursor: null, gap: false };
  open();
}

// A stream that ends is never an end of the answer: that is an event of its own.
function lost(why) {
  close();
  connection(why + ", trying again …", true);
  clearTimeout(retry);
  retry = setTimeout(open, delay * (0.5 + Math.random() / 2));
  delay = Math.min(delay * 2, 30000);
}

function refused(status, error) {
  if (status === 404) {
    show(null);
    problem("This chat does not exist any more.");
  } else if (status === 401) {
    connection("not connected: a token is needed", true);
    problem(noToken);
  } else {
    lost("not connected: " + (error.message || "the server refused") + " (" + status + ")");
  }
}

function show(id) {
  session = id;
  state = fresh();
  close();
  clearTimeout(retry);
  problem("");
  if (location.hash.slice(1) !== (id || "")) location.hash = id || "";
  if (id) open();
  else connection("not connected");
  render();
}

// --- what a person does ---

class Refused extends Error {
  constructor(status, error) {
    super(error.message || "The server refused");
    this.status = status;
    this.code = error.code;
  }
}

const unanswered = (error, arrived) =>
  new Refused(0, {
    code: "network",
    message: error.name === "TimeoutError" ? "The server did not answer in time."
      : arrived ? "The server's answer broke off." : "The server can't be reached.",
  });

// A success whose body did not arrive whole is none: what it says is not known.
async function call(path, body, headers) {
  let r;
  try {
    r = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20000),
    });
    if (r.ok) return r.status === 204 ? {} : await r.json();
  } catch (error) {
    throw unanswered(error, Boolean(r));
  }
  const error = await errorOf(r);
  throw new Refused(r.status, r.status === 401 ? { ...error, message: noToken } : error);
}

// Until it is known to have arrived, or to be refused. The key makes sure that it arrives once.
async function deliver(text) {
  if (!outbox || outbox.text !== text || outbox.session !== session) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    outbox = { text, session, key: Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("") };
  }
  const body = session ? { session_id: session, content: text, on_busy: "queue" } : { content: text };
  for (let wait = 1000; ; wait *= 2) {
    try {
      return await call("/v1/messages", body, { "Idempotency-Key": outbox.key });
    } catch (error) {
      const mayPass = error.status === 0 || error.status >= 500;
      if (!mayPass) outbox = null;
      if (!mayPass || wait > 8000) throw error;
      problem("Not sent yet: " + error.message + " Trying again …");
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

$("form").addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = input.value;
  const from = session;
  if (!text.trim() || send.disabled) return;
  send.disabled = input.readOnly = true;
  problem("");
  try {
    const answer = await deliver(text);
    outbox = null;
    input.value = "";
    problem("");
    if (session === from && answer.session_id !== session) show(answer.session_id);
  } catch (error) {
    problem("The message was not sent: " + error.message);
  }
  send.disabled = input.readOnly = false;
  input.focus();
});

input.addEventListener("keydown", (e) => {
  if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
    e.preventDefault();
    $("form").requestSubmit();
  }
});

// If the server says that it does not run and it is shown as if, something was missed.
async function abort(turn) {
  try {
    await call("/v1/sessions/" + session + "/abort", { turn_id: turn });
  } catch (error) {
    if (error.code !== "not_processing" && error.code !== "turn_mismatch") problem("Stop failed: " + error.message);
    else if (running(state)?.turn === turn || state.queue.some((q) => q.turn_id === turn)) anew();
  }
}

stop.addEventListener("click", () => running(state) && abort(running(state).turn));

async function withdraw(turn, button) {
  button.disabled = true;
  await abort(turn);
  button.disabled = false;
}

// Who comes second need not be told: the prompt goes away with the event of the first.
async function resolve(prompt, answer) {
  try {
    await call("/v1/sessions/" + session + "/prompts/" + prompt, answer);
  } catch (error) {
    if (error.code !== "already_resolved") throw error;
  }
}

$("fresh").addEventListener("click", () => {
  show(null);
  input.focus();
});

function fromAddress() {
  const id = location.hash.slice(1);
  if (id !== (session || "")) show(/^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : null);
}

// A connection that was open while the network changed or the machine slept may be dead on one
// side only: it costs little to begin another where this one got to.
let hiddenAt = 0;

function onVisibility() {
  if (document.visibilityState === "hidden") hiddenAt = Date.now();
  else if (retry || (hiddenAt && Date.now() - hiddenAt > 30000)) open();
}

// Whatever else fails in a script is not kept from who sits here.
const failed = (error) => problem("Something failed in this page: " + ((error && error.message) || error));

window.addEventListener("error", (e) => failed(e.error || e.message));
window.addEventListener("unhandledrejection", (e) => failed(e.reason));
window.addEventListener("hashchange", fromAddress);
window.addEventListener("online", open);
document.addEventListener("visibilitychange", onVisibility);
fromAddress();
