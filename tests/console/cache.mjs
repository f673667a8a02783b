// Checks of the cache's page, for browser.mjs. What needs entries is checked where the cache
// has some (the example console_demo makes them up); elsewhere a line says what was left out.

export function cacheParts({ address, open, enter, shot, fits, check }) {
  const rows = (page) => page.locator("#list tr[data-id]");

  async function cachePage() {
    const page = await open();
    await enter(page);
    await page.keyboard.press("g");
    await page.keyboard.press("c");
    await page.waitForURL(`${address}/cache`);
    check(true, "g c goes to the cache");
    if ((await page.locator("#rooms").count()) === 0) {
      check((await page.locator(".empty pre").innerText()).includes("[routes.cache]"), "without a cache the page says how to turn one on");
      check(await page.locator("#events").isVisible(), "what people did is there all the same");
      console.log("left out: no route has a cache");
    } else {
      await figures(page);
      await search(page);
      await evict(page);
      await flush(page);
    }
    check(page.faults.length === 0, `cache: nothing went wrong ${page.faults}`);
    await page.context().close();
  }

  async function figures(page) {
    check((await page.locator(".strip .stat").count()) === 6, "six figures are told");
    await page.goto(`${address}/cache?range=24h`);
    if ((await page.locator("#charts").count()) === 0) {
      console.log("left out: no exchange met a cache in the last day");
      return;
    }
    await page.waitForSelector(".u-over");
    check((await page.locator(".u-over").count()) === 2, "two charts are drawn");
    const painted = await page.locator(".plot canvas").first().evaluate((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v !== 0));
    check(painted, "and they are not empty");
    const legend = await page.locator("[data-chart=outcomes] .legend").innerText();
    check(/hit/.test(legend) && /miss/.test(legend), `the legend names the outcomes (${legend.replaceAll("\n", " ")})`);
    await page.locator("[data-chart=outcomes] .u-over").hover();
    check((await page.locator("#reasons tbody tr").count()) > 0, "reasons are told");
    const cures = await page.locator("#reasons tbody td:last-child").allInnerTexts();
    check(cures.every((cure) => cure.length > 20), "each with what to change");
    const first = page.locator("#reasons tbody a").first();
    const target = new URL(await first.getAttribute("href"), address).searchParams.get("cache");
    await first.click();
    await page.waitForURL(/\/exchanges\?.*cache=/);
    check((await page.locator("tr[data-id]").count()) > 0, `a reason leads to its exchanges (${target})`);
    await page.goto(`${address}/exchanges?range=24h&cache=hit`);
    await page.locator("tr[data-id] .c-what a").first().click();
    await page.waitForSelector("#cache-hit");
    check((await page.locator("#panel-talk .turn").count()) >= 2, "a hit shows the conversation of its source");
    const source = await page.locator("#cache-hit a").getAttribute("href");
    check((await page.locator("#panel-request").getAttribute("data-url")).startsWith(source), "and its bodies");
    await shot(page, "cache-hit", true);
    await page.goto(`${address}/cache?range=24h`);
    await shot(page, "cache-light", true);
  }

  async function search(page) {
    await page.goto(`${address}/cache`);
    if ((await rows(page).count()) === 0) {
      console.log("left out: the cache has no entries");
      return;
    }
    const all = await rows(page).count();
    await page.keyboard.press("/");
    check(await page.evaluate(() => document.activeElement.name === "text"), "/ goes to the search");
    const prompts = await page.locator("#list td.c-what").allInnerTexts();
    const word = prompts.flatMap((prompt) => prompt.split(/\s+/)).find((part) => /^\p{L}{5,}$/u.test(part)) ?? "e";
    await page.keyboard.type(word.toUpperCase());
    await page.waitForFunction((text) => new URLSearchParams(location.search).get("text") === text, word.toUpperCase());
    await page.waitForFunction((word) => [...document.querySelectorAll("#list td.c-what")].every((cell) => cell.textContent.includes(word)), word);
    check((await rows(page).count()) > 0, `the search leaves what matches, while one types (${word}: ${await rows(page).count()} of ${all})`);
    await page.fill("input[name=text]", "no such words 7f3a");
    await page.waitForFunction(() => !document.querySelector("#list"));
    check((await page.locator("#present").innerText()).length > 20, "a search without entries says what to do");
    await page.fill("input[name=text]", "onerror=");
    await page.waitForFunction(() => new URLSearchParams(location.search).get("text") === "onerror=");
    const hostile = await page.waitForSelector("#list tr[data-id]", { timeout: 3000 }).catch(() => null);
    if (hostile) {
      const foreign = await page.evaluate(() => document.querySelectorAll("main img, main iframe, main style, main script, main [onerror]").length);
      const seen = await rows(page).first().locator(".c-what").innerText();
      check(foreign === 0 && seen.includes("<img"), "hostile text in a prompt is text");
    } else {
      console.log("left out: no entry with hostile text");
    }
    await page.fill("input[name=text]", "");
    await page.waitForFunction((all) => document.querySelectorAll("#list tr[data-id]").length === all, all);
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    check((await page.locator("tr.here").count()) === 1, "j marks an entry");
    const id = await page.locator("tr.here").getAttribute("data-id");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${address}/exchange/${id}`);
    check(await page.locator("#cache [data-evict]").isVisible(), "Enter opens the source, from where the entry can be removed too");
    await page.goto(`${address}/cache`);
  }

  async function evict(page) {
    if ((await rows(page).count()) === 0) return;
    await page.keyboard.press("j");
    const id = await page.locator("tr.here").getAttribute("data-id");
    await page.keyboard.press("x");
    check(await page.locator("#sure").isVisible(), "x asks first");
    check(await page.evaluate(() => document.activeElement.id === "sure-no"), "and Enter would do nothing");
    await shot(page, "cache-evict");
    await page.keyboard.press("Escape");
    check((await page.locator(`tr[data-id="${id}"]`).count()) === 1, "Escape leaves the entry");
    await page.keyboard.press("x");
    await page.click("#sure-yes");
    await page.waitForFunction((id) => !document.querySelector(`tr[data-id="${id}"]`), id);
    check(await page.locator("#told").isVisible(), "an eviction removes the entry and says so");
    await told(page, id.slice(0, 13), "an eviction is told in the events");
    await page.goto(`${address}/exchange/${id}`);
    check((await page.locator("[data-evict]:not(dialog)").count()) === 0, "its exchange has nothing more to remove");
    await page.goto(`${address}/cache`);
    const other = await rows(page).first().getAttribute("data-id");
    await page.goto(`${address}/exchange/${other}`);
    await page.keyboard.press("x");
    await page.click("#sure-yes");
    await page.waitForSelector("button[data-evict]:disabled");
    check(true, "an entry is removed from its exchange's page");
    await page.goto(`${address}/cache`);
    check((await page.locator(`tr[data-id="${other}"]`).count()) === 0, "and is gone");
  }

  async function flush(page) {
    const tenant = page.locator("[data-flush=tenant]").last();
    if ((await tenant.count()) === 0) return;
    const name = await tenant.getAttribute("data-name");
    await tenant.click();
    check((await page.locator("#sure-title").innerText()).includes(name), "a flush asks with the name of what it flushes");
    await page.click("#sure-no");
    check(await page.locator(`[data-flush=tenant][data-name="${name}"]`).isVisible(), "a no flushes nothing");
    await tenant.click();
    await page.click("#sure-yes");
    await page.waitForFunction((name) => !document.querySelector(`[data-flush=tenant][data-name="${name}"]`), name);
    check((await page.locator("#list .c-tenant").allInnerTexts()).every((text) => text !== name), "a flush leaves nothing of the tenant");
    await told(page, name, "a flush is told in the events");
    await shot(page, "cache-flushed", true);
  }

  async function told(page, text, what) {
    const there = () => page.waitForFunction((text) => document.querySelector("#events").innerText.includes(text), text, { timeout: 15000 });
    check(await there().then(() => true, () => false), what);
  }

  async function cacheShapes() {
    for (const [width, colorScheme, locale] of [[1440, "light", "en-GB"], [1440, "dark", "en-GB"], [1100, "light", "ru-RU"], [820, "light", "ru-RU"], [820, "dark", "en-GB"]]) {
      const page = await open({ viewport: { width, height: 1000 }, colorScheme, locale });
      await enter(page);
      await page.goto(`${address}/cache?range=24h`);
      check(await fits(page), `the cache fits ${width} px (${locale})`);
      await shot(page, `cache-${width}-${colorScheme}`, true);
      if (locale === "ru-RU") check((await page.locator("nav [aria-current]").innerText()) === "Кэш" && !/What|Entries|Hit share/.test(await page.locator("main").innerText()), "a Russian browser gets a Russian cache");
      check(page.faults.length === 0, `cache at ${width} px: nothing went wrong ${page.faults}`);
      await page.context().close();
    }
  }

  return [cachePage, cacheShapes];
}
