// The conversation: entries of the state, drawn by key, each only when it is another object than before.
import { answerElement, noteElement, userElement } from "./answer.js";
import { $, keep } from "./dom.js";

async function copy(button, text) {
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    said = "Not allowed";
  }
  const before = button.dataset.text ?? (button.dataset.text = button.textContent);
  button.textContent = said;
  setTimeout(() => (button.textContent = before), 1500);
  $("announce").textContent = said === "Copied" ? "Copied." : "The browser does not allow copying.";
}

export class Transcript {
  #make;
  #chat = null;

  // actions: resolve(prompt, answer), retry(answer)
  constructor(box, actions) {
    this.box = box;
    const own = {
      ...actions,
      copy,
      canRetry: (a) => (a.state === "error" || a.state === "aborted") && this.#isLast(a) && actions.question(a) !== null,
    };
    this.#make = (e) => (e.kind === "answer" ? answerElement(own) : e.kind === "user" ? userElement(e) : noteElement(e));
    box.addEventListener("click", (e) => {
      const button = e.target.closest("button.copy");
      if (button) copy(button, button.closest(".code").querySelector("pre").textContent);
    });
  }

  #isLast(answer) {
    const { entries } = this.#chat;
    return entries.findLast((e) => e.kind !== "note")?.key === answer.key;
  }

  draw(chat) {
    const wasLast = this.#chat?.entries.findLast((e) => e.kind !== "note");
    this.#chat = chat;
    const isLast = chat.entries.findLast((e) => e.kind !== "note");
    // an answer that is no longer the last one can't be tried again: it is drawn as another object
    const entries = wasLast && isLast && wasLast.key !== isLast.key && wasLast.kind === "answer"
      ? chat.entries.map((e) => (e.key === wasLast.key ? { ...e } : e)) : chat.entries;
    keep(this.box, entries, this.#make);
  }
}
