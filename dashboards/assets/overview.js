// The overview: figures and charts, fresh every five seconds.

import { showTimes } from "./base.js";
import { count, css, legend, make, seconds, stack } from "./charts.js";

const EVERY = 5000;
const HOUR = 3600;
const LEAST = 600;
const words = document.getElementById("series-words").dataset;
const waiting = document.querySelector(".charts").dataset.waiting;

const QUANTILES = [["p50", "--c1"], ["p95", "--c2"], ["p99", "--c3"]];
const quantile = (name) => ({ unit: seconds, columns: () => QUANTILES.map(([q, colour]) => ({ name: q, colour, at: (s) => s.quantiles[name]?.[q] })) });
const group = (field, order, stacked) => ({
  unit: count, stacked,
  columns: (s) => order(Object.keys(s[field]).filter((name) => s[field][name].some((v) => v > 0))).map(([name, colour]) => ({ name, colour, at: (t) => t[field][name] })),
});
const fixed = (...pairs) => (names) => pairs.filter(([name]) => names.includes(name));
const turn = ["--c3", "--c2", "--c4", "--c1", "--c5", "--c6"];
const gauges = (...pairs) => ({ unit: count, columns: (s) => pairs.filter(([name]) => s.gauges[name]?.some((v) => v != null)).map(([name, colour]) => ({ name, colour, at: (t) => t.gauges[name] })) });

const CHARTS = {
  exchanges: group("exchanges", fixed(["complete", "--c1"], ["client_left", "--c6"], ["refused", "--c2"], ["engine_error", "--c4"], ["broken", "--c3"], ["failed", "--bad"]), true),
  first_token: quantile("first_token"),
  total: quantile("total"),
  tokens: group("tokens", fixed(["completion", "--c1"], ["prompt", "--c5"], ["cached", "--c4"], ["wasted", "--c3"])),
  in_flight: gauges(["in_flight", "--c1"], ["queue_depth", "--c2"]),
  errors: group("errors", (names) => names.map((name, i) => [name, turn[i % turn.length]]), true),
  inter_token: quantile("inter_token"),
  overhead: quantile("overhead"),
  background: gauges(["spool_records", "--c1"], ["outbox_records", "--c2"]),
};

// All points of the last hour, column by column; only new ones are fetched.
let series = null;
function join(old, fresh) {
  if (Array.isArray(fresh)) return (old ?? []).concat(fresh);
  if (fresh === null || typeof fresh !== "object") return fresh;
  const joined = {};
  for (const name of new Set([...Object.keys(old ?? {}), ...Object.keys(fresh)])) joined[name] = join(old?.[name], fresh[name]);
  return joined;
}
function level(node, length, drop) {
  if (Array.isArray(node)) {
    while (node.length < length) node.unshift(null);
    node.splice(0, drop);
    return;
  }
  if (node && typeof node === "object") Object.values(node).forEach((inner) => level(inner, length, drop));
}

// The last hour; soon after the start only as far back as there are points.
const span = (now) => Math.min(HOUR, Math.max(LEAST, now - (series?.at[0] ?? 0) / 1000));
const sync = window.uPlot.sync("overview");
const plots = new Map();

function draw(figure) {
  const name = figure.dataset.chart;
  const chart = CHARTS[name];
  const box = figure.querySelector(".plot");
  const columns = chart.columns(series);
  const data = [series.at.map((at) => at / 1000), ...stack(columns.map((column) => column.at(series) ?? []), chart.stacked)];
  const look = JSON.stringify([columns.map((column) => [column.name, css(column.colour)]), box.clientWidth, css("--line")]);
  const known = plots.get(name);
  const now = Date.now() / 1000;
  figure.columns = columns;
  if (known?.look === look) {
    known.plot.setData(data, false);
    known.plot.batch(() => { known.plot.setScale("x", { min: now - span(now), max: now }); known.plot.setScale("y", known.plot.weirRange()); });
  } else {
    known?.plot.destroy();
    plots.set(name, { look, plot: make(box, columns, data, chart, { sync: sync.key, range: lastHour, shown: (at) => label(figure, chart, at) }) });
  }
  box.classList.toggle("waiting", series.at.length < 2);
  box.dataset.waiting = waiting;
  label(figure, chart, null);
}

const lastHour = () => { const now = Date.now() / 1000; return [now - span(now), now]; };
const label = (figure, chart, at) => legend(figure.querySelector(".legend"), figure.columns ?? [], chart.unit, words, series, at ?? series.at.length - 1);

const drawAll = () => { if (series) document.querySelectorAll(".chart").forEach(draw); };
addEventListener("resize", drawAll);
document.addEventListener("themechange", drawAll);

// A piece of the page, made by the server, put in place of the old one.
async function refresh(address, place) {
  const answer = await fetch(address);
  if (answer.redirected) { location.reload(); return; }
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  place.replaceChildren(...[...page.body.childNodes].map((node) => document.adoptNode(node)));
  showTimes(place);
}

const below = document.getElementById("now-below");
const moveBelow = () => { const part = document.querySelector("#now .below"); if (part) below.replaceChildren(part); };

async function tick() {
  if (document.hidden) return;
  const since = series?.at.at(-1) ?? 0;
  const [answer] = await Promise.all([fetch(`/api/live?since=${since}`), refresh("/overview/now", document.getElementById("now"))]);
  moveBelow();
  if (!answer.ok) return;
  const fresh = (await answer.json()).series;
  const before = series?.at.length ?? 0;
  series = join(series, fresh);
  const { every, ...columns } = series;
  level(columns, before + fresh.at.length, Math.max(0, before + fresh.at.length - 720));
  drawAll();
}
const totals = () => { if (!document.hidden) refresh("/overview/totals", document.getElementById("totals")); };

moveBelow();
tick().catch(() => {});
totals();
setInterval(() => tick().catch(() => {}), EVERY);
setInterval(totals, 30000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick().catch(() => {}); });
