// The page's parts, one after the other, as a person meets them.
import assert from "node:assert/strict";

import { answer, ask, button, complaints, connected, demo, ended, foreign, open, run, say, session, test, text, until, url, words } from "./browser.mjs";

test("a newcomer types test and meets a permission and a question (CLI-2, PRV-3)", async () => {
  const page = await open(demo);
  await page.getByText("What can I do for you?").waitFor();
  await say(page, "test");
  await button(page, "Allow for this session").focus();
  await page.keyboard.press("Enter");
  await button(page, "Answer").waitFor();
  assert.equal(await page.getByLabel("Message", { exact: true }).evaluate((e) => e === document.activeElement), true, "the focus is not lost");
  const tool = page.locator(".tool").first();
  assert.equal(await tool.locator(".status").textContent(), "done");
  await tool.locator("summary").click();
  assert.match(await tool.innerText(), /demo · roll_dice[^]*"sides":6[^]*\(sum \d+\)/);
  await page.keyboard.press("Alt+p"); // to what waits
  await page.keyboard.press("Space");
  await page.keyboard.press("Enter");
  await ended(page);
  assert.match(await text(page), /What you are looking at/);
  assert.ok(await answer(page).locator(".reasoning").isVisible());
  await say(page, "the dice again");
  await until("no second permission is needed", async () => /The dice show:/.test(await text(page)));
});

test("text and tools stand in the order in which they came, also after a reload (SDC-8, CLI-2)", async () => {
  const page = await open();
  await say(page, "show tools");
  await ended(page);
  const order = () => answer(page).locator(".flow > *").evaluateAll((all) => all.filter((e) => e.matches(".text, .tool"))
    .map((e) => (e.matches(".tool") ? e.querySelector(".tool-name").textContent + " " + e.querySelector(".status").textContent : e.textContent.trim())));
  const wanted = ["I look at the folder first.", "kit · echo done", "kit · fails failed", "Now the file itself, carefully:",
    "kit · echo done", "It has 42 lines. 😀 Anything else?"];
  assert.deepEqual(await order(), wanted);
  assert.match(await page.locator(".tool-time").first().textContent(), /^\d+(\.\d)? m?s$/);
  assert.match(await answer(page).locator(".foot").innerText(), /9 tokens in · 15 out/);
  assert.equal(await page.locator("#model").textContent(), "main · test-model");
  await page.reload();
  await answer(page).waitFor();
  assert.deepEqual(await order(), wanted);
  await page.locator(".reasoning summary").click();
  await page.getByText("The user wants to know what is in the folder.").waitFor();
});

test("Markdown is shown as such, and code can be copied (CLI-2)", async () => {
  const page = await open(url, { permissions: ["clipboard-read", "clipboard-write"] });
  await say(page, "show markdown");
  await ended(page);
  const flow = answer(page).locator(".text");
  assert.equal(await flow.locator("ol > li").count(), 3);
  assert.equal(await flow.locator("table td.to-right").count(), 3);
  assert.ok((await flow.locator("pre code .hljs-keyword").count()) > 2);
  assert.equal(await flow.locator("a").getAttribute("href"), "https://www.sqlite.org/wal.html");
  assert.equal(await flow.locator("a").getAttribute("rel"), "noopener noreferrer nofollow");
  const streamed = await flow.innerHTML();
  await button(page, "Copy the code").click();
  const code = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(code.startsWith("import sqlite3\n\ndef stuck(") && code.endsWith(".fetchall()\n"));
  await page.reload();
  await answer(page).waitFor();
  assert.deepEqual((await flow.innerHTML()).split("<"), streamed.split("<"), "drawn piece by piece is as drawn at once");
});

test("a prompt is in every tab, also after a reload, until one answers it (SDC-8, SDC-12)", async () => {
  const one = await open(demo);
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
  await ended(two);
  await ended(one);
  await until("the answer is quoted", async () => /<img src=x onerror=/.test(await text(two)));
  assert.equal(await two.locator("#log img").count(), 0);
  assert.equal(await text(one), await text(two));
});

test("while a turn runs messages queue up, can be withdrawn in any tab, or interrupt (CLI-2, API-4)", async () => {
  const one = await open(demo);
  await say(one, "test");
  await button(one, "Allow").waitFor();
  const two = await open(one.url());
  await button(two, "Allow").waitFor();
  await say(one, "demo: first in line");
  await say(two, "demo: second in line");
  await until("both see both", async () => (await one.locator("#queue li").count()) === 2 && (await two.locator("#queue li").count()) === 2);
  await button(two, "Withdraw: demo: second in line").click();
  await until("it is gone", async () => (await one.locator("#queue li").count()) === 1);
  await one.getByLabel("While it answers").selectOption("interrupt");
  await say(one, "demo: now");
  await until("the one behind it runs too", async () => /first in line/.test(await text(two)));
  assert.match(await two.locator(".assistant").first().innerText(), /Stopped\./);
  await ended(two);
  assert.equal(await two.locator(".user").count(), 3);
  assert.equal(await two.locator(".user").nth(1).textContent(), "demo: now");
});

test("the list finds chats, says how they stand, and follows the keyboard (CLI-2)", async () => {
  const page = await open();
  await say(page, "provider fails");
  await answer(page).locator(".outcome.error").waitFor();
  await page.keyboard.press("Alt+n");
  await page.getByText("What can I do for you?").waitFor();
  await say(page, "ask me");
  await button(page, "Allow").waitFor();
  const row = (title) => page.locator("#list a", { hasText: title }).first();
  await row("ask me").getByText("waits for you").waitFor();
  await row("provider fails").getByText("failed", { exact: true }).waitFor();
  assert.match(await page.title(), /^\(1\) ask me/);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("provider f");
  await until("others are hidden", async () => (await page.locator("#list a").evaluateAll((all) => all.every((a) => a.textContent.includes("provider fails")))));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await answer(page).locator(".outcome.error").waitFor();
  await button(page, "1 other chat waits for you").click();
  await button(page, "Deny").waitFor();
  await page.goBack();
  await answer(page).locator(".outcome.error").waitFor();
});

test("the list follows what happens elsewhere without asking for it again and again, over the one connection (CLI-2, SDC-12)", async () => {
  const page = await open();
  const seen = { lists: 0, streams: 0 };
  const row = (title) => page.locator("#list a", { hasText: title });
  await page.locator("#list a, #list-note:not([hidden])").first().waitFor();
  const send = (message) => page.evaluate(async (body) => (await fetch("/v1/messages", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json(), message);
  const other = await send({ content: "demo: seen from afar" });
  await row("seen from afar").waitFor();
  await row("seen from afar").locator(".badge[hidden]").waitFor({ state: "attached" });
  page.on("request", (r) => {
    const { pathname } = new URL(r.url());
    seen.lists += pathname === "/v1/sessions";
    seen.streams += pathname === "/v1/events" || pathname.endsWith("/events");
  });
  await page.waitForTimeout(7000); // longer than it would wait to ask again
  assert.deepEqual(seen, { lists: 0, streams: 0 }, "requests while nothing happens");
  const asks = await send({ content: "ask me" });
  await page.locator(`#list a[data-id="${asks.session_id}"] .badge`, { hasText: "waits for you" }).waitFor();
  await page.evaluate((id) => fetch("/v1/sessions/" + id + "/abort", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }), asks.session_id);
  await page.locator(`#list a[data-id="${asks.session_id}"] .badge[hidden]`).waitFor({ state: "attached" });
  await page.evaluate((id) => fetch("/v1/sessions/" + id, { method: "DELETE" }), other.session_id);
  await page.locator(`#list a[data-id="${other.session_id}"]`).waitFor({ state: "detached" });
  assert.ok(seen.lists >= 3 && seen.lists < 20, seen.lists + " readings");
  assert.equal(seen.streams, 0, "the connection is the same");
});

test("a chat is deleted when that is confirmed, and other tabs hear of it (CLI-2, SDC-6)", async () => {
  const page = await open();
  await say(page, "demo: to be deleted");
  await ended(page);
  const id = session(page);
  const two = await open(page.url());
  await answer(two).waitFor();
  await button(page, "Delete").click();
  await page.keyboard.press("Escape");
  assert.equal(session(page), id);
  await button(page, "Delete").click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("What can I do for you?").waitFor();
  await two.getByText("This chat was deleted.").waitFor();
  await page.goto(url + "#/s/" + id);
  await page.getByText("This chat does not exist any more.").waitFor();
});

test("a message is sent again until it arrived, and arrives once (CLI-2, DUR-5)", async () => {
  const page = await open();
  await say(page, "demo: hello");
  await ended(page);
  const keys = [];
  await page.route("**/v1/messages", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    if (keys.length > 2) return route.continue();
    const response = await route.fetch(); // it arrives, its answer does not, or breaks off
    if (keys.length === 1) return route.abort();
    return route.fulfill({ status: 202, contentType: "application/json", body: (await response.text()).slice(0, -5) });
  });
  await say(page, "demo: once");
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  await until("the answer", async () => (await page.locator(".assistant").count()) === 2);
  await ended(page);
  assert.equal(await page.locator(".user").count(), 2);
  assert.equal(await page.locator("#queue li").count(), 0);
  assert.equal(await page.locator("#problem").isVisible(), false);
});

test("a refused stream says why, and is tried again where that helps (FAF-6)", async () => {
  const page = await open();
  await say(page, "demo: hello");
  await ended(page);
  for (const [status, code, message] of [[429, "too_many", "too many open viewers"], [503, "worker_unavailable", "the worker is away"]]) {
    let refusing = true; // a slow page tries again by itself before anybody can click
    await page.route(/\/events/, (route) => (refusing ? route.fulfill({ status, json: { error: { code, message } } }) : route.continue()));
    await page.reload();
    await page.locator("#connection", { hasText: message + " (" + status + ")" }).waitFor();
    await page.getByRole("button", { name: /^trying again in \d+ s: now$/ }).click();
    refusing = false;
    await connected(page);
    await page.unroute(/\/events/);
  }
});

test("a server that wants a token gets one, and it is forgotten on demand (SEC-2, CLI-2)", async () => {
  const page = await open();
  await say(page, "demo: hello");
  await ended(page);
  const guard = (route) => {
    if (route.request().headers().authorization === "Bearer right-token") return route.continue();
    return route.fulfill({ status: 401, json: { error: { code: "unauthorized", message: "a valid token is needed" } } });
  };
  await page.context().route(/\/v1\/|\/metrics/, guard);
  await page.reload();
  await page.locator("#token").fill("wrong-token");
  await page.keyboard.press("Enter");
  await page.getByText("The server did not accept this token.").waitFor();
  await page.locator("#token").fill("right-token");
  await page.keyboard.press("Enter");
  await answer(page).waitFor();
  await connected(page);
  await page.reload();
  await answer(page).waitFor();
  await page.goto(url + "ops");
  await page.getByText("Turns begun and ended").first().waitFor();
  await page.goto(url);
  assert.equal(await page.evaluate(() => localStorage.length), 0, "it is kept for the tab");
  await button(page, "Sign out").click();
  await page.locator("#token").waitFor();
});

test("a token is good until the page is closed where the browser forbids storage (SEC-2, FAF-6)", async () => {
  const page = await open();
  await say(page, "demo: hello");
  await ended(page);
  await page.context().addInitScript(() => {
    for (const name of ["sessionStorage", "localStorage"]) {
      Object.defineProperty(window, name, { get() { throw new DOMException("forbidden here", "SecurityError"); } });
    }
    navigator.locks.request = () => Promise.reject(new DOMException("forbidden here", "SecurityError"));
  });
  await page.context().route(/\/v1\//, (route) => (route.request().headers().authorization === "Bearer right-token" ? route.continue()
    : route.fulfill({ status: 401, json: { error: { code: "unauthorized", message: "a valid token is needed" } } })));
  await page.reload();
  for (const token of ["wrong-token", "right-token"]) {
    await page.locator("#token").fill(token);
    await page.keyboard.press("Enter");
    if (token === "wrong-token") await page.getByText("The server did not accept this token.").waitFor();
  }
  await answer(page).waitFor();
  await connected(page);
  assert.equal(await page.locator("#login").isVisible(), false);
  await page.locator("#list a", { hasText: "demo: hello" }).first().waitFor();
  await say(page, "demo: again");
  await until("the second answer", async () => (await page.locator(".assistant").count()) === 2);
  await ended(page);
  await button(page, "Sign out").click();
  await page.locator("#token").waitFor();
});

test("a stop for a turn that does not run any more gets a snapshot (FAF-6)", async () => {
  const page = await open();
  await say(page, "ask me");
  await button(page, "Allow").waitFor();
  await page.route("**/abort", (route) =>
    route.fulfill({ status: 409, json: { error: { code: "not_processing", message: "the session is not processing a turn" } } }));
  const asked = page.waitForRequest(/\/(events|snapshot)\b/);
  await button(page, "Stop").click();
  await asked;
  await button(page, "Allow").waitFor();
  assert.equal(await page.locator(".assistant").count(), 1);
});

test("an event that can't be shown is a problem that is told, and a snapshot follows (FAF-6)", async () => {
  const page = await open();
  await say(page, "demo: hello");
  await ended(page);
  let tries = 0;
  await page.route(/\/events/, (route) =>
    ++tries > 1 ? route.continue() : route.fulfill({ contentType: "text/event-stream",
      body: "event: snapshot\ndata: {\"seq\":1,\"messages\":7}\n\n" }));
  await page.reload();
  await page.locator("#problem", { hasText: /could not be shown/ }).waitFor();
  await answer(page).waitFor();
  complaints.splice(0);
});

test("a worker that stays away is told, and so is that it is back (FAF-6)", async () => {
  const page = await open();
  await say(page, "grow slowly");
  await until("text", async () => (await words(page)).length > 20);
  await ask("stop-chatd");
  await page.locator("#notice", { hasText: /worker of this session is not reachable/ }).waitFor();
  await ask("start-chatd");
  await ended(page);
  await until("it is not said any more", async () => !(await page.locator("#notice").isVisible()));
});

test("an error is readable, also for who comes later, and can be tried again (CLI-2, FAF-2)", async () => {
  const page = await open();
  await say(page, "provider fails");
  const shown = answer(page).locator(".outcome.error");
  await shown.waitFor();
  assert.match(await shown.innerText(), /The model is overloaded, please come back later/);
  await page.reload();
  assert.match(await shown.innerText(), /overloaded/);
  await ask("provider-recovers");
  await button(page, "Try again").click();
  await until("the second answer", async () => /it is well again/.test(await text(page)));
  assert.equal(await page.locator(".user").count(), 2);
  assert.equal(await button(page, "Try again").count(), 0, "what was tried again is not offered twice");
});

test("half a message survives a reload, and each chat has its own (CLI-2)", async () => {
  const page = await open();
  await say(page, "demo: hello");
  await ended(page);
  await page.getByLabel("Message", { exact: true }).fill("half a sen");
  await page.reload();
  assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "half a sen");
  await page.keyboard.press("Alt+n");
  assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "");
});

test("no page broke the policy, failed in a script, or asked another server (SEC-5)", () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(foreign, []);
});

await run();
