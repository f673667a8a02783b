// What every page has: theme, language, keys, local times, copy buttons.

const root = document.documentElement;
const YEAR = 365 * 86400;

export function remember(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR}; samesite=strict`;
}

// Times come as UTC; people read their own zone.
const clock = new Intl.DateTimeFormat(root.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const minute = new Intl.DateTimeFormat(root.lang, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(root.lang, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const ago = new Intl.RelativeTimeFormat(root.lang, { numeric: "always", style: root.lang === "ru" ? "short" : "narrow" });

const unit = (value, name) => new Intl.NumberFormat(root.lang, { style: "unit", unit: name, unitDisplay: "narrow" }).format(value);

// How long ago, without the word: a column of it needs no more.
function age(moment) {
  const seconds = Math.max(0, Math.round((Date.now() - moment) / 1000));
  if (seconds < 60) return unit(seconds, "second");
  return seconds < 3600 ? unit(Math.round(seconds / 60), "minute") : unit(Math.round(seconds / 3600), "hour");
}

export function relative(moment) {
  const seconds = Math.round((moment - Date.now()) / 1000);
  const past = Math.abs(seconds);
  if (past < 5) return document.body.dataset.justNow;
  if (past < 60) return ago.format(seconds, "second");
  if (past < 3600) return ago.format(Math.round(seconds / 60), "minute");
  if (past < 86400) return ago.format(Math.round(seconds / 3600), "hour");
  return ago.format(Math.round(seconds / 86400), "day");
}

export function showTimes(within = document) {
  for (const time of within.querySelectorAll("time:not([data-shown])")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.dataset.shown = "";
    time.title = `${full.format(moment)} · ${time.dateTime}`;
    if (time.dataset.mode === "minute") {
      time.textContent = minute.format(moment);
    } else if (time.dataset.mode === "list") {
      const today = moment.toDateString() === new Date().toDateString();
      time.textContent = (today ? "" : `${day.format(moment)} `) + clock.format(moment);
      const beside = document.createElement("span");
      beside.className = "ago";
      beside.textContent = today ? age(moment) : "";
      time.after(beside);
    } else {
      time.textContent = `${full.format(moment)} · ${relative(moment)}`;
    }
  }
}

setInterval(() => {
  for (const beside of document.querySelectorAll(".ago")) {
    if (beside.textContent) beside.textContent = age(new Date(beside.previousElementSibling.dateTime));
  }
}, 10000);

// Theme: as the system, light, dark, and round again.
const themeButton = document.getElementById("theme");
function turnTheme() {
  const next = { auto: "light", light: "dark", dark: "auto" }[root.dataset.theme] ?? "auto";
  root.dataset.theme = next;
  remember("weir_theme", next);
  if (themeButton) themeButton.title = themeButton.dataset[next];
  document.dispatchEvent(new Event("themechange"));
}
themeButton?.addEventListener("click", turnTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));

document.querySelector("[data-language]")?.addEventListener("click", (event) => {
  remember("weir_lang", event.currentTarget.dataset.language);
  location.reload();
});

// Help.
const help = document.getElementById("help");
document.getElementById("help-open")?.addEventListener("click", () => help.showModal());
help?.addEventListener("click", (event) => { if (event.target === help) help.close(); });

// Keys: pages add theirs with `onKey`.
const keys = new Map();
export function onKey(key, act) { keys.set(key, act); }
onKey("?", () => help?.showModal());
onKey("d", turnTheme);
let leader = 0;
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const field = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (field) {
    if (event.key === "Escape") field.blur();
    return;
  }
  if (event.key === "g") { leader = Date.now(); return; }
  if (Date.now() - leader < 1200) {
    leader = 0;
    const link = document.querySelector(`[data-key="g ${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); return; }
  }
  const act = keys.get(event.key);
  if (act) { event.preventDefault(); act(event); }
});

// A piece of a page, made by the server, put into its place. Says whether it came.
export async function fetchPiece(url, place) {
  const slow = setTimeout(() => place.setAttribute("aria-busy", "true"), 150);
  try {
    const answer = await fetch(url);
    if (answer.redirected) location.reload();
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    place.replaceChildren(...[...page.body.childNodes].map((node) => document.adoptNode(node)));
    showTimes(place);
    return true;
  } catch {
    place.dataset.failed = document.body.dataset.notLoaded;
    return false;
  } finally {
    clearTimeout(slow);
    place.removeAttribute("aria-busy");
  }
}

// Copy: a text, or what an address gives. Without TLS a browser has no clipboard of its own.
async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  let text = button.dataset.text;
  if (button.dataset.url) {
    const answer = await fetch(button.dataset.url);
    if (!answer.ok) return;
    text = await answer.text();
  }
  await toClipboard(text);
  button.classList.add("done");
  button.title = button.dataset.done;
  setTimeout(() => button.classList.remove("done"), 1600);
});

showTimes();
