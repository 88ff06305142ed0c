// The chat page: sends messages, shows a session as its event stream tells it.
//
// The session's id is in the address (#ses_...), so a reload shows the same session. What is on
// the screen follows from the last snapshot and the events after it, each applied once, by seq.
// Everything is put in as text, never as markup.
"use strict";

const log = document.getElementById("log");
const form = document.getElementById("form");
const input = document.getElementById("text");
const send = document.getElementById("send");
const stop = document.getElementById("stop");
const connection = document.getElementById("connection");

let session = null; // id of the session that is shown
let source = null; // its EventSource
let lastSeq = 0;
let turn = null; // the turn that runs: {id, box, content, reasoning, thoughts}
let retry = 0; // timer that opens the stream again
let delay = 1000;

// --- drawing ---

function add(className, text, parent) {
  const e = document.createElement("div");
  e.className = className;
  if (text !== undefined) e.textContent = text;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  (parent || log).append(e);
  if (atEnd) log.scrollTop = log.scrollHeight;
  return e;
}

function follow(change) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  change();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function folded(title, text, parent) {
  const d = document.createElement("details");
  const s = document.createElement("summary");
  const p = document.createElement("pre");
  s.textContent = title;
  p.textContent = text;
  d.append(s, p);
  parent.append(d);
  return p;
}

function plain(content) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((p) => (p.type === "text" ? p.text : "[" + p.type + "]")).join("\n");
}

function showTools(tools, box) {
  for (const t of tools || []) {
    const what = typeof t.input === "string" ? t.input : JSON.stringify(t.input, null, 1);
    folded("Tool " + t.name + " (" + t.status + ")", what || "", box);
  }
}

function showMessage(m) {
  if (m.role === "user") {
    add("user", plain(m.content));
    return;
  }
  const box = add("assistant");
  if (m.reasoning) folded("Reasoning", m.reasoning, box);
  showTools(m.tool_invocations, box);
  add("content", plain(m.content), box);
  if (m.status === "aborted") add("note", "Stopped.", box);
}

function showError(error) {
  add("error", (error.message || "Something failed") + " (" + error.code + ")");
}

function beginTurn(id, content, reasoning, tools) {
  const box = add("assistant");
  turn = { id, box, reasoning: null, content: null };
  if (reasoning) reason(reasoning);
  showTools(tools, box);
  turn.content = add("content", content || "", box);
  stop.disabled = false;
}

function reason(text) {
  if (!turn.reasoning) {
    turn.reasoning = folded("Reasoning", "", turn.box);
    turn.box.prepend(turn.reasoning.parentElement);
  }
  turn.reasoning.textContent += text;
}

function endTurn(note) {
  if (turn && note) add("note", note, turn.box);
  turn = null;
  stop.disabled = true;
}

// --- events ---

const handlers = {
  snapshot(d) {
    log.replaceChildren();
    turn = null;
    for (const m of d.messages || []) showMessage(m);
    stop.disabled = true;
    if (d.state !== "idle") beginTurn(d.turn_id, d.content, d.reasoning, d.tool_invocations);
    else if (d.error) showError(d.error);
    log.scrollTop = log.scrollHeight;
  },
  response_start(d) {
    const m = d.message || {};
    if (m.content !== undefined) add("user", plain(m.content));
    beginTurn(d.turn_id, "", "", []);
  },
  response_chunk(d) {
    if (turn) follow(() => (turn.content.textContent += d.content));
  },
  reasoning_chunk(d) {
    if (turn) follow(() => reason(d.content));
  },
  tool_start(d) {
    if (turn) add("note", "Tool " + d.name, turn.box);
  },
  response_end() {
    endTurn("");
  },
  aborted() {
    endTurn("Stopped.");
  },
  error(d) {
    showError(d);
    if (d.fatal) endTurn("");
  },
  warning(d) {
    add("warning", (d.message || "Warning") + " (" + d.code + ")");
  },
  turn_resumed(d) {
    if (turn) turn.box.remove();
    beginTurn(d.turn_id, d.content, d.reasoning, d.tool_invocations);
  },
  session_cleared() {
    endTurn("");
    show(null);
  },
};

function onEvent(name, e) {
  const d = JSON.parse(e.data);
  if (name !== "snapshot" && d.seq <= lastSeq) return;
  lastSeq = d.seq;
  handlers[name](d);
}

function state(text, bad) {
  connection.textContent = text;
  connection.classList.toggle("bad", Boolean(bad));
}

function open() {
  if (source) source.close();
  clearTimeout(retry);
  if (!session) return;
  const mine = new EventSource("/v1/sessions/" + session + "/events" + (lastSeq ? "?last_event_id=" + open.last : ""));
  source = mine;
  state("connecting …");
  mine.onopen = () => {
    delay = 1000;
    state("connected");
  };
  // "error" is also the name of one of our events: those carry data
  mine.addEventListener("error", (e) => {
    if (e.data !== undefined) {
      open.last = e.lastEventId;
      onEvent("error", e);
    } else if (mine.readyState === EventSource.CLOSED) {
      whyClosed();
    } else {
      state("connection lost, trying again …", true);
    }
  });
  for (const name of Object.keys(handlers)) {
    if (name === "error") continue;
    mine.addEventListener(name, (e) => {
      open.last = e.lastEventId;
      onEvent(name, e);
    });
  }
}

// An EventSource does not say why it was refused: ask.
async function whyClosed() {
  try {
    const r = await fetch("/v1/sessions/" + session);
    if (r.status === 404) {
      log.replaceChildren();
      show(null);
      add("error", "This chat does not exist any more.");
      return;
    }
    state(r.status === 401 ? "a token is needed" : "not connected (" + r.status + ")", true);
    if (r.status === 401) return;
  } catch {
    state("the server can't be reached, trying again …", true);
  }
  retry = setTimeout(open, delay);
  delay = Math.min(delay * 2, 30000);
}

function show(id) {
  session = id;
  lastSeq = 0;
  turn = null;
  stop.disabled = true;
  if (source) source.close();
  source = null;
  clearTimeout(retry);
  if (location.hash.slice(1) !== (id || "")) location.hash = id || "";
  if (id) open();
  else state("not connected");
}

// --- what a person does ---

async function call(path, body) {
  const r = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await r.json().catch(() => ({}));
  if (!r.ok) throw answer.error || { code: String(r.status), message: "The server refused" };
  return answer;
}

form.addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = input.value;
  if (!text.trim()) return;
  send.disabled = true;
  try {
    const body = session ? { session_id: session, content: text } : { content: text };
    const answer = await call("/v1/messages", body);
    input.value = "";
    if (answer.session_id !== session) {
      log.replaceChildren();
      show(answer.session_id);
    }
  } catch (error) {
    showError(error.code ? error : { code: "network", message: "The message could not be sent" });
  }
  send.disabled = false;
  input.focus();
});

input.addEventListener("keydown", (e) => {
  if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
    e.preventDefault();
    form.requestSubmit();
  }
});

stop.addEventListener("click", async () => {
  if (!turn) return;
  try {
    await call("/v1/sessions/" + session + "/abort", { turn_id: turn.id });
  } catch (error) {
    if (error.code !== "not_processing") showError(error.code ? error : { code: "network", message: "Stop failed" });
  }
});

document.getElementById("fresh").addEventListener("click", () => {
  log.replaceChildren();
  show(null);
  input.focus();
});

function fromAddress() {
  const id = location.hash.slice(1);
  if (id === (session || "")) return;
  log.replaceChildren();
  show(/^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : null);
}

window.addEventListener("hashchange", fromAddress);
window.addEventListener("online", () => session && source && source.readyState === EventSource.CLOSED && open());
fromAddress();
