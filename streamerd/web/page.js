// The chat page: watches a session, and sends what a person does.
//
// The session's id is in the address (#ses_...), so a reload shows the same session. What is on
// the screen follows from the events alone (chat-client.js); a click changes nothing here before its
// event has come back, so all tabs show the same.
import { ChatClient, runningAnswer } from "/chat-client.js";
import { draw } from "/view.js";

const $ = (id) => document.getElementById(id);
const places = { log: $("log"), queue: $("queue"), input: $("text"), send: $("send"), stop: $("stop") };
const { input, send, stop } = places;

const client = new ChatClient({ environment: { reportError: (error) => problem(error.message) } });
let view = null; // of the session that is shown
let leave = () => {};
let shown = null; // its state
let outbox = null; // what could not be sent: {text, session, key}

// --- showing ---

let isDue = false;

function render() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    try {
      draw(places, shown?.chat ?? null, { resolve, withdraw });
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
function announce(before, after) {
  const last = after.entries.at(-1);
  const old = before?.entries.find((e) => e.key === last?.key);
  const prompt = after.prompts.at(-1);
  let text = null;
  if (prompt && !before?.prompts.includes(prompt)) text = prompt.kind === "ask_user" ? "A question for you." : "Permission is needed for " + prompt.tool_name + ".";
  else if (last?.kind === "note" && !old) text = last.text;
  else if (old?.state === "running" && last.state !== "running") {
    text = { complete: "The answer is complete.", aborted: "Stopped.", error: last.error?.message }[last.state];
  }
  if (text) $("announce").textContent = text;
}

// --- watching ---

const noToken = "This server wants a token, and this page can't send one: use the API, or a proxy that adds it.";

function tellConnection({ state, error }, chat) {
  const why = error && (error.status ? "not connected: " + error.message.replace(/\.$/, "") + " (" + error.status + ")" : error.message.replace(/\.$/, ""));
  if (state === "live" && chat.notice) connection(chat.notice.message, true);
  else if (state === "live") connection("connected");
  else if (state === "retrying" || state === "offline") connection(why + ", trying again …", true);
  else if (state === "gone" && error.status === 401) connection("not connected: a token is needed", true);
  else if (state === "connecting") connection("connecting …");
}

function onState(next) {
  const before = shown;
  shown = next;
  const { chat, connection: now } = next;
  if (now.state === "gone") {
    if (now.error.status === 401) problem(noToken);
    else {
      show(null);
      problem(now.error.status === 404 ? "This chat does not exist any more."
        : now.error.code === "session_cleared" ? "This chat was deleted." : now.error.message);
      return;
    }
  }
  if (before && chat !== before.chat) announce(before.chat, chat);
  tellConnection(now, chat);
  render();
}

function show(id) {
  leave();
  leave = () => {};
  view = shown = null;
  problem("");
  if (location.hash.slice(1) !== (id || "")) location.hash = id || "";
  if (id) {
    view = client.view(id);
    shown = view.getState();
    leave = view.subscribe(onState);
  } else connection("not connected");
  render();
}

// --- what a person does ---

const failure = (error) => (error.status === 401 ? noToken : error.message);

// Until it is known to have arrived, or to be refused. The key makes sure that it arrives once.
async function deliver(text) {
  const session = view?.id;
  const message = session ? { session_id: session, content: text, on_busy: "queue" } : { content: text };
  const idempotencyKey = outbox?.text === text && outbox.session === session ? outbox.key : undefined;
  outbox = null;
  try {
    return await client.send(message, { idempotencyKey, onRetry: ({ error }) => problem("Not sent yet: " + error.message + " Trying again …") });
  } catch (error) {
    if (error.mayPass) outbox = { text, session, key: error.idempotencyKey };
    throw error;
  }
}

$("form").addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = input.value;
  const from = view;
  if (!text.trim() || send.disabled) return;
  send.disabled = input.readOnly = true;
  problem("");
  try {
    const answer = await deliver(text);
    input.value = "";
    problem("");
    if (view === from && answer.session_id !== view?.id) show(answer.session_id);
  } catch (error) {
    problem("The message was not sent: " + failure(error));
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

const abort = (turn) => view.stop(turn).catch((error) => problem("Stop failed: " + failure(error)));

stop.addEventListener("click", () => shown && runningAnswer(shown.chat) && abort(runningAnswer(shown.chat).turn_id));

async function withdraw(turn, button) {
  button.disabled = true;
  await abort(turn);
  button.disabled = false;
}

const resolve = (prompt, answer) => view.resolve(prompt, answer);

$("fresh").addEventListener("click", () => {
  show(null);
  input.focus();
});

function fromAddress() {
  const id = location.hash.slice(1);
  if (id !== (view?.id || "")) show(/^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : null);
}

// Whatever else fails in a script is not kept from who sits here.
const failed = (error) => problem("Something failed in this page: " + ((error && error.message) || error));

window.addEventListener("error", (e) => failed(e.error || e.message));
window.addEventListener("unhandledrejection", (e) => failed(e.reason));
window.addEventListener("hashchange", fromAddress);
fromAddress();
