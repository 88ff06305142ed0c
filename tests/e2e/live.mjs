// The page under what happens to pages: reloads, many tabs, networks that go, servers that die.
import assert from "node:assert/strict";

import { answer, ask, button, complaints, connected, context, copied, demo, ended, foreign, open, run, say, session, tab, test, text, until, words } from "./browser.mjs";

// Everything that the log has of the session's last answer, and the page too.
async function isComplete(page) {
  await ended(page);
  const stored = await ask("content " + session(page));
  await until("the screen has every word of the log", async () =>
    (await words(page)).join() === (stored.match(/w\d{4}/g) ?? []).join());
  assert.equal(await copied(page), stored);
}

const isPrefix = (list) => list.every((w, i) => w === "w" + String(i).padStart(4, "0"));

test("an answer is seen growing (CLI-2)", async () => {
  const page = await open();
  await say(page, "grow");
  const sizes = new Set();
  await until("many sizes", async () => sizes.add((await words(page)).length).size > 15);
  assert.ok(await button(page, "Stop").isEnabled());
  await isComplete(page);
});

test("reloads at 20 random points of an answer lose and double nothing (SDC-8, FAF-3)", async () => {
  const page = await open();
  await say(page, "grow until stopped");
  await until("text", async () => (await words(page)).length > 5);
  let shown = 0;
  for (let i = 0; i < 20; i++) {
    await page.waitForTimeout(20 + Math.random() * 200);
    await page.reload({ waitUntil: "commit" });
    await until("text again", async () => (await words(page).catch(() => [])).length > 0);
    const list = await words(page);
    assert.ok(isPrefix(list), "words in order, none missing, none twice");
    assert.ok(list.length >= shown, "nothing is lost");
    shown = list.length;
    assert.ok(await button(page, "Stop").isEnabled(), "it can be stopped after reload " + i);
  }
  await button(page, "Stop").click();
  await isComplete(page);
});

test("two tabs show the same while it grows and when it is done (SDC-10)", async () => {
  const one = await open();
  await say(one, "grow");
  await until("text", async () => (await words(one)).length > 20);
  const two = await open(one.url());
  await until("text in both", async () => (await words(two)).length > 20);
  const [a, b] = [await words(one), await words(two)];
  assert.ok(isPrefix(a) && isPrefix(b));
  await isComplete(one);
  await isComplete(two);
  assert.equal(await one.locator(".flow").innerHTML(), await two.locator(".flow").innerHTML());
});

// By CDP the browser is told that it is offline, which lets running streams go on: the wire is cut as well.
async function network(cdp, isThere) {
  await cdp.send("Network.enable");
  await cdp.send("Network.emulateNetworkConditions", { offline: !isThere, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
}

test("a network that goes away in the middle and comes back costs nothing (DUR-4, FAF-7)", async () => {
  const page = await open(await ask("wire"));
  const cdp = await page.context().newCDPSession(page);
  await say(page, "grow slowly");
  await until("text", async () => (await words(page)).length > 30);
  await ask("cut");
  await network(cdp, false);
  await page.locator('#connection[data-state="offline"]').waitFor();
  assert.equal(await page.locator("#connection-text").textContent(), "offline: this device has no network");
  const had = (await words(page)).length;
  await ask("mend");
  await network(cdp, true);
  await connected(page);
  await until("it goes on", async () => (await words(page)).length > had);
  await isComplete(page);
});

test("ten tabs of one browser are all live over HTTP/1.1, also when the one that leads goes (SDC-10)", async () => {
  const within = await context();
  const first = await tab(within);
  await say(first, "hello");
  await ended(first);
  const others = [];
  for (let i = 0; i < 9; i++) others.push(await tab(within, first.url()));
  for (const page of others) await connected(page);
  await say(others[8], "grow until stopped");
  for (const page of [first, ...others]) await until("text in each", async () => (await words(page)).length > 3);
  await first.close(); // which was there first, and so has the connection
  const had = (await words(others[0])).length;
  for (const page of others) await until("it grows in each", async () => (await words(page)).length > had);
  await others[3].evaluate(() => document.getElementById("stop").click()); // which nobody sees, so no mouse reaches it
  for (const page of others) await ended(page);
  const stored = (await ask("content " + session(others[0]))).match(/w\d{4}/g);
  for (const page of others) await until("all have all", async () => (await words(page)).join() === stored.join());
});

test("streamerd killed in the middle: the page waits, comes back and has all (DUR-7)", async () => {
  const page = await open();
  await say(page, "grow slowly");
  await until("text", async () => (await words(page)).length > 30);
  await ask("stop-streamerd");
  await page.locator('#connection[data-state="retrying"]').waitFor();
  assert.match(await answer(page).innerText(), /Working/);
  await ask("start-streamerd");
  await isComplete(page);
});

test("what one tab is asked another answers: a permission and a question (SDC-13)", async () => {
  const one = await open(demo);
  await say(one, "test");
  await button(one, "Allow").waitFor();
  const two = await open(one.url());
  await button(two, "Allow").click();
  await button(one, "Answer").waitFor();
  await one.getByLabel("How it works").check();
  await button(two, "Answer").waitFor();
  await button(one, "Answer").click();
  await ended(two);
  assert.match(await text(two), /What you are looking at/);
  assert.equal(await two.locator(".prompt").count(), 0);
});

test("stop, reload, stop again (SDC-3)", async () => {
  const page = await open();
  await say(page, "grow slowly");
  await until("text", async () => (await words(page)).length > 10);
  await page.keyboard.press("Alt+s");
  await ended(page);
  await answer(page).getByText("Stopped.").waitFor();
  const shown = await text(page);
  await page.reload();
  await answer(page).waitFor();
  assert.equal(await text(page), shown);
  assert.equal(await button(page, "Stop").isDisabled(), true);
  await button(page, "Try again").click();
  await until("it runs again", async () => (await page.locator(".assistant").count()) === 2 && (await words(page)).length > 10);
  await page.reload();
  await until("text", async () => (await words(page)).length > 10);
  await button(page, "Stop").click();
  await ended(page);
  assert.equal(await page.locator(".outcome", { hasText: "Stopped." }).count(), 2);
});

test("who reads above is let alone, who is at the end follows (CLI-2)", async () => {
  const page = await open();
  await say(page, "grow slowly");
  const log = page.locator("#log");
  const distance = () => log.evaluate((e) => e.scrollHeight - e.clientHeight - e.scrollTop);
  await until("there is something to scroll", () => log.evaluate((e) => e.scrollHeight > e.clientHeight + 400));
  assert.ok((await distance()) < 60, "it follows");
  await log.hover();
  await page.mouse.wheel(0, -300);
  await until("it let go", async () => (await distance()) > 150);
  const top = await log.evaluate((e) => e.scrollTop);
  const before = (await words(page)).length;
  await until("more text came", async () => (await words(page)).length > before + 60);
  assert.equal(await log.evaluate((e) => e.scrollTop), top);
  await button(page, "↓ Latest").click();
  await until("it follows again", async () => (await distance()) < 10);
  const height = await log.evaluate((e) => e.scrollHeight);
  await until("and goes on so", async () => (await log.evaluate((e) => e.scrollHeight)) > height && (await distance()) < 60);
});

test("no page broke the policy, failed in a script, or asked another server (SEC-5)", () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(foreign, []);
});

await run();
