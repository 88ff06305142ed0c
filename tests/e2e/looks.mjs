// How the page looks and reads: axe-core on each view, hostile answers, /ops, phone and keyboard. SHOTS=FOLDER keeps pictures.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { answer, button, complaints, context, ended, foreign, open, require, run, say, tab, test, text, until, url } from "./browser.mjs";

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// No serious or critical violation. axe-core goes in by the debugger's door, past the page's policy.
async function accessible(page, view) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Runtime.evaluate", { expression: axe });
  const { result } = await cdp.send("Runtime.evaluate", { awaitPromise: true, returnByValue: true,
    expression: `axe.run(document, {resultTypes: ["violations"], iframes: false}).then((r) => r.violations
      .filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => v.id + ": " + v.nodes.map((n) => n.target + " " + n.failureSummary).join("; ")))` });
  assert.deepEqual(result.value, [], view);
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, view + ".png") });
}

const views = {
  light: {}, dark: { colorScheme: "dark" }, phone: { viewport: { width: 360, height: 700 } },
};
for (const [name, options] of Object.entries(views)) {
  test("axe-core finds nothing serious in any view: " + name + " (CLI-2)", async () => {
    const within = await context(options);
    const page = await tab(within);
    await page.getByText("What can I do for you?").waitFor();
    await accessible(page, name + "-empty");
    await say(page, "show tools");
    await ended(page);
    for (const fold of await page.locator("#log summary").all()) await fold.click();
    await accessible(page, name + "-tools");
    await say(page, "show markdown");
    await ended(page);
    await until("it is drawn", async () => /for the rest/.test(await text(page)));
    await accessible(page, name + "-markdown");
    await page.goto(url);
    await say(page, "ask me");
    await button(page, "Allow").waitFor();
    await say(page, "and then another thing");
    await page.locator("#queue li").waitFor();
    await accessible(page, name + "-prompt");
    await page.goto(url);
    await say(page, "ask a question");
    await button(page, "Answer").waitFor();
    await accessible(page, name + "-question");
    await page.goto(url);
    await say(page, "provider fails");
    await answer(page).locator(".outcome.error").waitFor();
    await accessible(page, name + "-error");
    if (name === "phone") {
      await button(page, "Chats").click();
      await until("the list slid in", async () => (await page.locator("#side").boundingBox()).x === 0);
      await accessible(page, name + "-list");
      const focus = () => page.evaluate(() => document.activeElement.id);
      assert.equal(await focus(), "search", "the list took the focus");
      await page.keyboard.press("Escape");
      assert.equal(await focus(), "side-open", "where it was opened has the focus again");
      await until("it slid out", async () => (await page.locator("#side").boundingBox()).x < -200);
      for (const width of [320, 360]) {
        await page.setViewportSize({ width, height: 600 });
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it fits " + width);
      }
    }
    await page.goto(url + "ops");
    await page.getByRole("heading", { name: "Time of a commit" }).waitFor();
    await page.locator("details").evaluateAll((all) => all.forEach((d) => (d.open = true)));
    await accessible(page, name + "-ops");
    await within.route(/\/v1\//, (route) => route.fulfill({ status: 401, json: { error: { code: "unauthorized", message: "a valid token is needed" } } }));
    await page.goto(url);
    await page.locator("#token").waitFor();
    await accessible(page, name + "-login");
  });
}

test("a hostile answer does nothing (SEC-5)", async () => {
  const page = await open();
  await say(page, "hostile");
  await ended(page);
  await until("it is drawn", async () => /half/.test(await text(page)));
  for (const round of ["streamed", "reloaded"]) {
    const flow = answer(page).locator(".flow");
    assert.equal(await flow.locator("script, img, svg, iframe, style, form, input, [onerror], [onload], [style], [onmouseover]").count(), 0, round);
    const links = await flow.locator("a").evaluateAll((all) => all.map((a) => [a.getAttribute("href") ?? "", a.rel]));
    assert.ok(links.length > 0);
    for (const [href, rel] of links) {
      assert.match(href, /^https:/, round);
      assert.match(rel, /noopener/);
    }
    for (const a of await flow.locator('a:not([href^="https:"])').all()) await a.click();
    assert.equal(await page.evaluate(() => window.taken), undefined, round);
    assert.ok((await text(page)).includes('<script>window.taken = 1</script>'), "it is shown as the text that it is");
    await page.reload();
    await answer(page).locator(".text").waitFor();
  }
});

test("200 kB in one line are shown, and the page goes on (SEC-5, CLI-2)", async () => {
  const page = await open();
  await say(page, "one line");
  await ended(page);
  await until("it is drawn", async () => (await text(page)).length > 190000);
  assert.equal(await answer(page).locator("a[href^=javascript], b").count(), 0);
  const began = Date.now();
  await say(page, "show markdown");
  await until("the next answer", async () => /for the rest/.test(await text(page)));
  assert.ok(Date.now() - began < 15000);
});

test("the operator's view follows what the server does (OPS-5, CLI-2)", async () => {
  const page = await open();
  const ops = await open(url + "ops");
  await say(page, "grow slowly");
  const plot = (name) => ops.locator(".plot", { has: ops.getByRole("heading", { name, exact: true }) });
  const wanted = { Turns: 3, "Turns begun and ended": 3, Workers: 3, Viewers: 2, Events: 2, "Bytes to viewers": 1, "Time of a commit": 2, Tokens: 2, Errors: 3, Requests: 2 };
  await plot("Requests").waitFor();
  assert.deepEqual(await ops.locator(".plot").evaluateAll((all) =>
    Object.fromEntries(all.map((p) => [p.querySelector("h2").textContent, p.querySelectorAll(".legend li").length]))), wanted, "every plot, with each of its lines");
  const said = (name) => plot(name).locator("svg[role=img]").getAttribute("aria-label");
  await until("a turn runs", async () => /running 1\b/.test(await said("Turns")));
  assert.doesNotMatch(await said("Events"), /e\+/, "a rate is read by people");
  await until("events flow", async () => Number(/stored ([\d.]+)/.exec(await said("Events"))?.[1]) > 5);
  await until("there is a line", async () => /^M[\d. ]+L/.test(await plot("Events").locator("path.line").first().getAttribute("d")));
  await plot("Events").locator("summary").click();
  assert.match(await plot("Events").locator("tbody tr").first().innerText(), /\d\/s/);
  await ops.locator("summary", { hasText: "All figures" }).click();
  await ops.locator("#all-rows tr", { hasText: "chatd_commit_seconds_count" }).first().waitFor();
  await ended(page);
  await say(page, "provider fails");
  const grew = async (name, line) => new RegExp(line + " (?!0/s)[\\d.]+\\S*/s").test(await said(name));
  let failed = false, asked = false, spent = false;
  await until("what ended, failed and was spent is seen", async () => {
    failed ||= await grew("Errors", "turns");
    asked ||= await grew("Errors", "providers");
    spent ||= await grew("Tokens", "out");
    return failed && asked && spent;
  });
});

test("the operator's view says that it is paused, also after a read that ends meanwhile (CLI-2)", async () => {
  const ops = await open(url + "ops");
  await ops.locator('#connection[data-state="live"]').waitFor();
  let release;
  const held = new Promise((done) => (release = done));
  let isAsked = false;
  await ops.route(/\/metrics/, async (route) => {
    isAsked = true;
    await held;
    await route.continue();
  });
  await until("a read is under way", () => isAsked);
  const answered = ops.waitForResponse(/\/metrics/);
  await button(ops, "Pause").click();
  const said = () => ops.locator("#connection-text").textContent();
  assert.match(await said(), /^paused at \d\d:\d\d:\d\d$/);
  const rows = () => ops.locator("#plots .plot").first().locator("tbody tr").count();
  const before = await rows();
  release();
  await (await answered).finished();
  await until("it is drawn", async () => (await rows()) > before);
  assert.match(await said(), /^paused at /);
  await button(ops, "Pause").click();
  await ops.locator('#connection[data-state="live"]').waitFor();
});

test("no page broke the policy, failed in a script, or asked another server (SEC-5)", () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(foreign, []);
});

await run();
