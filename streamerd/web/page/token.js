// The token of a server that wants one, and the form that asks for it.
//
// It is kept in sessionStorage: as long as the tab, a reload included; in localStorage only if the
// person says so. Both are readable by scripts of this origin, and the policy lets none run but the
// page's own. A cookie would go along with what other sites make the browser ask for; a header is
// sent by this page alone.
import { $, setLine } from "./dom.js";

const NAME = "chat-token";

let memory = null; // where the browser forbids storage: as long as the page

function attempt(fn) {
  try {
    return fn();
  } catch {
    return null;
  }
}

const kept = () => attempt(() => sessionStorage.getItem(NAME)) ?? attempt(() => localStorage.getItem(NAME));

export const token = () => kept() ?? memory;

// Would it be there after a reload?
export const isKept = () => memory !== null && kept() === memory;

// A name for who this tab is, that tells nothing of the token: tabs of the same person share one connection.
export function group() {
  let hash = 0x811c9dc5;
  for (const c of token() ?? "") hash = Math.imul(hash ^ c.codePointAt(0), 0x01000193) >>> 0;
  return hash.toString(36);
}

export function forget() {
  memory = null;
  attempt(() => sessionStorage.removeItem(NAME));
  attempt(() => localStorage.removeItem(NAME));
}

function store(value, stays) {
  forget();
  memory = value;
  attempt(() => (stays ? localStorage : sessionStorage).setItem(NAME, value));
}

// The form, in place of all else; onToken() is called each time that one was given.
export function login(onToken) {
  const others = [...document.body.children].filter((e) => !["login", "announce"].includes(e.id) && e.tagName !== "DIALOG");
  const show = (shown) => {
    $("login").hidden = !shown;
    for (const e of others) e.inert = shown;
  };
  $("login-form").addEventListener("submit", (e) => {
    e.preventDefault();
    const value = $("token").value.trim();
    if (!/^[\x21-\x7e]+$/.test(value)) {
      setLine($("login-problem"), "A token is one word of plain characters.");
      $("token").focus();
      return;
    }
    store(value, $("token-stays").checked);
    $("token").value = "";
    show(false);
    onToken();
  });
  return {
    show() {
      if (!$("login").hidden) return;
      setLine($("login-problem"), token() ? "The server did not accept this token." : "");
      show(true);
      $("token").focus();
    },
  };
}
