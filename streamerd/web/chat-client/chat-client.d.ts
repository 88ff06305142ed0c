// The contract of chat-client.js. Names with underscores are the API's own.

/** An immutable text of many pieces. Appending is cheap, and what is new can be asked for. */
export class Text {
  constructor(text?: string);
  readonly length: number;
  /** This text with a piece behind it; this object itself if the piece is empty. */
  append(piece: string): Text;
  /** What was appended since `older` was current; null if this is not that text continued. */
  since(older: Text | null | undefined): string | null;
  /** The Text for `text`: continues this one if it can, so that `since` works. */
  become(text: string): Text;
  toString(): string;
  toJSON(): string;
}

// --- what the API speaks of ---

export type Content = string | ContentPart[];
export type ContentPart =
  | { type: "text"; text: string }
  | { type: "image"; media_type: string; data: string };

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens?: number;
  cache_write_tokens?: number;
}

export interface SessionInfo {
  id: string;
  title: string;
  provider: string;
  model: string;
  created_at: string;
}

export interface Session extends SessionInfo {
  state: "idle" | "processing" | "waiting";
  generation: number;
  system: string | null;
  metadata: Record<string, unknown> | null;
  updated_at: string;
  /** Only from getSession. */
  last_seq?: number;
  turn_id?: string | null;
  /** Only from listSessions: the state of its last turn, null before the first one. */
  last_turn?: "queued" | "running" | "waiting" | "done" | "aborted" | "error" | null;
}

export type ToolStatus = "pending" | "waiting" | "running" | "done" | "failed" | "denied" | "incomplete" | "uncertain";

export interface ToolInvocation {
  readonly id: string;
  readonly name: string;
  readonly server: string;
  readonly input: unknown;
  readonly status: ToolStatus;
  readonly output: string | null;
  readonly is_error: boolean;
  /** The input did not parse: why, and the raw text. The tool was not run. */
  readonly parse_error?: string;
  readonly raw?: string;
  /** 0 to 1, while it runs and says so. */
  readonly progress?: number;
  readonly message?: string | null;
  /** How many characters (code points) of the answer's text stand before it; missing where that is not known. */
  readonly at?: number;
  /** Only for calls that were seen live. */
  readonly started_at?: string;
  /** Once it ended, where it ran. */
  readonly duration_ms?: number;
}

export interface Question {
  readonly id: string;
  readonly question: string;
  readonly options: readonly { label: string; description?: string }[];
  readonly multiple: boolean;
  readonly free_text: boolean;
}

export interface Prompt {
  readonly id: string;
  readonly kind: "tool_permission" | "ask_user";
  readonly tool_invocation_id: string;
  readonly tool_name: string;
  readonly server: string;
  readonly input: unknown;
  readonly questions: readonly Question[];
  readonly created_at: string;
  /** The call was interrupted and may have had its effect: run it again? */
  readonly uncertain?: boolean;
  readonly message?: string;
}

export type Answer =
  | { allow: true; remember?: "session" }
  | { allow: false }
  | { answers: Record<string, string | string[]> };

export interface Message {
  id: string;
  turn_id: string;
  role: "user" | "assistant";
  content: Content;
  status: "complete" | "aborted" | "error";
  created_at: string;
  reasoning?: string;
  tool_invocations?: ToolInvocation[];
  refusal?: string;
  usage?: Usage;
  stop_reason?: string | null;
  error?: { code: string; message: string } | null;
}

export interface NewMessage {
  content: Content;
  /** Without it a session is created. */
  session_id?: string;
  provider?: string;
  model?: string;
  system?: string;
  /** While a turn runs or waits: refuse with 409 (default), run it next, or abort the turn and run at once. */
  on_busy?: "reject" | "queue" | "interrupt";
  metadata?: Record<string, unknown>;
}

export interface Accepted {
  session_id: string;
  turn_id: string;
  generation: number;
  created: boolean;
  queued?: boolean;
  position?: number;
}

// --- the state of a session ---

export interface UserEntry {
  readonly kind: "user";
  readonly key: string;
  readonly id: string;
  readonly turn_id: string | null;
  readonly content: Content;
  readonly created_at: string | null;
}

export interface AnswerEntry {
  readonly kind: "answer";
  readonly key: string;
  /** The message's id, null where it is not known yet. */
  readonly id: string | null;
  readonly turn_id: string;
  readonly state: "running" | "complete" | "aborted" | "error";
  readonly content: Text;
  readonly reasoning: Text;
  readonly tools: readonly ToolInvocation[];
  readonly prompts: readonly Prompt[];
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly refusal: string | null;
  readonly stop_reason: string | null;
  readonly usage: Usage | null;
  /** It was taken up again after a crash or an upgrade; what is shown was replaced then. */
  readonly resumed: boolean;
  readonly started_at: string | null;
  /** When it ended. */
  readonly created_at: string | null;
  /** Only for turns whose end was seen live. */
  readonly duration_ms: number | null;
}

/** Something that happened beside the conversation. A later snapshot does not repeat it. */
export interface NoteEntry {
  readonly kind: "note";
  readonly key: string;
  readonly level: "info" | "warning" | "error";
  readonly code: string | null;
  readonly text: string;
  readonly turn_id: string | null;
  readonly created_at: string | null;
}

export type Entry = UserEntry | AnswerEntry | NoteEntry;

export interface QueuedMessage {
  readonly turn_id: string;
  readonly content: Content;
}

/** What did not change is the same object as before. */
export interface ChatState {
  readonly session_id: string | null;
  readonly session: SessionInfo | null;
  /** `empty`: nothing was received yet. `waiting`: only answers to `prompts` are left to come. */
  readonly status: "empty" | "idle" | "processing" | "waiting" | "cleared";
  readonly seq: number;
  /** `Last-Event-ID` of what this state covers. */
  readonly cursor: string | null;
  /** In order. The running answer, if there is one, has `state: "running"`. */
  readonly entries: readonly Entry[];
  readonly queue: readonly QueuedMessage[];
  /** Turns that were taken out of the queue before they began, the last 20 that were seen. */
  readonly withdrawn: readonly string[];
  /** Of the running answer. */
  readonly prompts: readonly Prompt[];
  /** Why this can't be relied on any more: a snapshot is on its way. */
  readonly stale: "gap" | "defect" | "asked" | null;
  /** How things are at the moment, e.g. `worker_unavailable`, `persist_error`; gone with the next event. */
  readonly notice: { readonly level: "info" | "warning" | "error"; readonly code: string | null; readonly message: string } | null;
}

interface Common {
  session_id: string;
  turn_id: string | null;
  generation: number;
  /** null: a notice, in no log. */
  seq: number | null;
  ts: string;
}

/** An event of the stream: its name, and its data as parsed JSON. */
export interface ChatEvent {
  name: string;
  data: Common & Record<string, any>;
}

export function initialState(sessionId?: string | null): ChatState;
/** Pure. An event applies once, by its seq; a hole makes the state `stale`, which a snapshot mends. */
export function reduce(state: ChatState, event: ChatEvent): ChatState;
/** Messages that are older than what is there, in front of it. Pure. */
export function prepend(state: ChatState, messages: readonly Message[]): ChatState;
export function runningAnswer(state: ChatState): AnswerEntry | null;
export function plainText(content: Content | Text | null | undefined): string;
export const eventNames: readonly string[];

// --- connections ---

export interface Connection {
  /**
   * `connecting`: the first attempt, or the next one, is under way. `live`: what is shown is what is.
   * `retrying`: waits until `retryAt`. `offline`: the same, and the browser says that there is no network.
   * `gone`: refused for good (401, 403, 404, 410 …) or cleared; `error` says why. `closed`: by this side.
   */
  readonly state: "connecting" | "live" | "retrying" | "offline" | "gone" | "closed";
  /** Attempts since the last progress. */
  readonly attempt: number;
  /** ms since 1970, and ms from when this was told. */
  readonly retryAt: number | null;
  readonly retryIn: number | null;
  readonly error: ChatError | null;
}

/** What the server, or the way to it, said. */
export class ChatError extends Error {
  constructor(status: number, code: string, message: string, details?: Record<string, unknown>);
  /** HTTP status; 0 if there was no (whole) answer: `network`, `timeout`, `bad_answer`, `stream_ended` … */
  readonly status: number;
  /** The API's code, e.g. `already_processing`. */
  readonly code: string;
  /** Further members of the API's error: `field`, `turn_id` … */
  readonly details: Record<string, any>;
  /** ms */
  readonly retryAfter: number | null;
  /** Of a failed `send`: the same message sent with it starts no second turn. */
  readonly idempotencyKey: string | null;
  /** May the same request succeed later? */
  readonly mayPass: boolean;
}

/** Splits the bytes of an event stream into frames, by the letter of the HTML standard. */
export class SseReader {
  constructor(on: {
    /** `id` stays the last one given; `hasId`: this very event gave it. */
    event(frame: { id: string; hasId: boolean; name: string; data: string }): void;
    retry?(ms: number): void;
    comment?(text: string): void;
  });
  push(bytes: Uint8Array): void;
  readonly lastId: string;
}

/** ms to wait before the attempt after `attempt` failed ones; `random` is in [0, 1). */
export function backoff(attempt: number, random: number, min?: number, max?: number): number;

// --- the client ---

export interface ClientOptions {
  /** Where the API is; default: the page's own origin. Needed in Node. */
  baseUrl?: string;
  /** A bearer token, or what gives the current one; asked for each request. */
  token?: string | (() => string | null | Promise<string | null>);
  headers?: Record<string, string>;
  credentials?: RequestCredentials;
  /** All in ms. */
  retryMin?: number;
  retryMax?: number;
  /** No head of an event stream for so long, or nothing on it: it is opened anew. The server's heartbeat is 15 s. */
  headTimeout?: number;
  heartbeatTimeout?: number;
  /** One try of a call; all tries of a call; all tries of `send`. */
  callTimeout?: number;
  callPatience?: number;
  sendPatience?: number;
  /**
   * Browsers: one connection for all tabs that give the same name, for the same `baseUrl`. Default: on, unless there is a
   * `token` or there are `headers` (then name the user who they speak for), or Web Locks or BroadcastChannel are missing or refused. false: off.
   */
  share?: string | false;
  /** Replaces clock, fetch and the browser's parts in tests. */
  environment?: Record<string, unknown>;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** ms during which it is tried again while that may help. */
  patience?: number;
  onRetry?(retry: { error: ChatError; attempt: number; retryIn: number }): void;
}

export interface SendOptions extends CallOptions {
  idempotencyKey?: string;
}

export interface ViewState {
  readonly chat: ChatState;
  readonly connection: Connection;
}

/** A window on one session. It fits React's useSyncExternalStore. */
export interface ChatView {
  readonly id: string;
  /** The same object until something changes. */
  getState: () => ViewState;
  /** The first subscriber opens the stream, the last one to leave closes it. Told once for what came in one piece. */
  subscribe: (listener: (state: ViewState) => void) => () => void;
  close(): void;
  /** A fresh snapshot; what is shown stays until it comes. */
  refresh(): void;
  /** An attempt now; also after it was `gone`. */
  reconnect(): void;
  send(message: Content | Omit<NewMessage, "session_id">, options?: SendOptions): Promise<Accepted>;
  /** The running turn, or the one named; null if there was nothing to stop. */
  stop(turnId?: string): Promise<unknown>;
  withdraw(turnId: string): Promise<unknown>;
  /** null if somebody else was first. */
  resolve(promptId: string, answer: Answer): Promise<unknown>;
  /** A page of older messages into the state; are there more? */
  loadOlder(limit?: number): Promise<boolean>;
  /** The turn's answer once it has ended, however (see its `state`); rejects if that can't be learnt. */
  done(turnId: string, options?: { signal?: AbortSignal }): Promise<AnswerEntry>;
}

/** Rejects with ChatError, or with the signal's reason. */
export class ChatClient {
  constructor(options?: ClientOptions);
  /** The same object for the same session while it is used. */
  view(sessionId: string): ChatView;
  /**
   * Told whenever something changed in any of the owner's sessions (`isChange`), so that a list can be read again, and how the
   * connection is: while it is `live` no change is missed, behind it read once. `closed` where tabs don't share a connection: it would
   * cost one of its own, so read now and then. Gives what ends it.
   */
  watchSessions(listener: (news: { connection: Connection; isChange: boolean }) => void): () => void;
  close(): void;
  /** Delivered once, however often it has to be sent. */
  send(message: NewMessage, options?: SendOptions): Promise<Accepted>;
  abort(sessionId: string, turnId?: string, options?: CallOptions): Promise<{ session_id: string; turn_id: string; generation: number } | null>;
  withdraw(sessionId: string, turnId: string, options?: CallOptions): Promise<unknown>;
  /** null: it was resolved already, perhaps by this very call, whose first answer was lost. */
  resolve(sessionId: string, promptId: string, answer: Answer, options?: CallOptions): Promise<{ session_id: string; turn_id: string; prompt_id: string } | null>;
  listSessions(page?: { limit?: number; cursor?: string }, options?: CallOptions): Promise<{ sessions: Session[]; next: string | null }>;
  getSession(sessionId: string, options?: CallOptions): Promise<Session>;
  getMessages(sessionId: string, page?: { limit?: number; before?: string }, options?: CallOptions): Promise<{ messages: Message[]; next: string | null }>;
  /** The data of a `snapshot` event. */
  getSnapshot(sessionId: string, options?: CallOptions): Promise<ChatEvent["data"]>;
  deleteSession(sessionId: string, options?: CallOptions): Promise<void>;
}
