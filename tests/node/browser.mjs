// Ten tabs of a real Chromium over HTTP/1.1, which allows six connections: one stream serves them, and whose tab it was may close
// (CLI-1, SDC-10). Needs playwright-core (NODE_MODULES), Chromium (CHROMIUM) and the daemons (BASE_URL).
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

const { BASE_URL, NODE_MODULES } = process.env;
const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
const LIMIT = 60000 * Number(process.env.TIME_SCALE || 1);

async function until(what, condition) {
  for (const end = Date.now() + LIMIT; !(await condition()); await new Promise((done) => setTimeout(done, 50))) {
    if (Date.now() > end) throw new Error("it does not come true: " + what);
  }
}

async function post(content) {
  const r = await fetch(BASE_URL + "/v1/messages", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ content }) });
  return (await r.json()).session_id;
}

test("ten tabs are all live over one connection; the leading ones are closed in mid-answer (CLI-1, SDC-10)",
  { skip: existsSync(executablePath) ? false : "chromium is not installed" }, async () => {
    const { chromium } = createRequire(join(NODE_MODULES, "x.js"))("playwright-core");
    const browser = await chromium.launch({ executablePath, args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
    try {
      const sessions = await Promise.all([1, 2, 3].map(() => post("demo: chunks=3000 size=8")));
      const context = await browser.newContext();
      const streams = []; // [page, url] of each event stream that was asked for
      const pages = [];
      for (let i = 0; i < 10; i++) {
        const page = await context.newPage();
        page.on("request", (r) => /\/events(\?|$)/.test(r.url()) && streams.push([page, r.url()]));
        await page.goto(BASE_URL + "/healthz"); // of the same origin, and with no script of its own
        await page.evaluate(async (id) => {
          const { ChatClient } = await import("/chat-client/chat-client.js");
          globalThis.view = new ChatClient().view(id);
          globalThis.view.subscribe(() => {});
          globalThis.text = () => String(globalThis.view.getState().chat.entries.at(-1)?.content ?? "");
        }, sessions[i % 3]);
        pages.push(page);
      }
      const text = (page) => page.evaluate(() => globalThis.text());
      const allLive = async () => (await Promise.all(pages.map((p) => p.evaluate(() => globalThis.view.getState().connection.state + (globalThis.text() ? "!" : ""))))).every((s) => s === "live!");
      await until("all are live", allLive);
      assert.equal(new Set(streams.map(([page]) => page)).size, 1, "one tab has the stream");
      for (let round = 0; round < 2; round++) {
        const leader = streams.at(-1)[0];
        const before = streams.length;
        pages.splice(pages.indexOf(leader), 1);
        await leader.close();
        await until("another one leads", () => streams.length > before);
        assert.notEqual(streams.at(-1)[0], leader);
        await until("all are live again", allLive);
      }
      await until("all have ended", async () => (await Promise.all(pages.map((p) => p.evaluate(() => globalThis.view.getState().chat.status)))).every((s) => s === "idle"));
      for (const page of pages) assert.equal((await text(page)).length, 24000);
      const last = await post("demo: chunks=5 size=8"); // a tab moves on to another session
      await pages[0].evaluate(async (id) => {
        const { ChatClient } = await import("/chat-client/chat-client.js");
        globalThis.view = new ChatClient().view(id);
        globalThis.view.subscribe(() => {});
      }, last);
      await until("it is shown", async () => (await text(pages[0])).length === 40);
    } finally {
      await browser.close();
    }
  });
