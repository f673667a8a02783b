// The list: filters that apply at once, keys, more lines, live tail.

import { onKey, showTimes } from "./base.js";

const form = document.getElementById("filter");
const list = document.getElementById("list");
const live = document.getElementById("live");

// Only what is set goes into the address, so that it can be shared.
function apply(changed = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
  for (const [name, value] of Object.entries(changed)) value ? query.set(name, value) : query.delete(name);
  if ("range" in changed) { query.delete("from"); query.delete("to"); }
  location.assign(`${form.action}?${query}`);
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const range = event.submitter?.name === "range" ? { range: event.submitter.value } : {};
  apply(range);
});
form.addEventListener("change", (event) => { if (event.target.matches("select")) apply(); });

// A click on a bar looks at its time.
document.querySelector(".volume svg")?.addEventListener("click", (event) => {
  const bar = event.target.closest("[data-from]");
  if (!bar) return;
  event.preventDefault();
  const query = new URLSearchParams(location.search);
  query.delete("range");
  query.delete("before");
  query.set("from", bar.dataset.from);
  query.set("to", bar.dataset.to);
  location.assign(`/exchanges?${query}`);
});

// Which line is the reader's; it stays through refreshes and coming back.
const place = "weir-list-place";
let here = sessionStorage.getItem(place);
const rows = () => [...(list?.querySelectorAll("tr[data-id]") ?? [])];
function mark(row, scroll = true) {
  for (const other of rows()) other.classList.toggle("here", other === row);
  if (!row) return;
  here = row.dataset.id;
  sessionStorage.setItem(place, here);
  if (scroll) row.scrollIntoView({ block: "nearest" });
}
function move(by) {
  const all = rows();
  const at = all.findIndex((row) => row.dataset.id === here);
  const next = all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)];
  mark(next);
  if (next === all.at(-1)) more();
}
const open = (row) => row?.querySelector(".c-what a").click();
onKey("j", () => move(1));
onKey("k", () => move(-1));
onKey("ArrowDown", () => move(1));
onKey("ArrowUp", () => move(-1));
onKey("Enter", () => open(rows().find((row) => row.classList.contains("here"))));
onKey("/", () => form.elements.text?.focus());
onKey("f", () => form.querySelector("#picks select").focus());
onKey("t", () => (form.querySelector("#ranges [aria-pressed]") ?? form.querySelector("#ranges button")).focus());
onKey("l", () => live.click());
onKey("c", () => document.getElementById("clear")?.click());
list?.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-id]");
  if (!row) return;
  mark(row, false);
  if (!event.target.closest("a") && !getSelection().toString()) open(row);
});
mark(rows().find((row) => row.dataset.id === here), false);

async function fetchRows(before) {
  const query = new URLSearchParams(list?.dataset.query ?? location.search);
  if (before) query.set("before", before);
  const answer = await fetch(`${list?.dataset.rows ?? "/exchanges/rows"}?${query}`);
  if (!answer.ok || answer.redirected) return null;
  const page = new DOMParser().parseFromString(`<table>${await answer.text()}</table>`, "text/html");
  const body = document.adoptNode(page.querySelector("tbody"));
  showTimes(body);
  return body;
}

// More lines come where the reader nears the end.
let loading = false;
async function more() {
  const row = list?.querySelector("tr.more");
  if (!row || loading) return;
  loading = true;
  const body = await fetchRows(row.querySelector("a").dataset.before);
  loading = false;
  if (!body) return;
  row.remove();
  list.append(body);
  watch();
}
const watcher = new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) more(); }, { rootMargin: "600px" });
function watch() {
  watcher.disconnect();
  const row = list?.querySelector("tr.more");
  if (row) watcher.observe(row);
}
watch();

// Live tail: the first page again and again; what is new is marked once.
let timer = 0;
async function follow() {
  if (document.hidden) return;
  const body = await fetchRows();
  if (!body || !list) { if (body?.rows.length) location.reload(); return; }
  const known = new Set(rows().map((row) => row.dataset.id));
  for (const row of body.querySelectorAll("tr[data-id]")) row.classList.toggle("fresh", !known.has(row.dataset.id));
  for (const old of [...list.tBodies]) old.remove();
  list.append(body);
  mark(rows().find((row) => row.dataset.id === here), false);
  watch();
}
live.addEventListener("click", () => {
  const on = live.getAttribute("aria-pressed") !== "true";
  live.setAttribute("aria-pressed", String(on));
  clearInterval(timer);
  if (on) { follow(); timer = setInterval(follow, 3000); }
});
