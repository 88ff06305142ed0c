// One answer: reasoning, then text and tool calls in the order in which they came, what the turn waits for, and
// how it ended.
//
// A call says how many characters of the text stand before it (`at`); that cuts the text into parts, of
// which only the last one grows. What a version of the state has more than the one before is appended;
// if it is not the same text continued (a turn that was taken up again may have lost a piece), the answer is
// drawn from the beginning.
import { plainText } from "../chat-client/chat-client.js";
import { count, duration, el, keep, setText } from "./dom.js";
import { Markdown } from "./markdown.js";
import { promptElement } from "./prompts.js";
import { toolBox } from "./tools.js";

// Index into text of what has n more characters before it than the index `from`, of which `known` are.
function indexOf(text, n, from, known) {
  let i = from;
  for (let k = known; k < n && i < text.length; k++) i += text.codePointAt(i) > 0xffff ? 2 : 1;
  return i;
}

class Body {
  #box;
  #makePrompt;
  #content = null; // Text that is drawn
  #drawn = 0; // its length
  #part = null; // Markdown that grows
  #tools = new Map(); // id → {element, update, drop, item}
  #index = 0; // of the last call in the text, and how many characters that is
  #characters = 0;

  constructor(box, makePrompt) {
    this.#box = box;
    this.#makePrompt = makePrompt;
  }

  #reset() {
    this.drop();
    this.#box.replaceChildren();
    this.#tools.clear();
    this.#content = this.#part = null;
    this.#drawn = this.#index = this.#characters = 0;
  }

  drop() {
    for (const t of this.#tools.values()) t.drop();
    this.#part?.drop();
  }

  #append(piece) {
    if (!piece) return;
    if (!this.#part) {
      const box = el("div", { className: "text" });
      this.#box.append(box);
      this.#part = new Markdown(box);
    }
    this.#part.append(piece);
    this.#drawn += piece.length;
  }

  #place(tool, text) {
    const at = tool.at ?? this.#characters;
    this.#index = indexOf(text(), at, this.#index, this.#characters);
    this.#characters = Math.max(at, this.#characters);
    if (this.#index > this.#drawn) this.#append(text().slice(this.#drawn, this.#index));
    this.#part?.end();
    this.#part = null;
    const made = { ...toolBox(), prompts: el("div", { className: "prompts" }) };
    this.#tools.set(tool.id, made);
    this.#box.append(made.element, made.prompts);
  }

  update(a) {
    const isOther = this.#content && a.content !== this.#content && a.content.since(this.#content) === null;
    const ids = new Set(a.tools.map((t) => t.id));
    if (isOther || [...this.#tools.keys()].some((id) => !ids.has(id))) this.#reset();
    let piece = this.#content ? (a.content === this.#content ? "" : a.content.since(this.#content)) : null;
    const text = () => a.content.toString();
    for (const tool of a.tools) {
      if (!this.#tools.has(tool.id)) {
        this.#place(tool, text);
        piece = null; // some of it may be drawn
      }
    }
    this.#append(piece ?? text().slice(this.#drawn));
    this.#content = a.content;
    if (a.state !== "running") this.#part?.append("", true);
    for (const tool of a.tools) this.#drawTool(tool, a.prompts);
  }

  #drawTool(tool, prompts) {
    const made = this.#tools.get(tool.id);
    if (made.item !== tool) made.update(tool);
    made.item = tool;
    keep(made.prompts, prompts.filter((p) => p.tool_invocation_id === tool.id).map((p) => ({ ...p, key: p.id })), this.#makePrompt);
  }

  // Prompts of no call that is shown.
  static loose(a) {
    return a.prompts.filter((p) => !a.tools.some((t) => t.id === p.tool_invocation_id));
  }
}

// --- how it ended ---

const stops = {
  length: "It was cut: the answer reached its length limit.",
  max_tokens: "It was cut: the answer reached its length limit.",
  content_filter: "The provider's filter ended it.",
  refusal: "The model refused.",
};

function outcome(a, isWaiting) {
  if (a.state === "running") return (a.resumed ? "Taken up again after a restart. " : "") + (isWaiting ? "Waiting for your answer." : "Working …");
  if (a.state === "aborted") return "Stopped.";
  if (a.state === "error") return "It failed: " + (a.error?.message || "no reason was given") + " (" + (a.error?.code || "error") + ")";
  return a.refusal || stops[a.stop_reason] || "";
}

function figures(a) {
  const words = [];
  if (a.usage) {
    const cached = a.usage.cache_read_tokens > 0 ? " (" + count(a.usage.cache_read_tokens) + " cached)" : "";
    words.push(count(a.usage.input_tokens ?? 0) + " tokens in" + cached, count(a.usage.output_tokens ?? 0) + " out");
  }
  if (a.duration_ms >= 0 && a.duration_ms !== null) words.push(duration(a.duration_ms));
  return words.join(" · ");
}

// actions: resolve(prompt, answer), retry(answer), canRetry(answer)
export function answerElement(actions) {
  const thoughts = el("div", { className: "thoughts", tabIndex: 0, role: "region", "aria-label": "Reasoning" });
  const thoughtsText = document.createTextNode("");
  thoughts.append(thoughtsText);
  const summary = el("summary", {}, "Reasoning");
  const reasoning = el("details", { className: "reasoning", hidden: true }, summary, thoughts);
  const flow = el("div", { className: "flow" });
  const loose = el("div", { className: "prompts" });
  const said = el("p", { className: "outcome" });
  const numbers = el("span", { className: "faint" });
  const copy = el("button", { type: "button", className: "copy-all quiet small", hidden: true }, "Copy");
  const retry = el("button", { type: "button", className: "small", hidden: true }, "Try again");
  const foot = el("div", { className: "foot" }, said, retry, copy, numbers);
  const element = el("article", { className: "assistant", "aria-label": "Answer" }, reasoning, flow, loose, foot);
  const makePrompt = (p) => promptElement(p, actions.resolve);
  const body = new Body(flow, makePrompt);
  let thought = null;
  let latest = null;
  copy.addEventListener("click", () => actions.copy(copy, latest.content.toString()));
  retry.addEventListener("click", () => actions.retry(latest));

  return {
    element,
    drop: () => body.drop(),
    update(a) {
      latest = a;
      element.dataset.state = a.state;
      if (a.reasoning !== thought) {
        const piece = thought ? a.reasoning.since(thought) : null;
        if (piece === null) thoughtsText.data = a.reasoning.toString();
        else thoughtsText.appendData(piece);
        thought = a.reasoning;
        reasoning.hidden = !a.reasoning.length;
      }
      const isThinking = a.state === "running" && a.content.length === 0 && !a.tools.length;
      setText(summary, isThinking ? "Thinking …" : "Reasoning");
      body.update(a);
      keep(loose, Body.loose(a).map((p) => ({ ...p, key: p.id })), makePrompt);
      const busy = a.tools.some((t) => t.status === "running" || t.status === "pending");
      setText(said, outcome(a, a.prompts.length > 0 && !busy));
      said.hidden = !said.textContent;
      said.className = "outcome " + (a.state === "running" && a.prompts.length && !busy ? "waiting" : a.state);
      setText(numbers, figures(a));
      copy.hidden = a.state === "running" || !a.content.length;
      retry.hidden = !actions.canRetry(a);
    },
  };
}

export function userElement(e) {
  return { element: el("article", { className: "user", "aria-label": "You" }, plainText(e.content)) };
}

export function noteElement(e) {
  return { element: el("p", { className: "note " + e.level }, e.text + (e.code && e.level === "error" ? " (" + e.code + ")" : "")) };
}
