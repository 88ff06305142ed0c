// What the tests of the page share: Chromium, pages, waiting, TAP. Started by test_page.py as
//	node FILE URL CHROMIUM DEMO-URL
// which does what a line of ours asks for (a daemon stopped, a look into the log) and answers with a line of JSON.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const [, , url, executablePath, demo] = process.argv;
export const require = createRequire(join(process.env.NODE_MODULES, "x.js"));
const { chromium } = require("playwright-core");
export const SCALE = Number(process.env.TIME_SCALE || 1);
export const LIMIT = 30000 * SCALE;

const replies = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
export async function ask(command) {
  console.log(command);
  return JSON.parse((await replies.next()).value);
}

let browser;
export const complaints = []; // what pages said on their console, and scripts that failed
export const foreign = []; // requests that would have left this server

export async function context(options = {}) {
  const made = await browser.newContext({ viewport: { width: 1000, height: 750 }, ...options });
  made.setDefaultTimeout(LIMIT);
  await made.route((address) => address.hostname !== "127.0.0.1" && !/^(data|blob|about):/.test(address.protocol), (route) => {
    foreign.push(route.request().url());
    return route.abort();
  });
  return made;
}

export async function open(address = url, options = {}) {
  return tab(options.newPage ? options : await context(options), address);
}

export async function tab(within, address = url) {
  const page = await within.newPage();
  page.on("pageerror", (e) => complaints.push(e.message));
  page.on("console", (m) => {
    if (m.type() === "error" && !/Failed to load resource|net::ERR/.test(m.text())) complaints.push(m.text());
  });
  await page.goto(address);
  return page;
}

export async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("text").value === "");
}

export const answer = (page) => page.locator(".assistant").last();
export const ended = async (page) => {
  await answer(page).waitFor();
  await page.locator("#stop[disabled]").waitFor({ state: "attached" });
};
// the text of the last answer as it is shown: paragraphs run together
export const text = (page) => page.evaluate(() =>
  [...([...document.querySelectorAll(".assistant")].at(-1)?.querySelectorAll(".text") ?? [])].map((e) => e.textContent).join(""));
export const words = async (page) => (await text(page)).match(/w\d{4}/g) ?? [];
export const button = (page, name) => page.getByRole("button", { name, exact: true });
export const session = (page) => /ses_\w+/.exec(page.url())?.[0];
export const connected = (page) => page.locator('#connection[data-state="live"]').waitFor();

export async function until(what, condition, limit = LIMIT) {
  const end = Date.now() + limit;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("it does not come true: " + what);
    await new Promise((done) => setTimeout(done, 25));
  }
}

// What the page holds of the last answer, byte for byte: its Copy button says so.
export async function copied(page) {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(page.url()).origin });
  await page.bringToFront();
  await answer(page).locator(".copy-all").click();
  await answer(page).locator(".copy-all", { hasText: "Copied" }).waitFor();
  return page.evaluate(() => navigator.clipboard.readText());
}

const tests = [];
export const test = (name, fn) => tests.push([name, fn]);

export async function run() {
  const wanted = process.env.ONLY ? tests.filter(([name]) => name.includes(process.env.ONLY)) : tests;
  browser = await chromium.launch({ executablePath, args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ...(process.env.CHROMIUM_ARGS ?? "").split(" ").filter(Boolean)] });
  let failed = 0;
  console.log("1.." + wanted.length);
  for (const [i, [name, fn]] of wanted.entries()) {
    const began = Date.now();
    try {
      await fn();
      console.log("ok " + (i + 1) + " - " + name);
    } catch (error) {
      failed++;
      console.log("not ok " + (i + 1) + " - " + name);
      console.log(String(error.stack || error).replace(/^/gm, "# "));
    }
    console.log("# " + (Date.now() - began) + " ms");
    for (const one of browser.contexts()) await one.close();
  }
  await browser.close();
  process.exit(failed ? 1 : 0);
}
