// The chat page: watches a session, and sends what a person does.
//
// The session's id is in the address (#ses_...), so a reload shows the same session. What is on
// the screen follows from the events alone (state.js); a click changes nothing here before its
// event has come back, so all tabs show the same.
import { eventNames, fresh, reduce, running } from "/state.js";
import { draw } from "/view.js";

const $ = (id) => document.getElementById(id);
const places = { log: $("log"), queue: $("queue"), input: $("text"), send: $("send"), stop: $("stop") };
const { input, send, stop } = places;

let session = null; // id of the session that is shown
let state = fresh();
let source = null; // its EventSource
let retry = 0; // timer that opens the stream again
let delay = 1000;
let outbox = null; // what is being sent: {key, text, session}; kept until it is known to have arrived

// --- showing ---

let isDue = false;

function render() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    draw(places, state, { resolve, withdraw });
  });
}

function connection(text, bad) {
  $("connection").textContent = text;
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

function onEvent(name, e) {
  const d = JSON.parse(e.data);
  const next = reduce(state, name, d);
  if (next === state) return;
  state = next;
  if (state.gone) {
    show(null);
    problem("This chat was deleted.");
  } else if (state.gap) {
    state = fresh();
    open();
  } else {
    announce(name, d);
  }
  render();
}

function open() {
  if (source) source.close();
  clearTimeout(retry);
  if (!session) return;
  const mine = new EventSource("/v1/sessions/" + session + "/events" + (state.cursor ? "?last_event_id=" + state.cursor : ""));
  source = mine;
  connection("connecting …");
  mine.onopen = () => {
    delay = 1000;
    connection("connected");
  };
  for (const name of eventNames) {
    mine.addEventListener(name, (e) => {
      if (e.data !== undefined) onEvent(name, e);
      else lost(mine); // "error" is also what the EventSource says of itself
    });
  }
}

// A stream that ends is never an end of the answer: that is an event of its own.
function lost(mine) {
  if (mine !== source) return;
  if (mine.readyState === EventSource.CLOSED) whyClosed();
  else connection("connection lost, trying again …", true);
}

// An EventSource does not say why it was refused: ask.
async function whyClosed() {
  const asked = session;
  try {
    const r = await fetch("/v1/sessions/" + session);
    if (asked !== session) return;
    if (r.status === 404) {
      show(null);
      problem("This chat does not exist any more.");
      return;
    }
    connection(r.status === 401 ? "a token is needed" : "not connected (" + r.status + "), trying again …", true);
    if (r.status === 401) return;
  } catch {
    connection("the server can't be reached, trying again …", true);
  }
  if (asked !== session) return;
  clearTimeout(retry);
  retry = setTimeout(open, delay * (0.5 + Math.random() / 2));
  delay = Math.min(delay * 2, 30000);
}

function show(id) {
  session = id;
  state = fresh();
  if (source) source.close();
  source = null;
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

async function call(path, body, headers) {
  let r;
  try {
    r = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20000),
    });
  } catch {
    throw new Refused(0, { code: "network", message: "The server can't be reached." });
  }
  const answer = await r.json().catch(() => ({}));
  if (!r.ok) throw new Refused(r.status, answer.error || {});
  return answer;
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

async function abort(turn) {
  try {
    await call("/v1/sessions/" + session + "/abort", { turn_id: turn });
  } catch (error) {
    if (error.code !== "not_processing" && error.code !== "turn_mismatch") problem("Stop failed: " + error.message);
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

function again() {
  if (session && source && source.readyState === EventSource.CLOSED) open();
}

window.addEventListener("hashchange", fromAddress);
window.addEventListener("online", again);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && again());
fromAddress();
