// The contract of use-chat.js. It needs React 18 or newer.
import type {
  Accepted, Answer, ChatClient, ChatError, ChatState, Connection, Content, ContentPart, NewMessage, NoteEntry, Prompt, QueuedMessage, SendOptions,
  ToolInvocation, Usage,
} from "./chat-client.js";

export type MessagePart = ContentPart | { type: "reasoning"; text: string } | { type: "tool"; tool: ToolInvocation };

/** The same object as before as long as nothing in it changed. */
export interface ChatMessage {
  /** Stays the same while the message is streamed. */
  readonly id: string;
  readonly role: "user" | "assistant";
  /** Its text. */
  readonly content: string;
  readonly parts: readonly MessagePart[];
  readonly turnId: string | null;
  readonly createdAt: string | null;
  /** Of answers: */
  readonly state?: "running" | "complete" | "aborted" | "error";
  readonly reasoning?: string;
  readonly tools?: readonly ToolInvocation[];
  readonly error?: { readonly code: string; readonly message: string } | null;
  /** The model declined, and said this of it. */
  readonly refusal?: string | null;
  readonly stopReason?: string | null;
  readonly usage?: Usage | null;
}

export interface UseChatOptions {
  /** One for the whole application, made outside of components. */
  client: ChatClient;
  /** Without it the first message creates a session. */
  sessionId?: string | null;
  /** `provider`, `model`, `on_busy` … for each message; a message's own win. `on_busy` is "queue" unless given. */
  defaults?: Partial<Omit<NewMessage, "content" | "session_id">>;
  /** A session was created: put its id into the address. */
  onSession?(sessionId: string): void;
}

export interface UseChat {
  readonly id: string | null;
  readonly messages: readonly ChatMessage[];
  /**
   * `submitted`: on its way, or running while there is no connection. `streaming`: connected, and the turn runs or waits for an
   * answer to `prompts`. `error`: the message, the last answer or the connection failed; see `error`.
   */
  readonly status: "submitted" | "streaming" | "ready" | "error";
  readonly error: ChatError | { readonly code: string; readonly message: string } | null;
  /** Does not reject: null, and `error`, if it could not be sent. */
  sendMessage(message: Content | { text: string } | Omit<NewMessage, "session_id">, options?: SendOptions): Promise<Accepted | null>;
  stop(): Promise<unknown>;
  /** How things are at the moment, e.g. `worker_unavailable`, `persist_error`; null with the next event. Show it: the turn may stand still. */
  readonly notice: ChatState["notice"];
  /** What happened beside the conversation, e.g. `provider_retry`, `refusal`, by `turn_id`. */
  readonly notes: readonly NoteEntry[];
  readonly prompts: readonly Prompt[];
  resolve(promptId: string, answer: Answer): Promise<unknown>;
  readonly queue: readonly QueuedMessage[];
  withdraw(turnId: string): Promise<unknown>;
  readonly connection: Connection;
  /** Forgets that a message could not be sent. */
  clearError(): void;
}

export function useChat(options: UseChatOptions): UseChat;
