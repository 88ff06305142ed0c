// An answer of 20,000 chunks: the page stays usable. Prints its figures.
import assert from "node:assert/strict";

import { answer, ended, open, run, say, SCALE, session, test, ask } from "./browser.mjs";

test("20,000 chunks: frames stay short, memory bounded, finished blocks untouched (CLI-2)", async () => {
  const page = await open();
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  await page.evaluate(() => {
    window.frames_ms = [];
    window.touched = 0;
    let last = performance.now();
    const tick = (now) => {
      window.frames_ms.push(now - last);
      last = now;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    window.long = [];
    new PerformanceObserver((list) => window.long.push(...list.getEntries().map((e) => e.duration))).observe({ entryTypes: ["longtask"] });
  });
  const began = Date.now();
  await say(page, "big");
  // what is finished is not drawn again: no change inside all but the last block
  await answer(page).locator(".text > :nth-child(10)").waitFor();
  await page.evaluate(() => {
    const box = [...document.querySelectorAll(".text")].at(-1);
    for (const e of [...box.children].slice(0, 8)) {
      new MutationObserver((list) => (window.touched += list.length)).observe(e, { subtree: true, childList: true, characterData: true, attributes: true });
    }
  });
  await ended(page);
  await page.waitForFunction(() => [...document.querySelectorAll(".text")].at(-1).lastElementChild.textContent.includes("cell 19999"),
    null, { polling: 500, timeout: 120000 * SCALE });
  const took = Date.now() - began;
  const stored = await ask("content " + session(page));
  const { frames, long, touched, nodes } = await page.evaluate(() => ({
    frames: window.frames_ms, long: window.long, touched: window.touched, nodes: document.querySelectorAll("#log *").length,
  }));
  await cdp.send("HeapProfiler.collectGarbage");
  const { metrics } = await cdp.send("Performance.getMetrics");
  const heap = metrics.find((m) => m.name === "JSHeapUsedSize").value / 1e6;
  frames.sort((a, b) => a - b);
  const at = (q) => frames[Math.floor(q * (frames.length - 1))];
  const typed = await page.evaluate(async () => {
    const field = document.getElementById("text");
    const began = performance.now();
    field.value = "x";
    field.dispatchEvent(new Event("input"));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - began;
  });
  console.log(`# chunks=20000 bytes=${stored.length} drawn_ms=${took} elements=${nodes} frames=${frames.length} ` +
    `p50=${at(0.5).toFixed(1)} p95=${at(0.95).toFixed(1)} p99=${at(0.99).toFixed(1)} max=${at(1).toFixed(1)} ` +
    `long_tasks=${long.length} longest=${Math.max(0, ...long).toFixed(0)} heap_mb=${heap.toFixed(1)} key_ms=${typed.toFixed(1)}`);
  assert.equal(touched, 0);
  // generous: the machine may be shared, and draws without a graphics card
  assert.ok(at(0.95) < 1500 * SCALE, "95 % of frames");
  assert.ok(Math.max(0, ...long) < 5000 * SCALE, "no task is long");
  assert.ok(heap < 150, "memory");
  assert.ok(typed < 1500 * SCALE, "a key shows");
});

await run();
