// What charts share: figures as the server writes them, plots, and legends with values.

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function seconds(v) {
  if (v == null) return "–";
  if (v < 0.0009995) return `${(v * 1e6).toFixed(0)} µs`;
  if (v < 0.00995) return `${(v * 1e3).toFixed(1)} ms`;
  if (v < 0.9995) return `${(v * 1e3).toFixed(0)} ms`;
  return v < 9.995 ? `${v.toFixed(2)} s` : `${v.toFixed(v < 99.95 ? 1 : 0)} s`;
}
export function count(v) {
  if (v == null) return "–";
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
    if (Math.abs(v) >= size * 0.9995) return `${(v / size).toPrecision(3)}${unit}`;
  }
  return Number.isInteger(v) ? String(v) : v.toFixed(Math.abs(v) < 9.995 ? 2 : Math.abs(v) < 99.95 ? 1 : 0);
}
export function share(v) {
  if (v == null) return "–";
  const percent = v * 100;
  if (percent > 0 && percent < 0.05) return "<0.1 %";
  return `${percent < 9.95 && percent !== 0 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

// Stacked columns are drawn as sums, the highest first.
export function stack(columns, stacked) {
  if (!stacked) return columns;
  const sums = [];
  columns.reduce((below, column) => {
    const sum = column.map((v, i) => (v ?? 0) + (below?.[i] ?? 0));
    sums.push(sum);
    return sum;
  }, null);
  return sums;
}

const HOUR = 3600;
const twoDigits = (v) => String(v).padStart(2, "0");
const day = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short" });

// Hours within a day or two, days beyond.
function times(u, splits) {
  const [from, to] = [u.scales.x.min, u.scales.x.max];
  return splits.map((at) => {
    const moment = new Date(at * 1000);
    return to - from > 48 * HOUR ? day.format(moment) : `${twoDigits(moment.getHours())}:${twoDigits(moment.getMinutes())}`;
  });
}

// A plot of columns; `range` gives the ends of time, `shown` is told the point under the cursor.
export function make(box, columns, data, chart, { sync, range, shown }) {
  const line = css("--line"), faint = css("--faint");
  const font = `11px ${css("--sans")}`;
  const top = (high) => chart.top ?? (high > 0 ? high * 1.12 : 1);
  const plot = new window.uPlot({
    width: box.clientWidth, height: box.clientHeight, pxAlign: 1, legend: { show: false },
    padding: [8, 16, 0, 0],
    cursor: { y: false, points: { size: 5 }, drag: { x: false, y: false }, sync: { key: sync, setSeries: false } },
    scales: { x: { time: true, range }, y: { range: (u, low, high) => [0, top(high)] } },
    axes: [
      { stroke: faint, font, size: 22, space: 70, gap: 3, grid: { show: false }, ticks: { show: false }, values: times },
      { stroke: faint, font, size: 52, gap: 4, space: 26, grid: { stroke: line, width: 1 }, ticks: { show: false }, values: (u, splits) => splits.map((v) => (v === 0 ? "0" : chart.unit(v).replace(/(\.\d*?)0+(?=\s|$)/, "$1").replace(/\.(?=\s|$)/, ""))) },
    ],
    series: [{}, ...columns.map((column) => ({
      // What is stacked is an area: a line on top would show what is not there.
      stroke: chart.stacked ? undefined : css(column.colour), width: chart.stacked ? 0 : 1.3,
      fill: chart.stacked ? css(column.colour) + (column.name === "complete" ? "59" : "c8") : chart.filled ? css(column.colour) + "22" : undefined,
      points: { show: false }, spanGaps: false,
    }))],
    hooks: { setCursor: [(u) => shown(u.cursor.idx)] },
    bands: chart.stacked ? columns.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [],
  }, data, box);
  plot.weirRange = () => {
    const high = Math.max(0, ...plot.data.slice(1).flat().filter((v) => v != null));
    return { min: 0, max: top(high) };
  };
  return plot;
}

// Names, colours and the values at one point.
export function legend(box, columns, unit, words, series, index) {
  const keys = columns.map((column) => {
    const key = document.createElement("span");
    key.className = "key";
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    mark.setAttribute("viewBox", "0 0 9 9");
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ y: 3, width: 9, height: 3, rx: 1.5, fill: css(column.colour) })) rect.setAttribute(name, value);
    mark.append(rect);
    const value = document.createElement("b");
    value.textContent = unit(column.at(series)?.[index] ?? null);
    key.append(mark, words[column.name] ?? column.name, " ", value);
    return key;
  });
  box.replaceChildren(...keys);
  box.title = keys.map((key) => key.textContent).join("\n");
  // What has no room in the line is counted; all of it is in the title.
  const more = document.createElement("span");
  const out = keys.filter((key) => key.offsetTop > keys[0].offsetTop);
  if (!out.length) return;
  box.append(more);
  let left = keys.length - out.length;
  do {
    keys.forEach((key, i) => { key.hidden = i >= left; });
    more.textContent = `+${keys.length - left}`;
    left -= 1;
  } while (left > 0 && more.offsetTop > keys[0].offsetTop);
}
