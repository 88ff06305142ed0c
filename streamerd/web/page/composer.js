// What a person writes, and what waits behind the running turn.
//
// The text stays where it is until the server has it, and is kept per chat in sessionStorage, so that a
// reload in the middle of a sentence loses nothing.
import { plainText } from "../chat-client/chat-client.js";
import { $, el, keep, setLine, setText } from "./dom.js";

const MAX_DRAFT = 200000;

const draftName = (id) => "draft:" + (id ?? "");

function readDraft(id) {
  try {
    return sessionStorage.getItem(draftName(id)) ?? "";
  } catch {
    return ""; // the browser forbids storage
  }
}

function writeDraft(id, text) {
  try {
    if (text && text.length < MAX_DRAFT) sessionStorage.setItem(draftName(id), text);
    else sessionStorage.removeItem(draftName(id));
  } catch {
    // then a reload loses it
  }
}

// As high as what is written: where the browser does not do that by itself (field-sizing).
const fit = (text) => (text.rows = Math.min(10, text.value.split("\n").length));

export class Composer {
  #actions;
  #id = null;
  #isSending = false;

  // actions: send(text, onBusy, onRetry) gives a promise; stop(); withdraw(turn); problem(text)
  constructor(actions) {
    this.#actions = actions;
    const text = $("text");
    $("form").addEventListener("submit", (e) => {
      e.preventDefault();
      this.submit();
    });
    text.addEventListener("keydown", (e) => {
      if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
      e.preventDefault();
      this.submit();
    });
    text.addEventListener("input", () => {
      writeDraft(this.#id, text.value);
      fit(text);
    });
    $("stop").addEventListener("click", () => this.#actions.stop());
  }

  // Another chat: with what was left half written there.
  show(id) {
    this.#id = id;
    $("text").value = readDraft(id);
    fit($("text"));
  }

  focus() {
    $("text").focus();
  }

  async submit() {
    const text = $("text");
    const content = text.value;
    if (!content.trim() || this.#isSending) return;
    const id = this.#id;
    this.#isSending = text.readOnly = $("send").disabled = true;
    this.#actions.problem("");
    try {
      await this.#actions.send(content, $("busy-box").hidden ? null : $("busy").value, ({ error }) =>
        setText($("sending"), "Not sent yet: " + error.message + " Trying again …"));
      writeDraft(id, "");
      if (text.value === content) text.value = readDraft(this.#id);
      fit(text);
      $("busy").value = "queue";
    } catch (error) {
      this.#actions.problem("The message was not sent: " + error.message);
    }
    setText($("sending"), "");
    this.#isSending = text.readOnly = $("send").disabled = false;
    text.focus();
  }

  draw(chat, isRunning) {
    $("stop").disabled = !isRunning;
    $("busy-box").hidden = !isRunning;
    setText($("send"), !isRunning ? "Send" : $("busy").value === "interrupt" ? "Interrupt" : "Queue");
    $("busy").onchange = () => this.draw(chat, isRunning);
    $("queue-box").hidden = !chat.queue.length;
    keep($("queue"), chat.queue.map((q) => ({ ...q, key: q.turn_id })), (q) => {
      const text = plainText(q.content);
      const problem = el("span", { className: "problem", role: "alert", hidden: true });
      const button = el("button", { type: "button", className: "small", "aria-label": "Withdraw: " + text.slice(0, 80) }, "Withdraw");
      button.addEventListener("click", async () => {
        button.disabled = true;
        try {
          await this.#actions.withdraw(q.turn_id);
        } catch (error) {
          setLine(problem, error.message);
        }
        button.disabled = false;
      });
      return { element: el("li", {}, el("span", { className: "badge" }, "queued"), el("span", { className: "queued-text" }, text), problem, button) };
    });
  }
}
