// A small line plot over time, as SVG, with its figures as a table for who can't see it.
import { el, keep, setText } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";
const W = 300;
const H = 100;

function svg(tag, attributes) {
  const e = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return e;
}

// The next round number above v: 1, 2, 5, 10, 20 …
export function ceiling(v) {
  if (!(v > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].map((m) => m * power).find((m) => m >= v * 0.999999);
}

// A path through the points; where there is no value the line has a gap.
function path(points, from, to, top) {
  let d = "";
  let isDown = false;
  for (const [at, value] of points) {
    if (value === null) {
      isDown = false;
      continue;
    }
    const x = ((at - from) / (to - from)) * W;
    const y = H - (value / top) * (H - 4) - 1;
    d += (isDown ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1);
    isDown = true;
  }
  return d;
}

// lines: [{label}]; format(value) gives words.
export class Plot {
  #lines;
  #format;
  #now = el("p", { className: "now" });
  #top = el("span", { className: "faint" });
  #svg = svg("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "img" });
  #paths;
  #rows = el("tbody");
  #title;

  constructor(title, lines, format) {
    this.#title = title;
    this.#lines = lines;
    this.#format = format;
    for (const y of [1, H / 2, H - 1]) this.#svg.append(svg("line", { class: "grid", x1: 0, x2: W, y1: y, y2: y }));
    this.#paths = lines.map((_, i) => svg("path", { class: "line c" + i }));
    this.#svg.append(...this.#paths);
    const legend = el("ul", { className: "legend" }, ...lines.map((line, i) => {
      const key = svg("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      key.append(svg("line", { class: "line c" + i, x1: 0, x2: 26, y1: 5, y2: 5 }));
      return el("li", {}, key, line.label);
    }));
    const head = el("tr", {}, el("th", { scope: "col" }, "Time"), ...lines.map((l) => el("th", { scope: "col" }, l.label)));
    const table = el("table", {}, el("caption", { className: "hidden" }, title), el("thead", {}, head), this.#rows);
    this.element = el("section", { className: "plot", "aria-label": title }, el("h2", {}, title), this.#now, this.#top, this.#svg, legend,
      el("details", {}, el("summary", {}, "As a table"), table));
  }

  // series: for each line a list of [ms, number or null], oldest first.
  draw(series, from, to) {
    const values = series.flatMap((points) => points.map(([, v]) => v)).filter((v) => v !== null);
    const top = ceiling(Math.max(0, ...values));
    this.#paths.forEach((p, i) => p.setAttribute("d", path(series[i], from, to, top)));
    const last = series.map((points) => points.at(-1)?.[1] ?? null);
    const said = (v) => (v === null ? "–" : this.#format(v));
    setText(this.#now, last.map(said).join(" / "));
    setText(this.#top, "full height: " + this.#format(top));
    const most = values.length ? Math.max(...values) : null;
    this.#svg.setAttribute("aria-label", this.#title + ": " +
      this.#lines.map((l, i) => l.label + " " + said(last[i])).join(", ") + "; at most " + said(most));
    const times = series[0].slice(-10).map(([at], k, all) => ({ key: String(at), at, k: series[0].length - all.length + k })).reverse();
    keep(this.#rows, times, (t) => ({
      element: el("tr", {}, el("th", { scope: "row" }, new Date(t.at).toLocaleTimeString()),
        ...series.map((points) => el("td", {}, said(points[t.k]?.[1] ?? null)))),
    }));
  }
}
