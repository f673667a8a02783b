// The overview: figures and charts, fresh every five seconds.

import { showTimes } from "./base.js";

const EVERY = 5000;
const HOUR = 3600;
const words = document.getElementById("series-words").dataset;
const waiting = document.querySelector(".charts").dataset.waiting;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Figures as the server writes them.
function seconds(v) {
  if (v == null) return "–";
  if (v < 0.0009995) return `${(v * 1e6).toFixed(0)} µs`;
  if (v < 0.00995) return `${(v * 1e3).toFixed(1)} ms`;
  if (v < 0.9995) return `${(v * 1e3).toFixed(0)} ms`;
  return v < 9.995 ? `${v.toFixed(2)} s` : `${v.toFixed(v < 99.95 ? 1 : 0)} s`;
}
function count(v) {
  if (v == null) return "–";
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
    if (Math.abs(v) >= size * 0.9995) return `${(v / size).toPrecision(3)}${unit}`;
  }
  return Number.isInteger(v) ? String(v) : v.toFixed(Math.abs(v) < 9.995 ? 2 : 1);
}

const QUANTILES = [["p50", "--c1"], ["p95", "--c2"], ["p99", "--c3"]];
const quantile = (name) => ({ unit: seconds, columns: () => QUANTILES.map(([q, colour]) => ({ name: q, colour, at: (s) => s.quantiles[name]?.[q] })) });
const group = (field, order, stacked) => ({
  unit: count, stacked,
  columns: (s) => order(Object.keys(s[field])).map(([name, colour]) => ({ name, colour, at: (t) => t[field][name] })),
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
    known.plot.batch(() => { known.plot.setScale("x", { min: now - HOUR, max: now }); known.plot.setScale("y", known.plot.weirRange()); });
  } else {
    known?.plot.destroy();
    plots.set(name, { look, plot: make(box, columns, data, chart, figure, now) });
  }
  box.classList.toggle("waiting", series.at.length < 2);
  box.dataset.waiting = waiting;
  legend(figure, chart, null);
}

// Stacked columns are drawn as sums, the highest first.
function stack(columns, stacked) {
  if (!stacked) return columns;
  const sums = [];
  columns.reduce((below, column) => {
    const sum = column.map((v, i) => (v ?? 0) + (below?.[i] ?? 0));
    sums.push(sum);
    return sum;
  }, null);
  return sums;
}

function make(box, columns, data, chart, figure, now) {
  const line = css("--line"), faint = css("--faint");
  const font = `11px ${css("--sans")}`;
  const plot = new window.uPlot({
    width: box.clientWidth, height: box.clientHeight, pxAlign: 1, legend: { show: false },
    padding: [8, 4, 0, 0],
    cursor: { y: false, points: { size: 5 }, drag: { x: false, y: false }, sync: { key: sync.key, setSeries: false } },
    scales: { x: { time: true, range: () => { const t = Date.now() / 1000; return [t - HOUR, t]; } }, y: { range: (u, low, high) => [0, high > 0 ? high * 1.12 : 1] } },
    axes: [
      { stroke: faint, font, size: 22, space: 70, gap: 3, grid: { show: false }, ticks: { show: false }, values: "{HH}:{mm}" },
      { stroke: faint, font, size: 52, gap: 4, space: 34, grid: { stroke: line, width: 1 }, ticks: { show: false }, values: (u, splits) => splits.map((v) => (v === 0 ? "0" : chart.unit(v).replace(/(\.\d*?)0+(?=\s|$)/, "$1").replace(/\.(?=\s|$)/, ""))) },
    ],
    series: [{}, ...columns.map((column) => ({
      // What is stacked is an area: a line on top would show what is not there.
      stroke: chart.stacked ? undefined : css(column.colour), width: chart.stacked ? 0 : 1.3,
      fill: chart.stacked ? css(column.colour) + (column.name === "complete" ? "59" : "c8") : undefined,
      points: { show: false }, spanGaps: false,
    }))],
    hooks: {
      setCursor: [(u) => legend(figure, chart, u.cursor.idx)],
    },
    bands: chart.stacked ? columns.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [],
  }, data, box);
  plot.weirRange = () => {
    const high = Math.max(0, ...plot.data.slice(1).flat().filter((v) => v != null));
    return { min: 0, max: high > 0 ? high * 1.12 : 1 };
  };
  return plot;
}

// The values under the cursor, else the newest.
function legend(figure, chart, at) {
  const box = figure.querySelector(".legend");
  const index = at ?? series.at.length - 1;
  const keys = (figure.columns ?? []).map((column) => {
    const key = document.createElement("span");
    key.className = "key";
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    mark.setAttribute("viewBox", "0 0 9 9");
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ y: 3, width: 9, height: 3, rx: 1.5, fill: css(column.colour) })) rect.setAttribute(name, value);
    mark.append(rect);
    const value = document.createElement("b");
    value.textContent = chart.unit(column.at(series)?.[index] ?? null);
    key.append(mark, words[column.name] ?? column.name, " ", value);
    return key;
  });
  box.replaceChildren(...keys);
}

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
