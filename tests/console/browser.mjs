// The console in real Chromium.
//
//   node tests/console/browser.mjs <address> <token> [--modules <folder>] [--shots <folder>]
//
// <address> is the console's, as in http://127.0.0.1:8081; it should have some exchanges of
// the last day. `--modules` is the folder that holds node_modules with playwright-core.
// Hostile content is checked where the list has an exchange whose prompt holds `onerror=`
// (the example console_demo makes one); elsewhere that check says that it was left out.
// Ends with 0 where every check holds, else 1.

import { createRequire } from "node:module";
import { homedir } from "node:os";
import path from "node:path";

import { cacheParts } from "./cache.mjs";

const [address, token, ...rest] = process.argv.slice(2);
if (!address || !token) {
  console.error("usage: node browser.mjs <address> <token> [--modules <folder>] [--shots <folder>]");
  process.exit(2);
}
const option = (name, otherwise) => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : otherwise);
const modules = option("--modules", path.join(homedir(), ".local/share/weir/test-node"));
const shots = option("--shots", "");
const { chromium } = createRequire(path.join(modules, "package.json"))("playwright-core");

const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
let failed = 0;
let checks = 0;
function check(holds, what) {
  checks += 1;
  if (!holds) failed += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}`);
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGUMENTS });

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB", colorScheme: "light", ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("dialog", (dialog) => { page.faults.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("pageerror", (fault) => page.faults.push(`script: ${fault.message}`));
  page.on("console", (line) => { if (line.type() === "error") page.faults.push(`console: ${line.text()}`); });
  page.on("request", (request) => { if (!request.url().startsWith(address) && !request.url().startsWith("data:")) page.faults.push(`outside: ${request.url()}`); });
  return page;
}
async function enter(page) {
  await page.goto(`${address}/login`);
  await page.fill("#token", token);
  await page.click("button.primary");
  await page.waitForSelector(".strip");
}
async function shot(page, name, fullPage = false) {
  if (shots) await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage });
}
const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

async function login() {
  const page = await open();
  await page.goto(`${address}/exchanges`);
  check(new URL(page.url()).pathname === "/login", "an inner page leads to the login");
  await page.fill("#token", "not the token");
  await page.click("button.primary");
  check(await page.locator("[role=alert]").isVisible(), "a wrong token is refused with a word");
  page.faults.length = 0; // Chromium reports the 401 itself.
  await page.fill("#token", token);
  await page.click("button.primary");
  await page.waitForURL(`${address}/exchanges`);
  check(true, "the right token leads back to the page asked for");
  const [session] = (await page.context().cookies()).filter((cookie) => cookie.name === "weir_session");
  check(session?.httpOnly && session.sameSite === "Strict", "the session cookie is HttpOnly and SameSite=Strict");
  await page.click("form[action='/logout'] button");
  await page.waitForURL(`${address}/login`);
  await page.goto(address);
  check(new URL(page.url()).pathname === "/login", "a logout ends the session");
  check(page.faults.length === 0, `login: nothing went wrong ${page.faults}`);
  await page.context().close();
}

async function overview() {
  const page = await open();
  await enter(page);
  await page.waitForSelector(".u-over");
  check((await page.locator(".u-over").count()) === 9, "nine charts are drawn");
  const before = await page.locator(".strip").getAttribute("data-at");
  await page.waitForFunction((at) => document.querySelector(".strip").dataset.at !== at, before, { timeout: 20000 });
  check(true, "figures move on by themselves");
  check((await page.locator("#now-below .panel").count()) >= 3, "engines, errors and the way of the records are there");
  await shot(page, "overview-light", true);
  await page.keyboard.press("d");
  await page.keyboard.press("d");
  check((await page.locator("html").getAttribute("data-theme")) === "dark", "the key d turns to dark");
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  check(ground === "rgb(16, 17, 18)", `dark is dark (${ground})`);
  await page.reload();
  await page.waitForSelector(".u-over");
  check((await page.locator("html").getAttribute("data-theme")) === "dark", "the theme stays");
  await shot(page, "overview-dark", true);
  await page.keyboard.press("?");
  check(await page.locator("#help").isVisible(), "? opens the help");
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("e");
  await page.waitForURL(/\/exchanges/);
  check(page.faults.length === 0, `overview: nothing went wrong ${page.faults}`);
  await page.context().close();
}

async function list() {
  const page = await open();
  await enter(page);
  await page.goto(`${address}/exchanges?range=24h`);
  await page.waitForSelector("#list tr[data-id]");
  const all = await page.locator("tr[data-id]").count();
  check(all > 0, `the list has lines (${all})`);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  check((await page.locator("tr.here").count()) === 1, "j marks a line");
  await shot(page, "list-light");
  await page.keyboard.press("/");
  check(await page.evaluate(() => document.activeElement.name === "text"), "/ goes to the search");
  check(await page.locator("#search-hint").isVisible(), "the search says how it searches");
  await page.keyboard.press("Escape");
  await page.keyboard.press("f");
  check(await page.evaluate(() => document.activeElement.name === "tenant"), "f goes to the filters");
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("t");
  check(await page.evaluate(() => document.activeElement.name === "range"), "t goes to the time range");
  await page.evaluate(() => document.activeElement.blur());
  const words = (await page.locator("tr[data-id] .c-what a").first().innerText()).split(/\s+/).find((word) => /^\p{L}{5,}$/u.test(word));
  await page.fill("input[name=text]", words ?? "a");
  await page.keyboard.press("Enter");
  await page.waitForURL(/text=/);
  const found = await page.locator("tr[data-id]").count();
  check(found > 0 && new URL(page.url()).searchParams.get("text") === (words ?? "a"), `a search finds lines and stands in the address (${words}: ${found})`);
  await page.goto(`${address}/exchanges?range=24h&text=${encodeURIComponent("no such words at all 7f3a")}`);
  check(await page.locator(".empty").isVisible(), "a search without lines says so");
  await page.goto(`${address}/exchanges?range=24h`);
  const tenant = await page.locator("select[name=tenant] option").nth(1).getAttribute("value");
  await page.selectOption("select[name=tenant]", tenant);
  await page.waitForURL(/tenant=/);
  const others = await page.locator("tr[data-id] .c-tenant").evaluateAll((cells, name) => cells.filter((cell) => cell.textContent !== name).length, tenant);
  check(others === 0, `the filter leaves one tenant (${tenant})`);
  await page.goto(`${address}/exchanges?range=24h`);
  await page.keyboard.press("j");
  const id = await page.locator("tr.here").getAttribute("data-id");
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(`/exchange/${id}`));
  check(true, "Enter opens the marked line");
  check((await page.locator(".lane").count()) >= 2, "the exchange has its waterfall");
  await page.keyboard.press("2");
  check(await page.locator("#panel-request").isVisible() && !(await page.locator("#panel-talk").isVisible()), "2 shows the request");
  await page.waitForSelector("#panel-request .raw");
  check(true, "the request comes when its tab is opened");
  await page.keyboard.press("3");
  await page.waitForFunction(() => document.querySelector("#panel-response .raw, #panel-response[data-failed]"));
  check((await page.locator("#panel-response[data-failed]").count()) === 0, "and so does the response");
  const modes = page.locator("#panel-response .modes button");
  if ((await modes.count()) === 2) {
    await modes.nth(1).click();
    await page.waitForSelector("#panel-response pre.plain");
    check(true, "a body is shown as it is when asked for");
  }
  await page.focus("#tab-response");
  await page.keyboard.press("ArrowRight");
  check(await page.locator("#panel-headers").isVisible(), "arrows move between tabs");
  await page.waitForFunction(() => document.querySelector("#older[href], #older.off"));
  const older = await page.locator("#older").getAttribute("href");
  if (older) {
    await page.keyboard.press("j");
    await page.waitForURL((url) => url.pathname === new URL(older, address).pathname);
    check(true, "j goes to the older exchange");
  }
  await page.keyboard.press("u");
  await page.waitForURL(/\/exchanges/);
  check(page.faults.length === 0, `list: nothing went wrong ${page.faults}`);
  await page.context().close();
}

async function hostile() {
  const page = await open();
  await enter(page);
  await page.goto(`${address}/exchanges?range=24h&text=${encodeURIComponent("onerror=")}`);
  if ((await page.locator("tr[data-id]").count()) === 0) {
    console.log("left out: no exchange with hostile text");
    return;
  }
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#panel-talk");
  for (const key of ["1", "2", "3", "4"]) {
    await page.keyboard.press(key);
    await page.waitForFunction(() => !document.querySelector(".tab:not([hidden])[data-url]") || document.querySelector(".tab:not([hidden]) .raw"));
    if ((await page.locator(".tab:not([hidden]) .modes button").count()) === 2) {
      await page.locator(".tab:not([hidden]) .modes button").nth(1).click();
      await page.waitForSelector(".tab:not([hidden]) pre.plain");
    }
  }
  await page.keyboard.press("1");
  const foreign = await page.evaluate(() => ({
    images: document.querySelectorAll("img, iframe, object, embed, style, main script").length,
    handlers: [...document.querySelectorAll("*")].filter((node) => [...node.attributes].some((a) => a.name.startsWith("on"))).length,
    scripts: [...document.querySelectorAll("a[href]")].filter((a) => a.protocol === "javascript:").length,
    unseen: /[\u001b\u202e\u200b]/.test(document.body.textContent),
    seven: document.body.textContent.includes("{{7*7}}"),
  }));
  check(foreign.images === 0 && foreign.handlers === 0 && foreign.scripts === 0, `hostile text made no element (${JSON.stringify(foreign)})`);
  check(foreign.seven, "template syntax in an answer is text");
  check(!foreign.unseen, "no character acts unseen");
  await shot(page, "hostile", true);
  await page.evaluate(() => { const s = document.createElement("script"); s.textContent = "window.ran = 1"; document.body.append(s); });
  check((await page.evaluate(() => window.ran)) === undefined, "the policy stops an inline script");
  check(page.faults.filter((fault) => !/Content Security Policy/.test(fault)).length === 0, `hostile: nothing went wrong ${page.faults}`);
  await page.context().close();
}

// An answer of megabytes: the page stays small, and the rest comes when asked for.
async function long() {
  const page = await open();
  await enter(page);
  await page.goto(`${address}/exchanges?range=24h&text=${encodeURIComponent("whole history of the weir")}`);
  if ((await page.locator("tr[data-id]").count()) === 0) {
    console.log("left out: no exchange with a long answer");
    return;
  }
  const href = await page.locator(".c-what a").first().getAttribute("href");
  const answer = await page.goto(address + href);
  check((await answer.body()).length < 100_000, `the page of a long answer is small (${(await answer.body()).length} B)`);
  await page.keyboard.press("e");
  await page.waitForFunction(() => [...document.querySelectorAll("#answers .text:not(.folded) .prose")].some((text) => text.textContent.includes("100. ")));
  check(true, "e unfolds a long text to its end");
  await page.keyboard.press("3");
  await page.waitForSelector("#panel-response .events");
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  check(nodes < 2500, `the page has few elements (${nodes})`);
  check(page.faults.length === 0, `long: nothing went wrong ${page.faults}`);
  await page.context().close();
}

async function shapes() {
  for (const [width, colorScheme] of [[1280, "light"], [820, "light"], [820, "dark"]]) {
    const page = await open({ viewport: { width, height: 1100 }, colorScheme });
    await enter(page);
    await page.waitForSelector(".u-over");
    check(await fits(page), `the overview fits ${width} px`);
    await shot(page, `overview-${width}-${colorScheme}`, true);
    await page.goto(`${address}/exchanges?range=24h`);
    await page.waitForSelector("#list tr[data-id]");
    check(await fits(page), `the list fits ${width} px`);
    await shot(page, `list-${width}-${colorScheme}`);
    await page.locator("tr[data-id] .c-what a").first().click();
    await page.waitForSelector("#panel-talk");
    check(await fits(page), `an exchange fits ${width} px`);
    await shot(page, `exchange-${width}-${colorScheme}`, true);
    await page.goto(`${address}/health`);
    check(await fits(page), `health fits ${width} px`);
    await shot(page, `health-${width}-${colorScheme}`, true);
    check(page.faults.length === 0, `${width} px: nothing went wrong ${page.faults}`);
    await page.context().close();
  }
  const page = await open({ locale: "ru-RU" });
  await enter(page);
  check((await page.locator("nav").innerText()).includes("Обмены"), "a Russian browser gets Russian pages");
  await page.click("[data-language]");
  await page.waitForFunction(() => document.documentElement.lang === "en");
  check(true, "the language switch works");
  await page.context().close();
}

const cache = cacheParts({ address, open, enter, shot, fits, check });
for (const part of [login, overview, list, hostile, long, shapes, ...cache]) {
  try {
    await part();
  } catch (fault) {
    check(false, `${part.name}: ${fault.message.split("\n")[0]}`);
  }
}
await browser.close();
console.log(`${checks - failed} of ${checks} checks hold`);
process.exit(failed ? 1 : 0);
