// What a turn waits for: a permission for a tool, or questions. Drawn where it came up; the buttons stay off
// while an answer is on its way, and the box goes when its event has come, whoever answered.
import { el, setLine } from "./dom.js";
import { pretty } from "./tools.js";

// A box with buttons that sends one answer; what went wrong is said in it.
function promptBox(p, title, body, buttons, resolve) {
  const id = "t-" + p.id;
  const problem = el("p", { className: "problem", role: "alert", hidden: true });
  const row = el("div", { className: "buttons" }, ...buttons);
  const box = el("form", { className: "prompt", noValidate: true, role: "group", "aria-labelledby": id, tabIndex: -1 },
    el("h3", { id }, title), ...body, problem, row);
  const send = async (answer) => {
    box.focus(); // a button that is off has no focus to keep
    for (const b of row.children) b.disabled = true;
    setLine(problem, "");
    try {
      await resolve(p.id, answer);
    } catch (error) {
      setLine(problem, "This was not sent: " + error.message);
      for (const b of row.children) b.disabled = false;
      row.firstElementChild.focus();
    }
  };
  return { box, send };
}

function permission(p, resolve) {
  const button = (text, answer, className) => el("button", { type: "button", className, onclick: () => made.send(answer) }, text);
  const name = (p.server ? p.server + " · " : "") + p.tool_name;
  const body = [];
  if (p.message) body.push(el("p", {}, p.message));
  if (p.uncertain) body.push(el("p", {}, "It was interrupted, and may have done its work already."));
  if (p.input && Object.keys(p.input).length) body.push(el("pre", { tabIndex: 0, "aria-label": "What it would get" }, pretty(p.input)));
  const made = promptBox(p, p.uncertain ? "Run " + name + " again?" : "Allow " + name + "?", body, [
    button(p.uncertain ? "Run again" : "Allow", { allow: true }, "main"),
    p.uncertain ? null : button("Allow for this session", { allow: true, remember: "session" }, ""),
    button(p.uncertain ? "Take it as failed" : "Deny", { allow: false }, ""),
  ].filter(Boolean), resolve);
  return made.box;
}

// One question: {id, element, read(): its answer, or null if there is none yet}.
function question(q, prefix) {
  const type = q.multiple ? "checkbox" : "radio";
  const options = q.options || [];
  const text = q.free_text || !options.length ? el("textarea", { rows: 1, "aria-label": options.length ? "Your own answer" : q.question }) : null;
  if (text) text.placeholder = "Your own answer";
  const inputs = options.map((o) => el("input", { type, name: prefix + q.id, value: o.label }));
  const rows = options.map((o, i) =>
    el("label", {}, inputs[i], el("span", {}, o.label, o.description ? el("small", {}, o.description) : null)));
  if (text && !q.multiple) { // one answer: written or chosen
    text.addEventListener("input", () => text.value.trim() && inputs.forEach((i) => (i.checked = false)));
    for (const i of inputs) i.addEventListener("change", () => (text.value = ""));
  }
  return {
    id: q.id,
    element: el("fieldset", {}, el("legend", {}, q.question), ...rows, text),
    read() {
      const chosen = inputs.filter((i) => i.checked).map((i) => i.value);
      const own = text ? text.value.trim() : "";
      if (own) chosen.push(own);
      return q.multiple ? [...new Set(chosen)] : chosen.length ? chosen[0] : null;
    },
  };
}

function questions(p, resolve) {
  const parts = p.questions.map((q) => question(q, p.id));
  const hint = el("p", { className: "problem", role: "alert", hidden: true }, "One answer is missing.");
  const made = promptBox(p, p.questions.length > 1 ? "Questions for you" : "A question for you",
    [...parts.map((q) => q.element), hint], [el("button", { type: "submit", className: "main" }, "Answer")], resolve);
  made.box.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing || !["TEXTAREA", "INPUT"].includes(e.target.tagName)) return;
    e.preventDefault();
    made.box.requestSubmit();
  });
  made.box.addEventListener("submit", (e) => {
    e.preventDefault();
    const missing = parts.find((q) => q.read() === null);
    hint.hidden = !missing;
    if (missing) missing.element.querySelector("input, textarea").focus();
    else made.send({ answers: Object.fromEntries(parts.map((q) => [q.id, q.read()])) });
  });
  return made.box;
}

export function promptElement(p, resolve) {
  return { element: p.kind === "ask_user" ? questions(p, resolve) : permission(p, resolve) };
}
