// Draws a state. Everything is put in as text, never as markup.
//
// Lists are drawn by key: an element stays as long as its item does and is touched only when the
// item is another object. So an opened tool stays open and a half-filled form stays filled while
// text streams in beside it.
import { initialState, plainText, runningAnswer } from "/chat-client.js";

export function el(tag, props, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name in e) e[name] = value;
    else e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}

const drawn = new WeakMap(); // element → {item, update}

// Makes the children of parent those of items. make(item) returns [element, update(item)].
function keep(parent, items, make) {
  const keyOf = (item) => item.key ?? item.id ?? item.turn_id;
  const wanted = new Set(items.map(keyOf));
  for (const e of [...parent.children]) if (!wanted.has(e.dataset.key)) e.remove();
  const have = new Map([...parent.children].map((e) => [e.dataset.key, e]));
  let at = parent.firstElementChild;
  for (const item of items) {
    let e = have.get(keyOf(item));
    if (!e) {
      const [made, update] = make(item);
      e = made;
      e.dataset.key = keyOf(item);
      drawn.set(e, { item: null, update });
    }
    const d = drawn.get(e);
    if (d.item !== item) d.update(item);
    d.item = item;
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
}

// Shows a text that grows: what is new is appended, so that a selection survives.
function grow(e, text, before) {
  const more = before && e.firstChild ? text.since(before) : null;
  if (more === null) e.textContent = text;
  else if (more) e.firstChild.appendData(more);
  e.hidden = !text.length;
}

function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
  e.hidden = !text;
}

function pretty(v) {
  const line = typeof v === "string" ? v : JSON.stringify(v);
  return line.length <= 60 || typeof v === "string" ? line : JSON.stringify(v, null, 2);
}

// --- tools ---

const labels = {
  pending: "starting", waiting: "waits for you", running: "running", done: "done", failed: "failed",
  denied: "not allowed", incomplete: "not finished", uncertain: "interrupted",
};

function tool() {
  const title = el("span", { className: "tool-name" });
  const status = el("span", { className: "status" });
  const what = el("div", { className: "tool-body" });
  const box = el("details", { className: "tool" }, el("summary", {}, title, " ", status), what);
  const part = (label, text, bad) =>
    text === undefined || text === null || text === ""
      ? []
      : [el("h4", {}, label), el("pre", { tabIndex: 0, className: bad ? "bad" : "" }, text)];
  return [box, (t) => {
    title.textContent = (t.server ? t.server + " · " : "") + t.name;
    status.textContent = labels[t.status] || t.status;
    if (t.status === "running" && t.progress >= 0) status.textContent += " " + Math.round(t.progress * 100) + " %";
    box.dataset.status = t.status;
    what.replaceChildren(
      ...part("Input", t.parse_error ? t.raw : t.input && pretty(t.input)),
      ...part("Why it was not run", t.parse_error, true),
      ...part("Progress", t.status === "running" ? t.message : ""),
      ...part(t.is_error ? "Error" : "Output", t.parse_error ? "" : t.output, t.is_error),
    );
  }];
}

// --- prompts ---

// A box with buttons that sends one answer; what went wrong is said in it.
function promptBox(p, title, body, buttons, actions) {
  const id = "t-" + p.id;
  const problem = el("p", { className: "problem", role: "alert", hidden: true });
  const row = el("div", { className: "buttons" }, ...buttons);
  const box = el("form", { className: "prompt", noValidate: true, role: "group", "aria-labelledby": id },
    el("h3", { id }, title), ...body, problem, row);
  const send = async (answer) => {
    for (const b of row.children) b.disabled = true;
    problem.hidden = true;
    try {
      await actions.resolve(p.id, answer);
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      for (const b of row.children) b.disabled = false;
    }
  };
  return { box, send };
}

function permission(p, actions) {
  const button = (text, answer, className) =>
    el("button", { type: "button", className, onclick: () => made.send(answer) }, text);
  const name = (p.server ? p.server + " · " : "") + p.tool_name;
  const body = [];
  if (p.message) body.push(el("p", {}, p.message));
  if (p.input && Object.keys(p.input).length) body.push(el("pre", { tabIndex: 0 }, pretty(p.input)));
  const made = promptBox(p, p.uncertain ? "Run " + name + " again?" : "Allow " + name + "?", body, [
    button(p.uncertain ? "Run again" : "Allow", { allow: true }, "main"),
    ...(p.uncertain ? [] : [button("Allow for this session", { allow: true, remember: "session" }, "")]),
    button("Deny", { allow: false }, ""),
  ], actions);
  return [made.box, () => {}];
}

// One question: [fieldset, () => its answer, or null if there is none yet].
function question(q, prefix) {
  const type = q.multiple ? "checkbox" : "radio";
  const name = prefix + q.id;
  const text = q.free_text
    ? el("textarea", { rows: 1, "aria-label": q.options.length ? "Your own answer" : q.question })
    : null;
  if (text) text.placeholder = "Your own answer";
  const inputs = q.options.map((o) => el("input", { type, name, value: o.label }));
  const rows = q.options.map((o, i) =>
    el("label", {}, inputs[i], el("span", {}, o.label, ...(o.description ? [el("small", {}, o.description)] : []))));
  if (text && !q.multiple) { // one answer: written or chosen
    text.addEventListener("input", () => { if (text.value.trim()) for (const i of inputs) i.checked = false; });
    for (const i of inputs) i.addEventListener("change", () => (text.value = ""));
  }
  const set = el("fieldset", {}, el("legend", {}, q.question), ...rows, ...(text ? [text] : []));
  return [set, () => {
    const chosen = inputs.filter((i) => i.checked).map((i) => i.value);
    const own = text ? text.value.trim() : "";
    if (own) chosen.push(own);
    return q.multiple ? [...new Set(chosen)] : chosen.length ? chosen[0] : null;
  }];
}

function questions(p, actions) {
  const parts = p.questions.map((q) => [q.id, ...question(q, p.id)]);
  const made = promptBox(p, p.questions.length > 1 ? "Questions for you" : "A question for you",
    parts.map(([, set]) => set), [el("button", { type: "submit", className: "main" }, "Answer")], actions);
  made.box.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing || e.target.tagName !== "TEXTAREA") return;
    e.preventDefault();
    made.box.requestSubmit();
  });
  made.box.addEventListener("submit", (e) => {
    e.preventDefault();
    const answers = {};
    for (const [id, set, read] of parts) {
      answers[id] = read();
      if (answers[id] === null) {
        set.querySelector("input, textarea").focus();
        return;
      }
    }
    made.send({ answers });
  });
  return [made.box, () => {}];
}

const prompt = (actions) => (p) => (p.kind === "ask_user" ? questions(p, actions) : permission(p, actions));

// --- entries ---

const stops = { length: "It was cut: the answer reached its length limit.", max_tokens: "It was cut: the answer reached its length limit.",
  content_filter: "The provider's filter ended it.", refusal: "The model refused." };

function footer(a) {
  if (a.state === "running") return [a.resumed ? "Taken up again after a restart. " : "", "running"];
  if (a.state === "aborted") return ["Stopped.", "stopped"];
  if (a.state === "error") return [(a.error?.message || "It failed") + " (" + (a.error?.code || "error") + ")", "error"];
  return [stops[a.stop_reason] || "", "stopped"];
}

const isWaiting = (a) => a.prompts.length && !a.tools.some((t) => t.status === "running" || t.status === "pending");

function answerBox(actions) {
  const thoughts = el("pre");
  const reasoning = el("details", { className: "reasoning" }, el("summary", {}, "Reasoning"), thoughts);
  const tools = el("div", { className: "tools" });
  const content = el("div", { className: "content" });
  const prompts = el("div", { className: "prompts" });
  const foot = el("p");
  const box = el("article", { className: "assistant", "aria-label": "Answer" }, reasoning, tools, content, prompts, foot);
  let before = null;
  return [box, (a) => {
    grow(thoughts, a.reasoning, before?.reasoning);
    reasoning.hidden = !a.reasoning.length;
    grow(content, a.content, before?.content);
    before = a;
    keep(tools, a.tools, tool);
    keep(prompts, a.prompts, prompt(actions));
    const [text, className] = footer(a);
    setText(foot, text + (a.state === "running" ? (isWaiting(a) ? "Waiting for your answer." : "Working …") : ""));
    foot.className = "foot " + className;
  }];
}

function entry(actions) {
  return (e) => {
    if (e.kind === "answer") return answerBox(actions);
    if (e.kind === "user") return [el("article", { className: "user", "aria-label": "You" }, plainText(e.content)), () => {}];
    return [el("p", { className: "note " + e.level }, e.text), () => {}];
  };
}

function queued(actions) {
  return (q) => {
    const text = plainText(q.content);
    const button = el("button", { type: "button", "aria-label": "Withdraw: " + text.slice(0, 80) }, "Withdraw");
    button.onclick = () => actions.withdraw(q.turn_id, button);
    return [el("li", {}, el("span", {}, text), button), () => {}];
  };
}

export function draw(places, shown, actions) {
  const state = shown ?? initialState();
  const { log, queue } = places;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const within = log.contains(document.activeElement) || queue.contains(document.activeElement);
  keep(log, state.entries, entry(actions));
  keep(queue, state.queue, queued(actions));
  queue.hidden = !state.queue.length;
  if (atEnd) log.scrollTop = log.scrollHeight;
  // what had the focus is gone, answered here or in another tab
  if (within && document.activeElement === document.body) places.input.focus();
  places.stop.disabled = !runningAnswer(state);
  places.send.textContent = runningAnswer(state) ? "Queue" : "Send";
  document.title = (state.status === "waiting" ? "(?) " : "") + "Chat";
}
