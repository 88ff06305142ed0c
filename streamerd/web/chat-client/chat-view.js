// A window on one session: its state, its connection, who wants to know, and the calls that concern
// it. It drives nothing: without subscribers it has no stream, and the turn goes on all the same.
import { initialState, prepend, reduce, runningAnswer } from "./chat-state.js";
import { ChatError, connection } from "./chat-stream.js";

const LINGER_MS = 1000; // a stream without subscribers is kept for those who come back at once

export class ChatView {
  #client;
  #env;
  #listeners = new Set();
  #line = null; // to where frames come from
  #linger = null;
  #state;

  constructor(client, env, id) {
    this.#client = client;
    this.#env = env;
    this.id = id;
    this.#state = Object.freeze({ chat: initialState(id), connection: connection("closed") });
  }

  getState = () => this.#state;

  // The first subscriber opens the stream, the last one closes it.
  subscribe = (listener) => {
    const entry = { listener };
    this.#listeners.add(entry);
    this.#env.clearTimeout(this.#linger);
    if (!this.#line) this.#attach();
    return () => {
      if (!this.#listeners.delete(entry) || this.#listeners.size) return;
      this.#env.clearTimeout(this.#linger);
      this.#linger = this.#env.setTimeout(() => this.close(), LINGER_MS);
    };
  };

  close() {
    this.#env.clearTimeout(this.#linger);
    this.#line?.detach();
    this.#line = null;
    this.#set({ connection: connection("closed") });
    this.#client.forget(this);
  }

  #attach() {
    this.#line = this.#client.lines.attach({
      id: this.id,
      cursor: () => (this.#state.chat.stale ? null : this.#state.chat.cursor),
      frames: (list) => this.#take(list),
      change: (c) => this.#onConnection(c),
    });
    this.#client.remember(this);
  }

  #set(more) {
    const { chat, connection } = { ...this.#state, ...more };
    if (chat === this.#state.chat && connection === this.#state.connection) return;
    this.#state = Object.freeze({ chat, connection });
    for (const { listener } of [...this.#listeners]) {
      try {
        listener(this.#state);
      } catch (error) {
        this.#env.reportError(error);
      }
    }
  }

  // What one read brought, told in one go. False: something is missing, which a snapshot mends.
  #take(frames) {
    let { chat, connection: now } = this.#state;
    for (const { name, data } of frames) {
      try {
        chat = reduce(chat, { name, data: JSON.parse(data) });
      } catch (error) {
        chat = { ...chat, stale: "defect" };
        this.#env.reportError(new ChatError(0, "bad_event", "An event could not be shown (" + name + ": " + error.message + ")"));
      }
    }
    if (chat.status === "cleared" && now.state !== "gone") {
      this.#line?.detach();
      this.#line = null;
      now = connection("gone", { error: new ChatError(410, "session_cleared", "This chat was cleared.", { reason: chat.notice?.message }) });
    }
    this.#set({ chat, connection: now });
    return !chat.stale;
  }

  #onConnection(next) {
    if (this.#state.connection.state === "gone" && next.state === "closed") return;
    this.#set({ connection: next });
  }

  // From a snapshot: it replaces what is shown, which stays until then.
  refresh() {
    this.#set({ chat: { ...this.#state.chat, stale: "asked" } });
    this.reconnect();
  }

  // Now, whatever the back-off says; also after it was refused or cleared.
  reconnect() {
    if (!this.#listeners.size) return;
    if (this.#line && this.#state.connection.state !== "gone") {
      this.#line.again();
      return;
    }
    this.#line?.detach();
    if (this.#state.chat.status === "cleared") this.#set({ chat: { ...this.#state.chat, stale: "asked" } });
    this.#attach();
  }

  wake(isNewNetwork) {
    this.#line?.wake(isNewNetwork);
  }

  // --- calls for this session ---

  send(message, options) {
    const more = typeof message === "string" || Array.isArray(message) ? { content: message } : message;
    return this.#client.send({ ...more, session_id: this.id }, options);
  }

  // Stops the running turn, or does nothing. If the server says that it does not run and it is shown as
  // if, something was missed.
  async stop(turn = runningAnswer(this.#state.chat)?.turn_id) {
    if (!turn) return null;
    try {
      return await this.#client.abort(this.id, turn);
    } catch (error) {
      if (error.code !== "not_processing" && error.code !== "turn_mismatch") throw error;
      const { chat } = this.#state;
      if (runningAnswer(chat)?.turn_id === turn || chat.queue.some((q) => q.turn_id === turn)) this.refresh();
      return null;
    }
  }

  withdraw(turn) {
    return this.stop(turn);
  }

  // Who comes second need not be told: the prompt goes away with the event of the first.
  async resolve(prompt, answer) {
    try {
      return await this.#client.resolve(this.id, prompt, answer);
    } catch (error) {
      if (error.code === "already_resolved") return null;
      throw error;
    }
  }

  // One page of older messages into the state; false if there are none.
  async loadOlder(limit = 50) {
    const first = this.#state.chat.entries.find((e) => e.kind !== "note" && e.id);
    if (!first) return false;
    const page = await this.#client.getMessages(this.id, { limit, before: first.id });
    this.#set({ chat: prepend(this.#state.chat, page.messages) });
    return page.next !== null;
  }

  // The turn's answer once it has ended, however it did; a ChatError if that can't be learnt.
  done(turn, { signal } = {}) {
    return new Promise((resolve, reject) => {
      let wasQueued = false;
      const finish = (fn, value) => {
        signal?.removeEventListener("abort", onAbort);
        leave();
        fn(value);
      };
      const onAbort = () => finish(reject, signal.reason);
      const look = ({ chat, connection: now }) => {
        const answer = chat.entries.findLast((e) => e.kind === "answer" && e.turn_id === turn);
        const isQueued = chat.queue.some((q) => q.turn_id === turn);
        if (answer && answer.state !== "running") finish(resolve, answer);
        else if (now.state === "gone" || now.state === "closed") finish(reject, now.error ?? new ChatError(0, "closed", "The view was closed."));
        else if (chat.withdrawn.includes(turn) || (wasQueued && !isQueued && !answer)) finish(reject, new ChatError(0, "withdrawn", "The message was withdrawn."));
        wasQueued ||= isQueued;
      };
      const leave = this.subscribe(look);
      if (signal?.aborted) onAbort();
      else {
        signal?.addEventListener("abort", onAbort);
        look(this.#state);
      }
    });
  }
}
