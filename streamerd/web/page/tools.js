// A tool call: its name, how it stands, how long it took; behind a fold what went in and what came out.
import { duration, el, setText } from "./dom.js";

const labels = {
  pending: "starting", waiting: "waits for you", running: "running", done: "done", failed: "failed",
  denied: "not allowed", incomplete: "not finished", uncertain: "interrupted",
};
const MAX_SHOWN = 200 * 1024; // of one output; the rest is there by a button

export function pretty(v) {
  if (typeof v === "string") return v;
  const line = JSON.stringify(v) ?? "";
  return line.length <= 60 ? line : JSON.stringify(v, null, 2);
}

// What a call is about, in one line: the first short text or number that went in.
function gist(input) {
  if (!input || typeof input !== "object") return "";
  const values = Object.values(input).filter((v) => ["string", "number", "boolean"].includes(typeof v));
  const text = values.map(String).join(", ").replace(/\s+/g, " ");
  return text.length > 80 ? text.slice(0, 79) + "…" : text;
}

function part() {
  const head = el("h4");
  const text = el("pre", { tabIndex: 0 });
  const more = el("button", { type: "button", className: "link", hidden: true });
  const box = el("div", { className: "tool-part", hidden: true }, head, text, more);
  let shown = null;
  return {
    box,
    set(label, value, isBad) {
      const all = value === undefined || value === null ? "" : String(value);
      box.hidden = all === "";
      setText(head, label);
      text.className = isBad ? "bad" : "";
      text.setAttribute("aria-label", label);
      if (all === shown) return;
      shown = all;
      setText(text, all.length > MAX_SHOWN ? all.slice(0, MAX_SHOWN) : all);
      more.hidden = all.length <= MAX_SHOWN;
      setText(more, "Show all " + all.length.toLocaleString("en") + " characters");
      more.onclick = () => {
        setText(text, all);
        more.hidden = true;
      };
    },
  };
}

const fraction = (t) => (t.progress >= 0 ? (t.total > 0 ? t.progress / t.total : t.progress) : null);

export function toolBox() {
  const title = el("span", { className: "tool-name" });
  const about = el("span", { className: "tool-gist faint" });
  const status = el("span", { className: "status" });
  const time = el("span", { className: "faint tool-time" });
  const bar = el("progress", { max: 1, hidden: true, "aria-label": "Progress of the tool" });
  const note = el("p", { className: "tool-note faint", hidden: true });
  const input = part();
  const why = part();
  const output = part();
  const box = el("details", {}, el("summary", {}, title, about, status, time), input.box, why.box, output.box);
  const element = el("div", { className: "tool" }, box, bar, note); // progress shows without unfolding
  let clock = 0;
  const tick = (t) => {
    const ms = t.duration_ms ?? (t.status === "running" && t.started_at ? Date.now() - Date.parse(t.started_at) : null);
    setText(time, ms === null || !(ms >= 0) ? "" : duration(ms));
  };
  return {
    element,
    drop: () => clearInterval(clock),
    update(t) {
      setText(title, (t.server ? t.server + " · " : "") + t.name);
      setText(about, gist(t.input));
      setText(status, labels[t.status] || t.status);
      element.dataset.status = t.status;
      const isRunning = t.status === "running";
      const done = isRunning ? fraction(t) : null;
      bar.hidden = done === null || done > 1;
      if (!bar.hidden) bar.value = done;
      setText(note, isRunning && t.message ? t.message : "");
      note.hidden = !note.textContent;
      input.set("Input", t.parse_error ? t.raw : t.input && Object.keys(t.input).length ? pretty(t.input) : "");
      why.set("Why it was not run", t.parse_error, true);
      output.set(t.is_error ? "Error" : "Output", t.parse_error ? "" : t.output, t.is_error);
      tick(t);
      clearInterval(clock);
      if (isRunning) clock = setInterval(() => tick(t), 1000);
    },
  };
}
