// Reads Prometheus text, and tells what became of figures over time. Pure.

const unescaped = (text) => text.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));

// Text → {values: Map("name{labels}" → number), types, helps: Map(name → text)}.
export function parse(text) {
  const values = new Map();
  const types = new Map();
  const helps = new Map();
  for (const line of text.split("\n")) {
    const about = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (about) (about[1] === "HELP" ? helps : types).set(about[2], about[1] === "HELP" ? unescaped(about[3]) : about[3]);
    const sample = /^([a-zA-Z_:][\w:]*(?:\{.*\})?)\s+(\S+)/.exec(line);
    if (sample && !Number.isNaN(Number(sample[2].replace("Inf", "Infinity")))) {
      values.set(sample[1], Number(sample[2].replace("Inf", "Infinity")));
    }
  }
  return { values, types, helps };
}

export const nameOf = (key) => key.replace(/\{.*$/, "");

// What a figure belongs to: the buckets of a histogram to the histogram.
const familyOf = (sample, name) => (sample.types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ""));

export const typeOf = (sample, key) => sample.types.get(familyOf(sample, nameOf(key))) ?? "untyped";
export const helpOf = (sample, key) => sample.helps.get(familyOf(sample, nameOf(key))) ?? "";

// Sum of the figures whose name matches; null if there is none.
export function total(sample, pattern) {
  let sum = null;
  for (const [key, value] of sample.values) if (pattern.test(nameOf(key))) sum = (sum ?? 0) + value;
  return sum;
}

// Of whom a figure is. A worker tells a counter with labels from its first count on: that one grew from 0. But if nothing was
// known of the worker before, how its figures grew isn't either.
function wasTold(sample, key) {
  const worker = /\bworker="[^"]*"/.exec(key)?.[0];
  return sample.types.has(nameOf(key)) && (!worker || [...sample.values.keys()].some((k) => k.includes(worker)));
}

// Growth per second between two samples, of those with these labels. A counter that went back began anew: a process was restarted.
export function rate(from, to, pattern, labels = /^/) {
  let sum = null;
  for (const [key, value] of to.values) {
    if (!pattern.test(nameOf(key)) || !labels.test(key)) continue;
    const before = from.values.get(key);
    const isKnown = before !== undefined || wasTold(from, key);
    sum = (sum ?? 0) + (!isKnown ? 0 : value >= (before ?? 0) ? value - (before ?? 0) : value);
  }
  return sum === null || to.at <= from.at ? null : sum / ((to.at - from.at) / 1000);
}

// The quantile q of what a histogram counted between two samples, in its own unit; null if it counted nothing.
export function quantile(from, to, name, q) {
  const counts = new Map(); // by bound, over all workers
  for (const [key, value] of to.values) {
    const le = nameOf(key) === name + "_bucket" && /le="([^"]+)"/.exec(key)?.[1];
    if (!le) continue;
    const bound = Number(le.replace("Inf", "Infinity"));
    const before = from.values.get(key) ?? 0;
    counts.set(bound, (counts.get(bound) ?? 0) + (value >= before ? value - before : value));
  }
  const buckets = [...counts].sort((a, b) => a[0] - b[0]);
  const all = buckets.at(-1)?.[1];
  if (!all) return null;
  const at = buckets.findIndex(([, n]) => n >= q * all);
  const [low, below] = at ? buckets[at - 1] : [0, 0];
  const [high, upto] = buckets[at];
  if (high === Infinity) return low;
  return low + (high - low) * ((q * all - below) / Math.max(1, upto - below));
}
