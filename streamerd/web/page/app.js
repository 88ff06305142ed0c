// The chat page: one view on one session at a time, and the list of all.
//
// The session is in the address (#/s/ses_...), so a reload, a bookmark and the back button show it. What
// is on the screen follows from the client's state alone: a click changes nothing here before its
// event has come back, so all tabs show the same. Each part of the page has a file of its own; this one
// joins them.
import { ChatClient, initialState, runningAnswer } from "../chat-client/chat-client.js";
import { Composer } from "./composer.js";
import { ConnectionBar } from "./connection.js";
import { $, setLine, setText } from "./dom.js";
import { shortcuts } from "./keys.js";
import { SessionList } from "./list.js";
import { following } from "./scroll.js";
import { forget, group, isKept, login, token } from "./token.js";
import { Transcript } from "./transcript.js";

const SNAPSHOT_MESSAGES = 50; // what a snapshot holds at most: with so many there may be older ones

const nothing = { chat: initialState(), connection: { state: "closed" } };

// all tabs of the same person share one connection: a browser allows six to a host
const connect = () => new ChatClient({ baseUrl: new URL(".", location.href).pathname.replace(/\/$/, ""), token, share: group() });
let client = connect();
let view = null;
let leave = () => {};
let drawn = nothing; // what is on the screen
let hasOlder = null; // are there messages before the first one? null: not asked
let othersWait = 0;

const problem = (text) => setLine($("problem"), text);
const announce = (text) => setText($("announce"), text);
const stateNow = () => view?.getState() ?? nothing;

// --- drawing ---

let frame = 0;
let fallback = 0;

// Once a frame; a page that nobody sees gets no frames, but its title says what waits.
function schedule() {
  if (!frame) frame = requestAnimationFrame(draw);
  if (!fallback) fallback = setTimeout(draw, 1000);
}

function draw() {
  cancelAnimationFrame(frame);
  clearTimeout(fallback);
  frame = fallback = 0;
  const now = stateNow();
  const had = document.activeElement;
  const had_focus = $("log").contains(had) || $("queue").contains(had);
  try {
    drawState(now);
  } catch (error) {
    console.warn(error);
    problem("This page could not be drawn (" + error.message + "). Please reload it.");
  }
  drawn = now;
  // what had the focus is gone: answered, here or in another tab
  if (had_focus && document.activeElement === document.body) composer.focus();
  scroll.settle();
}

function drawState({ chat, connection }) {
  const running = runningAnswer(chat);
  if (chat !== drawn.chat) {
    transcript.draw(chat);
    tell(drawn.chat, chat);
    drawHead(chat);
  }
  composer.draw(chat, Boolean(running));
  bar.draw(connection, Boolean(view));
  if (connection !== drawn.connection) onConnection(connection);
  setLine($("notice"), chat.notice && chat.status !== "cleared" ? chat.notice.message : "");
  $("empty").hidden = Boolean(view);
  $("entries").hidden = !view;
  $("log").setAttribute("aria-busy", String(Boolean(view) && chat.status === "empty"));
  const messages = chat.entries.filter((e) => e.kind !== "note").length;
  $("older").hidden = !view || hasOlder === false || (hasOlder === null && messages < SNAPSHOT_MESSAGES);
  list.setOpen(view && { id: view.id, title: chat.session?.title, mark: markOf(chat) });
}

function markOf(chat) {
  if (chat.status === "processing" || chat.status === "waiting") return chat.status;
  return chat.entries.findLast((e) => e.kind === "answer")?.state === "error" ? "failed" : "idle";
}

function drawHead(chat) {
  const s = chat.session;
  setText($("title"), (view && (s?.title || "Chat")) || "New chat");
  setText($("model"), s ? [s.provider, s.model].filter(Boolean).join(" · ") : "");
  $("remove").hidden = !view || !s;
  drawTitle();
}

function drawTitle() {
  const { chat } = stateNow();
  const waits = (chat.status === "waiting" ? 1 : 0) + othersWait;
  document.title = (waits ? "(" + waits + ") " : "") + (chat.status === "processing" ? "… " : "") + (chat.session?.title || "Chat");
}

// For who can't see it: what matters, not each piece of text.
function tell(before, now) {
  if (before.session_id !== now.session_id || before.status === "empty") return;
  const known = new Set(before.prompts.map((p) => p.id));
  const fresh = now.prompts.find((p) => !known.has(p.id));
  const was = runningAnswer(before);
  const ended = was && now.entries.find((e) => e.key === was.key && e.state !== "running");
  if (fresh) announce(fresh.kind === "ask_user" ? "A question for you: " + (fresh.questions[0]?.question ?? "") : "Permission is needed for " + fresh.tool_name + ".");
  else if (ended) {
    announce({ complete: "The answer is complete.", aborted: "The answer was stopped." }[ended.state] ?? "The answer failed: " + (ended.error?.message ?? ""));
    list.look();
  } else if (!was && runningAnswer(now)) announce("The answer begins.");
}

function onConnection(c) {
  if (c.state !== "gone") return;
  const status = c.error?.status;
  if (status === 401) {
    form.show();
  } else if (status === 404 || status === 410) {
    const wasEnded = c.error.details?.reason === "exclusive";
    if (wasEnded) {
      problem("This chat was ended: another one was begun, and only one may be active.");
      return;
    }
    list.drop(view.id);
    show(null);
    problem(status === 410 ? "This chat was deleted." : "This chat does not exist any more.");
  } else {
    problem("The server refused: " + (c.error?.message ?? "no reason was given") + " (" + status + ")");
  }
}

// --- moving ---

function show(id, { isNew = false } = {}) {
  if (view?.id === id && id) return;
  leave();
  leave = () => {};
  view = id ? client.view(id) : null;
  hasOlder = isNew ? false : null;
  problem("");
  announce("");
  scroll.restart();
  if (view) leave = view.subscribe(schedule);
  const address = id ? "#/s/" + id : "#/";
  if (location.hash !== address && (id || location.hash.length > 2)) history.pushState(null, "", address);
  composer.show(id);
  draw();
}

function open(id) {
  drawer(false);
  show(id);
  composer.focus();
}

function fromAddress() {
  const id = /^#(?:\/s\/)?([A-Za-z0-9_-]{1,64})$/.exec(location.hash)?.[1] ?? null;
  if (id !== (view?.id ?? null)) show(id);
}

// The list of chats on a narrow screen.
function drawer(isOpen) {
  const was = document.body.classList.contains("drawer");
  document.body.classList.toggle("drawer", isOpen);
  $("side-open").setAttribute("aria-expanded", String(isOpen));
  $("shade").hidden = !isOpen;
  if (isOpen) $("search").focus();
  else if (was && $("side").contains(document.activeElement)) $("side-open").focus();
}

// --- what a person does ---

async function send(content, onBusy, onRetry) {
  const from = view;
  const message = from ? { session_id: from.id, content, on_busy: onBusy ?? "queue" } : { content };
  try {
    const answer = await client.send(message, { onRetry });
    scroll.restart();
    if (!from && view === null) show(answer.session_id, { isNew: true });
    list.look();
  } catch (error) {
    if (error.status === 401) form.show();
    throw error;
  }
}

async function stop() {
  try {
    await view?.stop();
  } catch (error) {
    problem("Stop failed: " + error.message);
  }
}

// The message of an answer that failed or was stopped, or null.
const question = (answer) =>
  stateNow().chat.entries.find((e) => e.kind === "user" && e.turn_id === answer.turn_id)?.content ?? null;

async function retry(answer) {
  problem("");
  try {
    await send(question(answer), "queue");
  } catch (error) {
    problem("It was not tried again: " + error.message);
  }
}

function remove() {
  const { id } = view;
  setText($("confirm-text"), "“" + (stateNow().chat.session?.title || "Untitled") + "” and all that was said in it will be gone" +
    (runningAnswer(stateNow().chat) ? ", and its answer is stopped." : "."));
  $("confirm").returnValue = "no";
  $("confirm").onclose = async () => {
    if ($("confirm").returnValue !== "yes") return;
    try {
      await client.deleteSession(id);
    } catch (error) {
      if (error.status !== 404) {
        problem("It was not deleted: " + error.message);
        return;
      }
    }
    list.drop(id);
    if (view?.id === id) open(null);
  };
  $("confirm").showModal();
  $("confirm-no").focus();
}

async function older() {
  const log = $("log");
  const fromEnd = log.scrollHeight - log.scrollTop;
  $("older").disabled = true;
  try {
    hasOlder = await view.loadOlder();
    draw();
    log.scrollTop = log.scrollHeight - fromEnd;
  } catch (error) {
    problem("Earlier messages can't be read: " + error.message);
  }
  $("older").disabled = false;
}

// To what waits for the person: in this chat, else in another.
function toPrompt() {
  const first = $("entries").querySelector(".prompt");
  if (!first) {
    if (!$("waits").hidden) $("waits").click();
    return;
  }
  first.scrollIntoView({ block: "nearest" });
  (first.querySelector("input, textarea, button") ?? first).focus();
}

// With a token. Where the browser forbids storage a reload would forget it: only what was begun without it is begun anew.
function signedIn() {
  if (isKept()) {
    location.reload();
    return;
  }
  const id = view?.id ?? null;
  leave();
  leave = () => {};
  view = null;
  client.close();
  client = connect();
  $("sign-out").hidden = false;
  show(id);
  list.follow();
}

// --- joining ---

const scroll = following($("log"), $("latest"));
const form = login(signedIn);
const transcript = new Transcript($("entries"), {
  resolve: (prompt, answer) => view.resolve(prompt, answer),
  retry,
  question,
});
const composer = new Composer({ send, stop, problem, withdraw: (turn) => view.withdraw(turn) });
const bar = new ConnectionBar(() => view?.reconnect(), schedule);
const list = new SessionList(() => client, {
  open,
  refused: () => form.show(),
  drawn: (n) => {
    othersWait = n;
    drawTitle();
  },
});

$("fresh").addEventListener("click", () => open(null));
$("remove").addEventListener("click", remove);
$("older").addEventListener("click", older);
$("side-open").addEventListener("click", () => drawer(true));
$("side-close").addEventListener("click", () => drawer(false));
$("shade").addEventListener("click", () => drawer(false));
$("sign-out").addEventListener("click", () => {
  forget();
  location.reload();
});
shortcuts({
  search: () => {
    if (getComputedStyle($("side-open")).display !== "none") drawer(true);
    $("search").focus();
  },
  fresh: () => open(null),
  previous: () => open(list.neighbour(-1) ?? null),
  next: () => open(list.neighbour(1) ?? null),
  prompt: toPrompt,
  stop,
  escape: () => (document.body.classList.contains("drawer") ? drawer(false) : composer.focus()),
});

// What fails in a script is not kept from who sits here.
const failed = (error) => problem("Something failed in this page: " + ((error && error.message) || error));
window.addEventListener("error", (e) => failed(e.error || e.message));
window.addEventListener("unhandledrejection", (e) => failed(e.reason));
window.addEventListener("hashchange", fromAddress);
window.addEventListener("popstate", fromAddress);

$("sign-out").hidden = !token();
list.follow();
fromAddress();
draw();
composer.focus();
