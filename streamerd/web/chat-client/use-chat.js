// useChat: a session of a ChatClient in React, under the names its users know. What is shown is what the server said:
// no message appears before its event, so all tabs show the same. There is no `regenerate`: the server can't take an answer back,
// and to ask again is to send again. The contract is use-chat.d.ts.
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { initialState, plainText, runningAnswer } from "./chat-client.js";

const nothing = Object.freeze({ chat: initialState(), connection: Object.freeze({ state: "closed", error: null }) });
const never = () => () => {};
const made = new WeakMap(); // entry → message: what did not change is the same object

function messageOf(entry) {
  if (made.has(entry)) return made.get(entry);
  const content = plainText(entry.content);
  const isUser = entry.kind === "user";
  const message = {
    id: isUser ? entry.id : entry.key, role: isUser ? "user" : "assistant", content, turnId: entry.turn_id, createdAt: entry.created_at,
    parts: [
      ...(entry.reasoning?.length ? [{ type: "reasoning", text: String(entry.reasoning) }] : []),
      ...(entry.tools ?? []).map((tool) => ({ type: "tool", tool })),
      ...(isUser && Array.isArray(entry.content) ? entry.content : content ? [{ type: "text", text: content }] : []),
    ],
    ...(isUser ? {} : { reasoning: String(entry.reasoning), tools: entry.tools, state: entry.state, error: entry.error, refusal: entry.refusal, stopReason: entry.stop_reason, usage: entry.usage }),
  };
  made.set(entry, message);
  return message;
}

// Has what became of that turn been seen?
const isKnown = (chat, turn) =>
  chat.entries.some((e) => e.turn_id === turn) || chat.queue.some((q) => q.turn_id === turn) || chat.withdrawn.includes(turn);

function statusOf({ chat, connection }, pending, error) {
  const running = runningAnswer(chat);
  if (error || connection.state === "gone") return "error";
  if (running) return connection.state === "live" ? "streaming" : "submitted";
  if (pending && !(pending.turn && isKnown(chat, pending.turn))) return "submitted";
  const last = chat.entries.findLast((e) => e.kind !== "note");
  return last?.state === "error" ? "error" : "ready";
}

export function useChat({ client, sessionId = null, defaults, onSession } = {}) {
  const [created, setCreated] = useState(null);
  const [sent, setSent] = useState({ session: null, pending: null, error: null }); // of the last message
  const id = sessionId ?? created;
  const view = useMemo(() => (id ? client.view(id) : null), [client, id]);
  const read = view?.getState ?? (() => nothing);
  const state = useSyncExternalStore(view?.subscribe ?? never, read, read);
  const { pending, error } = sent.session === id ? sent : { pending: null, error: null };
  const latest = useRef(null);
  latest.current = { client, id, view, pending, defaults, onSession };

  const sendMessage = useCallback(async (message, options) => {
    const now = latest.current;
    const { text, ...rest } = typeof message === "string" || Array.isArray(message) ? { content: message } : message;
    setSent({ session: now.id, pending: { turn: null }, error: null });
    try {
      const accepted = await now.client.send({ on_busy: now.id ? "queue" : undefined, ...now.defaults, ...(text === undefined ? {} : { content: text }), ...rest,
        ...(now.id ? { session_id: now.id } : {}) }, options);
      setSent((s) => (s.session === now.id ? { session: accepted.session_id, pending: { turn: accepted.turn_id }, error: null } : s));
      if (!now.id && !latest.current.id) setCreated(accepted.session_id);
      if (accepted.created) now.onSession?.(accepted.session_id);
      return accepted;
    } catch (failure) {
      setSent((s) => (s.session === now.id ? { session: now.id, pending: null, error: failure } : s));
      return null;
    }
  }, []);

  const stop = useCallback(async () => {
    const now = latest.current;
    return now.view ? now.view.stop(runningAnswer(now.view.getState().chat)?.turn_id ?? now.pending?.turn ?? undefined) : null;
  }, []);
  const resolve = useCallback((prompt, answer) => latest.current.view?.resolve(prompt, answer) ?? Promise.resolve(null), []);
  const withdraw = useCallback((turn) => latest.current.view?.withdraw(turn) ?? Promise.resolve(null), []);
  const clearError = useCallback(() => setSent((s) => ({ ...s, error: null })), []);

  const { chat, connection } = state;
  // a message is on its way until its turn was seen, once
  const hasArrived = Boolean(pending?.turn) && isKnown(chat, pending.turn);
  useEffect(() => {
    if (hasArrived) setSent((s) => (s.pending === pending ? { ...s, pending: null } : s));
  }, [hasArrived, pending]);

  const notes = useMemo(() => chat.entries.filter((e) => e.kind === "note"), [chat.entries]);
  const messages = useMemo(() => chat.entries.filter((e) => e.kind !== "note").map(messageOf), [chat.entries]);
  const last = chat.entries.findLast((e) => e.kind !== "note");
  return {
    id, messages, sendMessage, stop, status: statusOf(state, pending, error),
    error: error ?? (connection.state === "gone" ? connection.error : last?.state === "error" ? last.error : null),
    notice: chat.notice, notes, prompts: chat.prompts, resolve, queue: chat.queue, withdraw, connection, clearError,
  };
}
