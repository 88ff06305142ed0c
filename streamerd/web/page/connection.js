// How it stands with the connection, in words.
import { $, setText } from "./dom.js";

const seconds = (ms) => Math.max(1, Math.ceil(ms / 1000));

function words(c, hasChat) {
  if (!hasChat || c.state === "closed") return "";
  if (c.state === "live") return "connected";
  if (c.state === "connecting") return c.attempt ? "connecting again …" : "connecting …";
  if (c.state === "gone") return "not connected";
  const why = c.error?.message?.replace(/\.$/, "") || "The connection was lost";
  if (c.state === "offline") return "offline: this device has no network";
  return why + (c.error?.status ? " (" + c.error.status + ")" : "");
}

export class ConnectionBar {
  #timer = 0;

  constructor(onNow, redraw) {
    $("connection-now").addEventListener("click", onNow);
    for (const name of ["online", "offline"]) window.addEventListener(name, redraw);
  }

  draw(c, hasChat) {
    clearInterval(this.#timer);
    // a stream that the network left looks live until it is missed
    if (!navigator.onLine && ["live", "connecting"].includes(c.state)) c = { ...c, state: "offline", retryAt: null };
    const bar = $("connection");
    bar.dataset.state = hasChat ? c.state : "closed";
    const isLost = hasChat && (c.state === "retrying" || (c.state === "offline" && c.retryAt));
    // the seconds are not part of what is read aloud, or it would never end
    setText($("connection-text"), words(c, hasChat));
    $("connection-now").hidden = !isLost;
    if (!isLost) return;
    const tick = () => setText($("connection-now"), c.retryAt ? "trying again in " + seconds(c.retryAt - Date.now()) + " s: now" : "Try now");
    tick();
    this.#timer = setInterval(tick, 1000);
  }
}
