// chat-client.js - everything a viewport on a chat server needs, without dependencies, in browsers
// and Node 20. The contract is chat-client.d.ts.
//
//   bytes --SseReader--> frames --Stream--> ChatView --reduce()--> state --> whoever subscribed
//
//   chat-state.js   the reducer
//   chat-stream.js  the reader, and a stream that stays
//   chat-tabs.js    a stream for each view, or one for all tabs of a browser
//   chat-view.js    a window on one session
//   here            the calls of the API, sent again where that is safe, and the views
//
// It keeps nothing between two visits, draws nothing, and reads no token from anywhere: those are
// the business of who uses it.
import { backoff, ChatError, connection, errorOf, networkError, Stream } from "./chat-stream.js";
import { Own, Shared } from "./chat-tabs.js";
import { ChatView } from "./chat-view.js";

export { eventNames, initialState, plainText, prepend, reduce, runningAnswer, Text } from "./chat-state.js";
export { backoff, ChatError, SseReader } from "./chat-stream.js";

// --- what is around us ---

// Everything that is not ours: replaced in tests.
function environment(given = {}) {
  const g = globalThis;
  return {
    fetch: (...rest) => g.fetch(...rest),
    now: () => Date.now(),
    random: () => Math.random(),
    setTimeout: (fn, ms) => g.setTimeout(fn, ms),
    clearTimeout: (t) => g.clearTimeout(t),
    isOnline: () => g.navigator?.onLine !== false,
    isVisible: () => g.document?.visibilityState !== "hidden",
    window: typeof g.addEventListener === "function" && g.document ? g : null,
    document: g.document ?? null,
    locks: g.document ? g.navigator?.locks : undefined, // Node has some of these for threads
    BroadcastChannel: g.document ? g.BroadcastChannel : undefined,
    reportError: (error) => (g.reportError ? g.reportError(error) : g.console?.error(error)),
    ...given,
  };
}

// --- the client ---

const defaults = {
  baseUrl: "", retryMin: 1000, retryMax: 30000, headTimeout: 30000, heartbeatTimeout: 45000,
  callTimeout: 30000, callPatience: 20000, sendPatience: 120000, credentials: "same-origin",
};

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

const query = (given) => {
  const list = Object.entries(given).filter(([, v]) => v !== undefined && v !== null);
  return list.length ? "?" + new URLSearchParams(list.map(([k, v]) => [k, String(v)])) : "";
};

const path = (...parts) => "/v1/sessions/" + parts.map(encodeURIComponent).join("/");

export class ChatClient {
  #o;
  #env;
  #views = new Map(); // by session
  #open = new Set(); // views with a stream
  #watching = new Set(); // lines that tell of changes
  #waiting = new Set(); // wakes calls that wait for another try
  #unlisten = null;

  constructor({ environment: given, ...options } = {}) {
    this.#env = environment(given);
    this.#o = { ...defaults, ...options };
    this.#o.baseUrl = this.#o.baseUrl.replace(/\/+$/, "");
    this.#o.headers = async () => {
      const token = typeof options.token === "function" ? await options.token() : options.token;
      return { ...options.headers, ...(token ? { Authorization: "Bearer " + token } : {}) };
    };
    const share = options.share ?? (options.token || options.headers ? false : "");
    const canShare = share !== false && this.#env.locks && this.#env.BroadcastChannel;
    this.lines = canShare ? new Shared(this, this.#env, this.#o.baseUrl + " " + share, this.#o.heartbeatTimeout) : new Own(this);
  }

  // The view on a session: the same object for the same id while somebody uses it.
  view(sessionId) {
    let view = this.#views.get(sessionId);
    if (!view) this.#views.set(sessionId, (view = new ChatView(this, this.#env, sessionId)));
    return view;
  }

  // listener({connection, isChange}): what is said of any session. While the connection is live each change is told; where
  // it would cost a connection of its own (no sharing between tabs) it is `closed`. Gives what ends it.
  watchSessions(listener) {
    let now = connection("connecting");
    const tell = (isChange) => {
      try {
        listener({ connection: now, isChange });
      } catch (error) {
        this.#env.reportError(error);
      }
    };
    const line = this.lines.watch({
      changed: () => tell(true),
      change: (c) => {
        now = c;
        tell(false);
      },
    });
    this.#watching.add(line);
    this.#listen();
    return () => {
      if (!this.#watching.delete(line)) return;
      line.detach();
      this.#listen();
    };
  }

  close() {
    for (const line of this.#watching) line.detach();
    this.#watching.clear();
    this.#listen();
    for (const view of [...this.#views.values()]) view.close();
    this.#views.clear();
  }

  // --- what views need of it ---

  stream(on) {
    return new Stream(this.#env, this.#o, { ...on, url: () => this.#o.baseUrl + on.url() });
  }

  remember(view) {
    this.#open.add(view);
    if (!this.#views.has(view.id)) this.#views.set(view.id, view);
    this.#listen();
  }

  forget(view) {
    this.#open.delete(view);
    if (this.#views.get(view.id) === view) this.#views.delete(view.id);
    this.#listen();
  }

  #listen() {
    const { window, document } = this.#env;
    const isNeeded = this.#open.size + this.#watching.size + this.#waiting.size > 0;
    if (!window || isNeeded === Boolean(this.#unlisten)) return;
    if (!isNeeded) {
      this.#unlisten();
      return;
    }
    const wake = (isNew) => {
      for (const view of this.#open) view.wake(isNew);
      for (const line of this.#watching) line.wake(isNew);
      for (const again of [...this.#waiting]) again();
    };
    const onOnline = () => wake(true);
    const onShow = () => wake(false);
    const onVisible = () => this.#env.isVisible() && wake(false);
    window.addEventListener("online", onOnline);
    window.addEventListener("pageshow", onShow);
    document?.addEventListener("visibilitychange", onVisible);
    this.#unlisten = () => {
      window.removeEventListener("online", onOnline);
      window.removeEventListener("pageshow", onShow);
      document?.removeEventListener("visibilitychange", onVisible);
      this.#unlisten = null;
    };
  }

  // --- calls ---

  // One try: its answer as JSON. A success whose body did not arrive whole is none: what it says is not known.
  async #once(method, target, body, headers, signal) {
    const abort = new AbortController();
    const onAbort = () => abort.abort();
    let hasTimedOut = false;
    let response = null;
    const timer = this.#env.setTimeout(() => {
      hasTimedOut = true;
      abort.abort();
    }, this.#o.callTimeout);
    signal?.addEventListener("abort", onAbort);
    try {
      response = await this.#env.fetch(this.#o.baseUrl + target, {
        method, signal: abort.signal, credentials: this.#o.credentials, cache: "no-store",
        headers: { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}), ...(await this.#o.headers()), ...headers },
        body: body ? JSON.stringify(body) : undefined,
      });
      if (!response.ok) throw await errorOf(response, this.#env.now());
      return response.status === 204 ? null : await response.json();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw error instanceof ChatError ? error : networkError(error, hasTimedOut, Boolean(response));
    } finally {
      this.#env.clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  // A pause that ends early when the network comes back.
  #pause(ms, signal) {
    return new Promise((resolve, reject) => {
      const finish = (fn, value) => {
        this.#env.clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#waiting.delete(again);
        this.#listen();
        fn(value);
      };
      const again = () => finish(resolve);
      const onAbort = () => finish(reject, signal.reason);
      const timer = this.#env.setTimeout(again, ms);
      signal?.addEventListener("abort", onAbort);
      this.#waiting.add(again);
      this.#listen();
    });
  }

  // Tries again while that may help and patience lasts. isOnce: what the server did is not known
  // after a lost answer and must not be done twice, so only a refusal is tried again.
  async #call(method, target, { body, headers, isOnce, patience = this.#o.callPatience, signal, onRetry } = {}) {
    const end = this.#env.now() + patience;
    for (let attempt = 0, lost = false; ; attempt++) {
      signal?.throwIfAborted();
      try {
        return await this.#once(method, target, body, headers, signal);
      } catch (error) {
        if (!(error instanceof ChatError)) throw error;
        error.afterLostAnswer = lost;
        lost ||= error.status === 0;
        const wait = Math.max(backoff(attempt, this.#env.random(), this.#o.retryMin, this.#o.retryMax), error.retryAfter ?? 0);
        if (!error.mayPass || (isOnce && lost) || this.#env.now() + wait > end) throw error;
        onRetry?.({ error, attempt: attempt + 1, retryIn: wait });
        await this.#pause(wait, signal);
      }
    }
  }

  // A message, delivered once however often it takes. If it fails, the error carries idempotencyKey: sent again with it
  // (options.idempotencyKey) it still starts no second turn.
  async send(message, { idempotencyKey = newKey(), patience = this.#o.sendPatience, ...options } = {}) {
    try {
      return await this.#call("POST", "/v1/messages", { ...options, patience, body: message, headers: { "Idempotency-Key": idempotencyKey } });
    } catch (error) {
      if (error instanceof ChatError) error.idempotencyKey = idempotencyKey;
      throw error;
    }
  }

  // Stops that turn, or withdraws it from the queue. Without a turn: whichever runs, and then it is not asked twice.
  async abort(sessionId, turnId, options) {
    try {
      return await this.#call("POST", path(sessionId, "abort"), { ...options, body: turnId ? { turn_id: turnId } : {}, isOnce: !turnId });
    } catch (error) {
      if (turnId && error.afterLostAnswer && error.status === 409) return null; // the lost one did it, or it ended
      throw error;
    }
  }

  withdraw(sessionId, turnId, options) {
    return this.abort(sessionId, turnId, options);
  }

  // answer: {allow: true}, {allow: true, remember: "session"}, {allow: false} or {answers: {...}}. After a lost answer that it
  // is resolved already is success: null.
  async resolve(sessionId, promptId, answer, options) {
    try {
      return await this.#call("POST", path(sessionId, "prompts", promptId), { ...options, body: answer });
    } catch (error) {
      if (error.afterLostAnswer && error.code === "already_resolved") return null;
      throw error;
    }
  }

  listSessions({ limit, cursor } = {}, options) {
    return this.#call("GET", "/v1/sessions" + query({ limit, cursor }), options);
  }

  getSession(sessionId, options) {
    return this.#call("GET", path(sessionId), options);
  }

  getMessages(sessionId, { limit, before } = {}, options) {
    return this.#call("GET", path(sessionId, "messages") + query({ limit, before }), options);
  }

  getSnapshot(sessionId, options) {
    return this.#call("GET", path(sessionId, "snapshot"), options);
  }

  async deleteSession(sessionId, options) {
    try {
      await this.#call("DELETE", path(sessionId), options);
    } catch (error) {
      if (!(error.afterLostAnswer && error.status === 404)) throw error;
    }
  }
}
