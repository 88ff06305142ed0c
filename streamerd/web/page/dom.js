// Making and keeping elements. Text goes in as text: nothing here takes markup.

export const $ = (id) => document.getElementById(id);

export function el(tag, props, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name in e) e[name] = value;
    else if (value !== undefined && value !== null) e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

// Sets what differs only: text that is written again is read aloud again.
export function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// A line that is there only if it says something.
export function setLine(e, text) {
  setText(e, text);
  e.hidden = !text;
}

const kept = new WeakMap(); // element → {item, update, drop}

// Makes the children of parent those of items, by key. make(item) gives {element, update(item),
// drop()}; update is called when the item is another object than before.
export function keep(parent, items, make) {
  const wanted = new Set(items.map((i) => i.key));
  const have = new Map();
  for (const e of [...parent.children]) {
    if (wanted.has(e.dataset.key)) have.set(e.dataset.key, e);
    else {
      kept.get(e)?.drop?.();
      e.remove();
    }
  }
  let at = parent.firstElementChild;
  for (const item of items) {
    let e = have.get(item.key);
    if (!e) {
      const made = make(item);
      e = made.element;
      e.dataset.key = item.key;
      kept.set(e, { item: undefined, ...made });
    }
    const k = kept.get(e);
    if (k.item !== item) {
      k.item = item;
      k.update?.(item);
    }
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
}

// --- words ---

export function duration(ms) {
  if (ms < 950) return Math.round(ms) + " ms";
  if (ms < 59500) return (ms / 1000).toFixed(ms < 9950 ? 1 : 0) + " s";
  const s = Math.round(ms / 1000);
  return s < 3600 ? Math.floor(s / 60) + " min " + (s % 60) + " s" : Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
}

const counts = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const count = (n) => counts.format(n);

export function ago(iso, now = Date.now()) {
  const t = Date.parse(iso);
  if (Number.isNaN(t)) return "";
  const minutes = Math.max(0, (now - t) / 60000);
  if (minutes < 1) return "now";
  if (minutes < 60) return Math.floor(minutes) + " min";
  if (minutes < 24 * 60) return Math.floor(minutes / 60) + " h";
  if (minutes < 7 * 24 * 60) return Math.floor(minutes / 60 / 24) + " d";
  return new Date(t).toLocaleDateString();
}
