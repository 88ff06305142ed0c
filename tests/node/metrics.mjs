// What /ops makes of Prometheus text: sums, growth, quantiles (CLI-2, OPS-5).
import assert from "node:assert/strict";
import { test } from "node:test";
import { helpOf, parse, quantile, rate, total, typeOf } from "../../streamerd/web/page/metrics.js";

const at = (seconds, ...lines) => ({ at: seconds * 1000, ...parse(lines.join("\n")) });
const up = (worker) => `up{worker="${worker}"} 1`;
const head = "# HELP n_total what\\nit is\n# TYPE n_total counter";

test("text is read: values, types, helps, labels with anything in them (CLI-2)", () => {
  const s = at(0, head, 'n_total{worker="0",code="a } b"} 3', "n_total{} 1.5", "# TYPE h histogram", 'h_bucket{le="+Inf"} 7', "h_sum 0.25", "x NaN", "");
  assert.deepEqual([...s.values], [['n_total{worker="0",code="a } b"}', 3], ["n_total{}", 1.5], ['h_bucket{le="+Inf"}', 7], ["h_sum", 0.25]]);
  assert.deepEqual([typeOf(s, "h_sum"), helpOf(s, "n_total{}"), total(s, /^n_total$/), total(s, /^none$/)], ["histogram", "what\nit is", 4.5, null]);
});

test("growth is of those with the labels, per second; a counter that fell began anew (CLI-2)", () => {
  const from = at(0, head, up(0), 'n_total{worker="0",o="done"} 10', 'n_total{worker="0",o="error"} 4');
  const to = at(2, head, up(0), 'n_total{worker="0",o="done"} 16', 'n_total{worker="0",o="error"} 1');
  assert.deepEqual([rate(from, to, /^n_total$/, /o="done"/), rate(from, to, /^n_total$/, /o="error"/), rate(from, to, /^n_total$/), rate(from, to, /^m_total$/)], [3, 0.5, 3.5, null]);
});

test("a figure with a new label grew from 0; those of a worker of whom nothing was known before did not grow (CLI-2)", () => {
  const from = at(0, head, up(0));
  const to = at(1, head, up(0), up(1), 'n_total{worker="0",o="error"} 1', 'n_total{worker="1",o="error"} 500');
  assert.equal(rate(from, to, /^n_total$/), 1);
  assert.equal(rate(at(0, up(0)), to, /^n_total$/), 0);
});

test("a quantile is of what was counted in between, over all workers (CLI-2)", () => {
  const buckets = (a, b, c) => [0, 1].flatMap((w) => [["0.1", a], ["0.2", b], ["+Inf", c]].map(([le, n]) => `h_bucket{worker="${w}",le="${le}"} ${n}`));
  const from = at(0, ...buckets(100, 100, 100));
  const to = at(2, ...buckets(105, 110, 110));
  assert.equal(quantile(from, to, "h", 0.5), 0.1);
  assert.ok(Math.abs(quantile(from, to, "h", 0.75) - 0.15) < 1e-9);
  assert.equal(quantile(to, to, "h", 0.5), null);
});
