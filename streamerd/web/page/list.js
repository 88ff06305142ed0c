// The list of chats: titles, search, who runs, who waits, who failed.
//
// It is read page by page, and again when the server says that something changed, while somebody may be
// looking; every few seconds only where that is not to be had. What the open chat says of itself is newer
// than any list.
import { $, ago, el, keep, setLine, setText } from "./dom.js";

const LOOK_MS = 5000; // between two looks while nobody tells of changes, or after one that failed
const NEWS_MS = 250; // changes are gathered for so long
const AGE_MS = 30000; // "2 min ago" grows old by itself
const PAGE = 50;

const badges = { processing: "running", waiting: "waits for you", failed: "failed" };

function row(onOpen) {
  const title = el("span", { className: "list-title" });
  const badge = el("span", { className: "badge" });
  const when = el("span", { className: "faint list-when" });
  const link = el("a", {}, title, el("span", { className: "list-line" }, badge, when));
  link.addEventListener("click", (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault();
    onOpen(link.dataset.id);
  });
  return {
    element: el("li", {}, link),
    update(s) {
      link.href = "#/s/" + s.id;
      link.dataset.id = s.id;
      if (s.isOpen) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      setText(title, s.title || "Untitled");
      badge.hidden = !badges[s.mark];
      badge.className = "badge " + s.mark;
      setText(badge, badges[s.mark] || "");
      setText(when, ago(s.updated_at));
    },
  };
}

export class SessionList {
  #client;
  #actions;
  #sessions = new Map(); // by id, as the server said last
  #next = null; // cursor of the page behind what is known
  #pages = 1;
  #open = null; // what the open chat says of itself: {id, title, mark}
  #timer = 0;
  #news = 0;
  #isLive = false; // changes are told
  #unwatch = () => {};
  #isBusy = false;
  #again = false;
  #problem = "";

  // client(): the one there is now; actions: open(id), refused(error), drawn(how many others wait)
  constructor(client, actions) {
    this.#client = client;
    this.#actions = actions;
    $("search").addEventListener("input", () => this.#draw());
    $("search").addEventListener("keydown", (e) => this.#onKey(e));
    $("list").addEventListener("keydown", (e) => this.#onKey(e));
    $("list-more").addEventListener("click", () => {
      this.#pages++;
      this.look();
    });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.look());
    setInterval(() => document.visibilityState === "visible" && this.#draw(), AGE_MS);
  }

  // Of the client there is now. When its connection is there anew, nobody knows what changed meanwhile.
  follow() {
    this.#unwatch();
    this.#isLive = false;
    this.#unwatch = this.#client().watchSessions(({ connection, isChange }) => {
      const was = this.#isLive;
      this.#isLive = connection.state === "live";
      if ((isChange || this.#isLive !== was) && !this.#news) this.#news = setTimeout(() => this.#onNews(), NEWS_MS);
    });
    this.look();
  }

  #onNews() {
    this.#news = 0;
    if (document.visibilityState === "visible") this.look(); // else when it is
  }

  // Reads it again, now.
  async look() {
    if (this.#isBusy) {
      this.#again = true;
      return;
    }
    this.#isBusy = true;
    clearTimeout(this.#timer);
    const client = this.#client();
    try {
      await this.#read(client);
      this.#problem = "";
    } catch (error) {
      this.#problem = error.status === 401 ? "" : "The list can't be read: " + error.message;
      if (error.status === 401 && client === this.#client()) this.#actions.refused(error);
    }
    this.#isBusy = false;
    this.#draw();
    const again = this.#again;
    this.#again = false;
    if (again) this.look();
    else if (!this.#isLive || this.#problem) this.#timer = setTimeout(() => document.visibilityState === "visible" && this.look(), LOOK_MS);
  }

  async #read(client) {
    const found = new Map();
    let cursor;
    for (let i = 0; i < this.#pages; i++) {
      const page = await client.listSessions({ limit: PAGE, cursor }, { patience: 0 });
      for (const s of page.sessions) found.set(s.id, s);
      cursor = page.next ?? undefined;
      if (!cursor) break;
    }
    this.#sessions = found;
    this.#next = cursor ?? null;
  }

  clear() {
    clearTimeout(this.#timer);
    this.#sessions.clear();
    this.#draw();
  }

  setOpen(open) {
    const was = this.#open;
    if (was?.id === open?.id && was?.mark === open?.mark && was?.title === open?.title) return;
    this.#open = open;
    if (open && (was?.id !== open.id || was?.mark !== open.mark)) this.look();
    this.#draw();
  }

  drop(id) {
    this.#sessions.delete(id);
    this.#draw();
  }

  #all() {
    const open = this.#open;
    const all = [...this.#sessions.values()];
    if (open?.title && !this.#sessions.has(open.id)) all.unshift({ id: open.id, title: open.title, updated_at: null });
    return all.map((s) => {
      const isOpen = s.id === open?.id;
      const mark = isOpen ? open.mark : s.state === "idle" && s.last_turn === "error" ? "failed" : s.state;
      return { key: s.id, id: s.id, title: (isOpen && open.title) || s.title, updated_at: s.updated_at, mark, isOpen };
    });
  }

  #shown() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    return this.#all().filter((s) => words.every((w) => (s.title || "").toLowerCase().includes(w)));
  }

  #draw() {
    const shown = this.#shown();
    const isSearch = Boolean($("search").value.trim());
    keep($("list"), shown, () => row(this.#actions.open));
    setLine($("list-note"), this.#problem || (shown.length ? "" : isSearch ? "No chat has that in its title." : "No chats yet."));
    $("list-more").hidden = !this.#next;
    const waiting = this.#all().filter((s) => s.mark === "waiting" && !s.isOpen);
    $("waits").hidden = !waiting.length;
    setText($("waits"), waiting.length === 1 ? "1 other chat waits for you" : waiting.length + " other chats wait for you");
    $("waits").onclick = () => waiting.length && this.#actions.open(waiting[0].id);
    this.#actions.drawn(waiting.length);
  }

  // Up and down within the list, as in any list.
  #onKey(e) {
    const links = [...$("list").querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[e.key];
    if (to === undefined || (at < 0 && e.key === "ArrowUp")) return;
    e.preventDefault();
    if (to < 0) $("search").focus();
    else links[Math.min(to, links.length - 1)]?.focus();
  }

  // The id of the chat before or behind the open one.
  neighbour(step) {
    const ids = this.#shown().map((s) => s.id);
    const at = ids.indexOf(this.#open?.id);
    return ids[at < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, at + step))];
  }
}
