// Shortcuts. All have a modifier, so none is in the way of who dictates or types.
import { $, el } from "./dom.js";

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const mod = isMac ? "⌘" : "Ctrl";

// [shown, what it does, action, matches(event)]
const keys = [
  ["Enter", "Send; Shift+Enter begins a line"],
  [mod + "+K", "Search the chats", "search", (e) => (isMac ? e.metaKey : e.ctrlKey) && !e.altKey && e.code === "KeyK"],
  ["Alt+N", "New chat", "fresh", (e) => e.altKey && e.code === "KeyN"],
  ["Alt+↑, Alt+↓", "The chat above, below"],
  [null, null, "previous", (e) => e.altKey && e.code === "ArrowUp"],
  [null, null, "next", (e) => e.altKey && e.code === "ArrowDown"],
  ["Alt+P", "To what waits for you", "prompt", (e) => e.altKey && e.code === "KeyP"],
  ["Alt+S", "Stop the answer", "stop", (e) => e.altKey && e.code === "KeyS"],
  ["Escape", "To the message field; closes what is open", "escape", (e) => e.code === "Escape" && !e.isComposing],
];

export function shortcuts(actions) {
  $("keys").replaceChildren(...keys.filter(([shown]) => shown).flatMap(([shown, what]) =>
    [el("dt", {}, el("kbd", {}, shown)), el("dd", {}, what)]));
  $("help-open").addEventListener("click", () => $("help").showModal());
  document.addEventListener("keydown", (e) => {
    if (document.querySelector("dialog[open]") || !$("login").hidden) return;
    const found = keys.find(([, , , matches]) => matches?.(e));
    if (!found) return;
    e.preventDefault();
    actions[found[2]]();
  });
}
