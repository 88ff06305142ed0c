// Markdown that grows: draws the text of an answer as it comes, and only what may still change again.
//
//   text ──markdown-it──> top-level blocks: all but the last are final and never touched again
//                                           the last is drawn anew, and patched into what stands there
//
// What a model writes is hostile until shown otherwise. markdown-it makes no HTML of HTML, DOMPurify
// lets few elements and three attributes through, links are http, https and mailto, an image becomes a
// link (loading it would tell its server who reads this), and the page's policy stops the rest.
//
// Drawing never takes long at once. A long text (a reload of a long answer) is drawn in pieces of a few
// blocks, with the browser's turn between them. A last block may be large (a table, a list): after drawing
// it in t ms there is a pause of 4 t. A paragraph beyond MAX_PARAGRAPH is shown as the text that it is, code
// beyond MAX_CODE without colours.
import createDOMPurify from "dompurify";
import hljs from "highlight.js/lib/common";
import MarkdownIt from "markdown-it";

import { el } from "./dom.js";

export const isRich = true;

const MAX_PARAGRAPH = 32 * 1024;
const MAX_CODE = 64 * 1024;
const PIECE = 8 * 1024; // of a long text, looked at at once
const SLICE_MS = 10; // and how long that may go on

const highlight = (text, language) =>
  text.length <= MAX_CODE && hljs.getLanguage(language) ? hljs.highlight(text, { language, ignoreIllegals: true }).value : "";

const md = new MarkdownIt({ html: false, linkify: true, typographer: false, highlight });
const { validateLink } = md;

md.validateLink = (url) => /^(https?:|mailto:)/i.test(url) && validateLink(url);
md.renderer.rules.image = (tokens, i, options, env, self) => {
  const t = tokens[i];
  const alt = self.renderInlineAsText(t.children || [], options, env) || "without a name";
  const { escapeHtml } = md.utils;
  return `<a href="${escapeHtml(t.attrGet("src") || "")}">Image: ${escapeHtml(alt)}</a>`;
};
// the alignment of a table's column is a style, which the policy does not let pass
for (const rule of ["th_open", "td_open"]) {
  md.renderer.rules[rule] = (tokens, i, options, env, self) => {
    const style = tokens[i].attrGet("style");
    if (style) tokens[i].attrs = [["class", style.replace("text-align:", "to-")]];
    return self.renderToken(tokens, i, options);
  };
}

const purify = createDOMPurify(window);
const allowed = {
  ALLOWED_TAGS: ["p", "br", "strong", "em", "s", "del", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr", "span", "div",
    "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"],
  ALLOWED_ATTR: ["href", "class", "start"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true,
};
const clean = (html) => purify.sanitize(html, allowed);

// --- code ---

const languageOf = (code) => /(?:^| )language-(\S+)/.exec(code.className)?.[1] || "";

// Each pre gets a head with its language and a button; who clicks it is noticed by transcript.js.
function dress(fragment) {
  for (const a of fragment.querySelectorAll("a[href]")) {
    a.target = "_blank";
    a.rel = "noopener noreferrer nofollow";
  }
  for (const heading of fragment.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    // below the page's own headings, which a screen reader steps through
    heading.setAttribute("role", "heading");
    heading.setAttribute("aria-level", String(Math.min(6, Number(heading.tagName[1]) + 2)));
  }
  for (const table of fragment.querySelectorAll("table")) {
    const box = el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Table" });
    table.replaceWith(box);
    box.append(table);
  }
  for (const pre of fragment.querySelectorAll("pre")) {
    const code = pre.firstElementChild ?? pre;
    const language = languageOf(code);
    pre.tabIndex = 0;
    const box = el("div", { className: "code" });
    pre.replaceWith(box);
    box.append(el("div", { className: "code-head" }, el("span", {}, language || "text"),
      el("button", { type: "button", className: "copy", "aria-label": "Copy the code" }, "Copy")), pre);
  }
  return fragment;
}

// --- drawing again ---

// Makes the nodes from `first` on (up to the end of parent) those of the fragment; what is the same stays,
// and with it selections, scroll positions and focus.
function patch(parent, first, fragment) {
  let old = first;
  for (const node of [...fragment.childNodes]) {
    if (!old) {
      parent.append(node);
    } else {
      const next = old.nextSibling;
      if (!old.isEqualNode(node)) patchNode(parent, old, node);
      old = next;
    }
  }
  while (old) {
    const next = old.nextSibling;
    old.remove();
    old = next;
  }
}

function patchNode(parent, old, node) {
  if (old.nodeType === Node.TEXT_NODE && node.nodeType === Node.TEXT_NODE) {
    if (node.data.startsWith(old.data)) old.appendData(node.data.slice(old.data.length));
    else old.data = node.data;
  } else if (old.nodeType === Node.ELEMENT_NODE && old.nodeName === node.nodeName && old.className === node.className &&
    old.getAttribute("href") === node.getAttribute("href") && old.getAttribute("start") === node.getAttribute("start")) {
    patch(old, old.firstChild, node);
  } else {
    parent.replaceChild(node, old);
  }
}

// --- blocks ---

// The top-level blocks: [{tokens, line}] with the line at which each begins.
function blocksOf(tokens) {
  const blocks = [];
  for (const t of tokens) {
    if (t.level === 0 && t.nesting >= 0) blocks.push({ tokens: [], line: t.map ? t.map[0] : 0 });
    blocks[blocks.length - 1].tokens.push(t);
  }
  return blocks;
}

function offsetOfLine(text, line) {
  let at = 0;
  for (let i = 0; i < line; i++) at = text.indexOf("\n", at) + 1;
  return at;
}

const draw = (blocks) => dress(clean(md.renderer.render(blocks.flatMap((block) => block.tokens), md.options, {})));

export class Markdown {
  #box;
  #tail = ""; // text of the block that may still change
  #live = null; // its first node
  #env = {};
  #plain = null; // the element that shows a paragraph which is too long
  #notBefore = 0;
  #timer = 0;

  constructor(box) {
    this.#box = box;
  }

  // The text goes on with this piece; isLast: nothing will follow.
  append(piece, isLast = false) {
    this.#tail += piece;
    if (isLast || performance.now() >= this.#notBefore) this.#draw();
    else if (!this.#timer) this.#timer = setTimeout(() => this.#draw(), this.#notBefore - performance.now());
  }

  end() {
    if (this.#timer) this.#draw();
  }

  drop() {
    clearTimeout(this.#timer);
  }

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const began = performance.now();
    while (this.#drawPiece()) {
      if (performance.now() - began > SLICE_MS) {
        this.#notBefore = 0;
        this.#timer = setTimeout(() => this.#draw(), 0);
        return;
      }
    }
    this.#notBefore = performance.now() + Math.min(1000, 4 * (performance.now() - began));
  }

  // Draws what is next; is there more? Of a long text as many lines are looked at as have two blocks: all but the last
  // one are whole, whatever follows.
  #drawPiece() {
    if (this.#isTooLong()) return false;
    for (let size = PIECE; ; size *= 4) {
      const end = this.#tail.length > size ? this.#tail.lastIndexOf("\n", size) + 1 : 0;
      const isAll = this.#tail.length <= size;
      if (!isAll && !end) continue;
      const text = isAll ? this.#tail : this.#tail.slice(0, end);
      const blocks = blocksOf(md.parse(text, this.#env));
      const last = blocks.pop();
      if (!isAll && !blocks.length) continue;
      if (blocks.length) {
        this.#settle(draw(blocks));
        this.#tail = this.#tail.slice(offsetOfLine(text, last.line));
      }
      if (!isAll) return true;
      if (last && !this.#isTooLong()) this.#redraw(draw([last]));
      return false;
    }
  }

  #redraw(fragment) {
    if (!this.#live) {
      this.#live = fragment.firstChild;
      this.#box.append(fragment);
      return;
    }
    const before = this.#live.previousSibling;
    patch(this.#box, this.#live, fragment);
    this.#live = before ? before.nextSibling : this.#box.firstChild;
  }

  #settle(fragment) {
    if (this.#live) patch(this.#box, this.#live, fragment);
    else this.#box.append(fragment);
    this.#live = null;
  }

  // One paragraph without an end: what is there is shown as it is, up to its blank line.
  #isTooLong() {
    if (this.#plain === null) {
      if (this.#tail.length < MAX_PARAGRAPH || /^( {0,3}(```|~~~)|\||[ \t]*([-*+>]|\d+[.)])[ \t])/.test(this.#tail) ||
        /\n[ \t]*\n/.test(this.#tail.slice(0, MAX_PARAGRAPH))) return false;
      while (this.#live) {
        const next = this.#live.nextSibling;
        this.#live.remove();
        this.#live = next;
      }
      this.#plain = el("p", { className: "as-is" }, "");
      this.#plain.append(document.createTextNode(""));
      this.#box.append(this.#plain);
    }
    const end = /\n[ \t]*\n/.exec(this.#tail);
    const until = end ? end.index : this.#tail.length;
    this.#plain.lastChild.appendData(this.#tail.slice(0, until));
    this.#tail = this.#tail.slice(until);
    if (!end) return true;
    this.#plain = null;
    return false;
  }
}
