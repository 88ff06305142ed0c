// The page in Chromium:  node page.mjs URL CHROMIUM  (started by test_page.py, which restarts
// daemons when a line says so). Prints TAP.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [, , url, executablePath] = process.argv;
const { chromium } = createRequire(join(process.env.PLAYWRIGHT_DIR, "x.js"))("playwright-core");
const LIMIT = 10000 * Number(process.env.TIME_SCALE || 1);

const tests = [];
const test = (name, fn) => tests.push([name, fn]);
const replies = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (command) => {
  console.log(command);
  await replies.next();
};

let browser;
let complaints = []; // what pages said on their console, and scripts that failed

async function open(address = url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 900, height: 700 }, ...options });
  context.setDefaultTimeout(LIMIT);
  const page = await context.newPage();
  page.on("pageerror", (e) => complaints.push(e.message));
  page.on("console", (m) => {
    if (m.type() === "error" && !/Failed to load resource|net::ERR/.test(m.text())) complaints.push(m.text());
  });
  await page.goto(address);
  return page;
}

async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("text").value === "");
}

const answer = (page) => page.locator(".assistant").last();
const idle = (page) => page.locator("#stop[disabled]").waitFor();
const text = async (page) => (await answer(page).locator(".content").textContent()) || "";
const button = (page, name) => page.getByRole("button", { name, exact: true });
const until = async (what, condition) => {
  const end = Date.now() + LIMIT;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("it does not come true: " + what);
    await new Promise((done) => setTimeout(done, 20));
  }
};


test("a newcomer types test and meets a permission and a question (CLI-2, PRV-3)", async () => {
  const page = await open();
  await say(page, "test");
  await button(page, "Allow for this session").focus();
  await page.keyboard.press("Enter");
  await button(page, "Answer").waitFor();
  const tool = page.locator(".tool").first();
  assert.equal(await tool.locator(".status").textContent(), "done");
  await tool.locator("summary").click();
  assert.match(await tool.innerText(), /demo · roll_dice[^]*"sides":6[^]*\(sum \d+\)/);
  assert.match(await text(page), /The dice show:\n\n> \d, \d/);
  await page.getByLabel("How it works").check();
  await button(page, "Answer").click();
  await idle(page);
  assert.match(await text(page), /What you are looking at/);
  assert.ok(await answer(page).locator(".reasoning").isVisible());
  await say(page, "the dice again");
  await until("no second permission is needed", async () => /The dice show:/.test(await text(page)));
});

test("a prompt is in every tab, also after a reload, until one answers it (SDC-8, SDC-12)", async () => {
  const one = await open();
  await say(one, "test");
  await button(one, "Deny").waitFor();
  await one.reload();
  const two = await open(one.url(), { viewport: { width: 360, height: 640 }, colorScheme: "dark" });
  await button(one, "Deny").waitFor();
  await button(two, "Allow for this session").waitFor();
  assert.equal(await text(one), await text(two));
  assert.ok(await two.evaluate(() => document.documentElement.scrollWidth <= 360), "it fits a phone");
  await button(two, "Deny").click();
  await button(one, "Answer").waitFor();
  assert.equal(await one.locator(".tool .status").first().textContent(), "not allowed");
  await one.getByLabel("Your own answer").fill("<img src=x onerror=document.title='taken'> & more");
  await button(one, "Answer").click();
  await idle(two);
  await idle(one);
  assert.match(await text(two), /> <img src=x onerror=/);
  assert.equal(await two.locator("#log img").count(), 0);
  assert.equal(await text(one), await text(two));
});

test("while a turn runs messages queue up, and can be withdrawn in any tab (CLI-2)", async () => {
  const one = await open();
  await say(one, "test");
  await button(one, "Allow").waitFor();
  const two = await open(one.url());
  await say(one, "demo: first in line");
  await say(two, "demo: second in line");
  await until("both see both", async () => (await one.locator("#queue li").count()) === 2 && (await two.locator("#queue li").count()) === 2);
  await button(two, "Withdraw: demo: second in line").click();
  await until("it is gone", async () => (await one.locator("#queue li").count()) === 1);
  await button(one, "Stop").click();
  await until("the next one runs", async () => /first in line/.test(await text(two)));
  assert.match(await two.locator(".assistant").first().innerText(), /Stopped\./);
});

test("a reload in the middle of an answer continues it, and stop ends it (SDC-8, CLI-2)", async () => {
  const page = await open();
  await say(page, "demo: chunks=5000 size=16");
  await until("text", async () => (await text(page)).length > 500);
  const before = await text(page);
  await page.reload();
  await until("more text", async () => (await page.locator(".assistant").count()) === 1 && (await text(page)).length > before.length);
  assert.ok((await text(page)).startsWith(before));
  await button(page, "Stop").click();
  await idle(page);
  assert.match(await answer(page).innerText(), /Stopped\./);
  const shown = await text(page);
  await page.reload();
  await page.locator(".assistant").waitFor();
  assert.equal(await text(page), shown);
});

test("a stream that breaks off is not the end of the answer (FAF-7)", async () => {
  const page = await open();
  await say(page, "demo: chunks=600 size=8");
  await until("text", async () => (await text(page)).length > 200);
  await ask("stop-streamerd");
  await page.locator("#connection.bad").waitFor();
  assert.match(await answer(page).innerText(), /Working/);
  assert.ok(await button(page, "Stop").isEnabled());
  await ask("start-streamerd");
  await idle(page);
  assert.equal((await text(page)).length, 600 * 8);
});

test("a message is sent again until it arrived, and arrives once (CLI-2)", async () => {
  const page = await open();
  await say(page, "demo: hello");
  await idle(page);
  let tries = 0;
  await page.route("**/v1/messages", async (route) => {
    if (++tries > 1) return route.continue();
    await route.fetch(); // it arrives, its answer does not
    return route.abort();
  });
  await say(page, "demo: once");
  assert.equal(tries, 2);
  await until("the answer", async () => /once[^]*Have fun!/.test(await text(page)));
  await idle(page);
  assert.equal(await page.locator(".user").count(), 2);
  assert.equal(await page.locator("#queue li").count(), 0);
  assert.equal(await page.locator("#problem").isVisible(), false);
});

test("a message whose answer breaks off is sent again (CLI-2, FAF-6)", async () => {
  const page = await open();
  const keys = [];
  await page.route("**/v1/messages", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    if (keys.length > 1) return route.continue();
    const answer = await route.fetch();
    return route.fulfill({ status: 202, contentType: "application/json", body: (await answer.text()).slice(0, -5) });
  });
  await say(page, "demo: broken off");
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  await until("the answer", async () => (await page.locator(".assistant").count()) > 0 && /Have fun!/.test(await text(page)));
  await idle(page);
  assert.equal(await page.locator(".user").count(), 1);
  assert.equal(await page.locator("#queue li").count(), 0);
});

const refusals = [
  [429, "too_many", "too many open viewers", /not connected: too many open viewers \(429\), trying again/],
  [503, "worker_unavailable", "the worker is away", /not connected: the worker is away \(503\), trying again/],
  [401, "unauthorized", "a valid token is needed", /^not connected: a token is needed$/],
];
test("a refused stream says why, and is tried again where that helps (FAF-6)", async () => {
  const page = await open();
  await say(page, "demo: hello");
  await idle(page);
  for (const [status, code, message, shown] of refusals) {
    let tries = 0;
    await page.route("**/events*", (route) =>
      ++tries > 1 ? route.continue() : route.fulfill({ status, json: { error: { code, message } } }));
    await page.reload();
    await page.locator("#connection", { hasText: shown }).waitFor();
    if (status === 401) assert.match(await page.locator("#problem").innerText(), /wants a token, and this page can't send one/);
    else await page.locator("#connection", { hasText: /^connected$/ }).waitFor();
    await page.unroute("**/events*");
  }
});

test("a stop for a turn that does not run any more gets a snapshot (FAF-6)", async () => {
  const page = await open();
  await say(page, "test");
  await button(page, "Allow").waitFor();
  await page.route("**/abort", (route) =>
    route.fulfill({ status: 409, json: { error: { code: "not_processing", message: "the session is not processing a turn" } } }));
  const asked = page.waitForRequest(/\/events$/); // without a cursor
  await button(page, "Stop").click();
  await asked;
  await button(page, "Allow").waitFor();
  assert.equal(await page.locator(".assistant").count(), 1);
});

test("when the network is back the stream is opened anew where it was (FAF-7)", async () => {
  const page = await open();
  await say(page, "test");
  await button(page, "Allow").waitFor();
  const asked = page.waitForRequest(/\/events\?last_event_id=\d+-\d+$/);
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
  await asked;
  await page.locator("#connection", { hasText: /^connected$/ }).waitFor();
  // a machine that slept: nobody looked for longer than a connection is trusted
  const look = (visibility, later) => page.evaluate(([value, ms]) => {
    const now = Date.now() + ms;
    Date.now = () => now;
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, [visibility, later]);
  let opened = 0;
  page.on("request", (r) => (opened += /\/events\?/.test(r.url())));
  await look("hidden", 0);
  await look("visible", 10000);
  assert.equal(opened, 0);
  await look("hidden", 0);
  await look("visible", 31000);
  await until("it is opened anew", () => opened === 1);
});

test("an event that can't be shown is a problem that is told, and a snapshot follows (FAF-6)", async () => {
  const page = await open();
  await say(page, "demo: hello");
  await idle(page);
  let tries = 0;
  await page.route("**/events*", (route) =>
    ++tries > 1 ? route.continue() : route.fulfill({ contentType: "text/event-stream", body: "event: warning\ndata: {broken\n\n" }));
  await page.reload();
  await page.locator("#problem", { hasText: /An event could not be shown \(warning: / }).waitFor();
  await page.locator(".assistant").waitFor();
});

test("a worker that stays away is told, and so is that it is back (FAF-6)", async () => {
  const page = await open();
  await say(page, "demo: chunks=900 size=8");
  await until("text", async () => (await text(page)).length > 200);
  await ask("stop-chatd");
  await page.locator("#connection.bad", { hasText: /The worker of this session is not reachable/ }).waitFor();
  await ask("start-chatd");
  await page.locator("#connection", { hasText: /^connected$/ }).waitFor();
  await idle(page);
});

test("an error is shown, also to who comes later (CLI-2)", async () => {
  const page = await open();
  await say(page, "demo: error");
  await answer(page).locator(".foot.error").waitFor();
  await page.reload();
  assert.match(await answer(page).locator(".foot.error").innerText(), /asked to \(provider_error\)/);
  await page.goto(url + "#ses_00000000000000000000000000");
  await page.getByText("This chat does not exist any more.").waitFor();
});

test("no page broke the policy or failed in a script (CLI-2)", () => assert.deepEqual(complaints, []));

browser = await chromium.launch({ executablePath, args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
  "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
let failed = 0;
console.log("1.." + tests.length);
for (const [i, [name, fn]] of tests.entries()) {
  try {
    await fn();
    console.log("ok " + (i + 1) + " - " + name);
  } catch (error) {
    failed++;
    console.log("not ok " + (i + 1) + " - " + name);
    console.log(String(error.stack || error).replace(/^/gm, "# "));
  }
  for (const context of browser.contexts()) await context.close();
}
await browser.close();
process.exit(failed ? 1 : 0);
