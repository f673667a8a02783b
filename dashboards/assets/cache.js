// The cache: charts of the time range, search among entries, and the two actions, each asked for twice.

import { onKey, showTimes } from "./base.js";
import { count, legend, make, share, stack } from "./charts.js";
import { onRemoved, sure } from "./removal.js";

const EVERY = 30000;
const form = document.getElementById("filter");
const words = document.getElementById("series-words").dataset;
const at = (id) => document.getElementById(id);
const search = form.elements.text;

// Only what is set goes into the address, so that it can be shared.
function wanted(changed = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
  for (const [name, value] of Object.entries(changed)) value ? query.set(name, value) : query.delete(name);
  if ("range" in changed) { query.delete("from"); query.delete("to"); }
  return query;
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const range = event.submitter?.name === "range" ? { range: event.submitter.value } : {};
  location.assign(`/cache?${wanted(range)}`);
});
form.addEventListener("change", (event) => { if (event.target.matches("select")) location.assign(`/cache?${wanted()}`); });

// Charts: their columns stand in an attribute of the strip.
const column = (name, colour) => ({ name, colour, at: (series) => series[name] });
const CHARTS = {
  outcomes: { unit: count, stacked: true, columns: [column("hit", "--c5"), column("collapsed", "--c4"), column("miss", "--c1"), column("bypass", "--c6")] },
  share: { unit: share, top: 1, filled: true, columns: [{ ...column("hit_ratio", "--c5"), name: "ratio" }] },
};
const plots = new Map();
function draw() {
  const strip = at("strip");
  if (!strip?.dataset.series || !at("charts")) return;
  const series = JSON.parse(strip.dataset.series);
  const range = () => [Number(strip.dataset.from) / 1e6, Number(strip.dataset.to) / 1e6];
  // A point stands in the middle of its step.
  const moments = series.at.map((moment) => (moment + series.every / 2) / 1000);
  for (const figure of document.querySelectorAll("[data-chart]")) {
    const chart = CHARTS[figure.dataset.chart];
    const box = figure.querySelector(".plot");
    const columns = chart.columns.filter((one) => one.at(series).some((v) => v > 0) || !chart.stacked);
    const data = [moments, ...stack(columns.map((one) => one.at(series)), chart.stacked)];
    const shown = (index) => legend(figure.querySelector(".legend"), columns, chart.unit, words, series, index ?? series.at.length - 1);
    plots.get(figure)?.destroy();
    plots.set(figure, make(box, columns, data, chart, { sync: "cache", range, shown }));
    shown(null);
  }
}
addEventListener("resize", draw);
document.addEventListener("themechange", draw);

// Pieces of the page, made by the server, each put in place of the one with its id.
async function refresh(address) {
  const answer = await fetch(address);
  if (answer.redirected) { location.reload(); return; }
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of [...page.body.children]) {
    const adopted = document.adoptNode(part);
    showTimes(adopted);
    at(part.id)?.replaceWith(adopted);
  }
}
const refreshNow = () => refresh(`/cache/now?${wanted()}`).then(draw);
const refreshLive = () => refresh(`/cache/live?${wanted()}`).then(() => mark(rows().find((row) => row.dataset.id === here), false));
setInterval(() => { if (!document.hidden && !sure.open) refreshNow().catch(() => {}); }, EVERY);

// The search looks while a reader types.
let typing = 0;
search?.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    history.replaceState(null, "", `/cache?${wanted()}`);
    refreshLive().catch(() => {});
  }, 200);
});
at("search")?.addEventListener("submit", (event) => { event.preventDefault(); });

// Which entry is the reader's.
let here = null;
const rows = () => [...document.querySelectorAll("#list tr[data-id]")];
const marked = () => rows().find((row) => row.classList.contains("here"));
function mark(row, scroll = true) {
  for (const other of rows()) other.classList.toggle("here", other === row);
  if (!row) return;
  here = row.dataset.id;
  if (scroll) row.scrollIntoView({ block: "nearest" });
}
function move(by) {
  const all = rows();
  const now = all.findIndex((row) => row.dataset.id === here);
  mark(all[now < 0 ? 0 : Math.min(Math.max(now + by, 0), all.length - 1)]);
}
onKey("j", () => move(1));
onKey("k", () => move(-1));
onKey("ArrowDown", () => move(1));
onKey("ArrowUp", () => move(-1));
onKey("Enter", () => marked()?.querySelector(".c-what a").click());
onKey("x", () => marked()?.querySelector("[data-evict]").click());
onKey("/", () => search?.focus());
onKey("f", () => form.querySelector("select")?.focus());
onKey("t", () => (form.querySelector("#ranges [aria-pressed]") ?? form.querySelector("#ranges button")).focus());
onKey("c", () => at("clear")?.click());

// What is removed is no longer on the page; the store hears of it some seconds later.
onRemoved(() => {
  refreshLive().catch(() => {});
  refreshNow().catch(() => {});
  hear(8);
});
document.addEventListener("click", (event) => {
  const row = event.target.closest("#list tr[data-id]");
  if (!row) return;
  mark(row, false);
  if (!event.target.closest("a, button") && !getSelection().toString()) row.querySelector(".c-what a").click();
});

async function hear(tries) {
  const first = () => at("events")?.querySelector("tbody time")?.dateTime;
  const before = first();
  await refresh("/cache/events").catch(() => {});
  if (first() === before && tries > 0) setTimeout(() => hear(tries - 1), 1000);
}

draw();
