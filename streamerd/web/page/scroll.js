// Keeps the end of the conversation in sight for who is there, and lets alone who reads above.
//
// Following ends at once when somebody scrolls up, by whatever means, and begins again when the end is
// reached. While text is selected nothing moves.
import { $ } from "./dom.js";

const NEAR = 4; // pixels that count as the end: fractions of a pixel are lost by rounding

export function following(log, button) {
  let follows = true;
  let top = 0; // where we put it

  const distance = () => log.scrollHeight - log.clientHeight - log.scrollTop;
  const isSelecting = () => {
    const s = document.getSelection();
    return s && !s.isCollapsed && log.contains(s.anchorNode);
  };
  const set = (value) => {
    follows = value;
    button.hidden = follows || distance() < 80;
  };
  const toEnd = () => {
    log.scrollTop = log.scrollHeight;
    top = log.scrollTop;
  };

  log.addEventListener("scroll", () => {
    if (distance() <= NEAR) set(true);
    else if (log.scrollTop < top - 1) set(false);
    top = log.scrollTop;
    button.hidden = follows || distance() < 80;
  }, { passive: true });
  // before the browser has scrolled, a frame with new text may come in between
  log.addEventListener("wheel", (e) => e.deltaY < 0 && log.scrollTop > 0 && set(false), { passive: true });
  button.addEventListener("click", () => {
    set(true);
    toEnd();
    $("log").focus();
  });
  // also what grows by itself: a long text that is drawn in pieces, a fold that is opened, a window that is turned
  const observer = new ResizeObserver(() => follows && !isSelecting() && toEnd());
  observer.observe(log);
  observer.observe(log.firstElementChild);

  return {
    // after each drawing
    settle() {
      if (follows && !isSelecting()) toEnd();
      else button.hidden = follows || distance() < 80;
    },
    // another conversation, or one's own message: its end
    restart() {
      set(true);
    },
  };
}
