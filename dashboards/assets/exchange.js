// One exchange: tabs whose bodies come when they are opened, folds, neighbours, keys.

import { fetchPiece, onKey } from "./base.js";
import { onRemoved } from "./removal.js";

const tabs = [...document.querySelectorAll("#tabs button")];

// A body is fetched once, and again after a failure.
async function load(panel) {
  const url = panel.dataset.url;
  if (!url || panel.dataset.loaded) return;
  panel.dataset.loaded = "yes";
  if (!(await fetchPiece(url, panel))) delete panel.dataset.loaded;
}

function show(name) {
  for (const tab of tabs) {
    const on = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    const panel = document.getElementById(`panel-${tab.dataset.tab}`);
    if (panel) panel.hidden = !on;
    if (panel && on) load(panel);
  }
  history.replaceState(null, "", name === "talk" ? location.pathname + location.search : `#${name}`);
}
tabs.forEach((tab, at) => {
  tab.addEventListener("click", () => show(tab.dataset.tab));
  onKey(String(at + 1), () => show(tab.dataset.tab));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs.at(to % tabs.length);
    show(next.dataset.tab);
    next.focus();
  });
});
const wanted = location.hash.slice(1);
show(tabs.some((tab) => tab.dataset.tab === wanted) ? wanted : "talk");

// A neighbour keeps the tab that is open.
const steps = document.getElementById("steps");
const neighbours = fetchPiece(steps.dataset.url, steps);
async function follow(id) {
  await neighbours;
  const link = document.getElementById(id);
  if (link?.href) location.assign(link.href + location.hash);
}
const back = () => document.getElementById("back").click();
onKey("j", () => follow("older"));
onKey("k", () => follow("newer"));
onKey("u", back);
onKey("Escape", back);
steps.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); follow(link.id); }
});

// The rest of a long text comes when it is unfolded.
async function unfold(link) {
  const text = link.previousElementSibling;
  link.dataset.more ??= link.textContent;
  if (!link.dataset.loaded) {
    if (!(await fetchPiece(link.dataset.url, text))) return;
    link.dataset.loaded = "yes";
  }
  const open = !text.classList.toggle("folded");
  link.textContent = open ? link.dataset.less : link.dataset.more;
  link.setAttribute("aria-expanded", String(open));
  if (!open) text.closest(".turn").scrollIntoView({ block: "nearest" });
}
document.addEventListener("click", (event) => {
  const fold = event.target.closest(".unfold");
  if (fold && !event.ctrlKey && !event.metaKey) { event.preventDefault(); unfold(fold); }
  const all = event.target.closest("#read-all");
  if (all && !event.ctrlKey && !event.metaKey) { event.preventDefault(); fetchPiece(all.dataset.url, document.getElementById("answers")); }
  const mode = event.target.closest(".modes button");
  if (mode) {
    const panel = mode.closest(".tab");
    const url = mode.dataset.url;
    fetchPiece(url, panel).then(() => panel.querySelector(`.modes button[data-url="${CSS.escape(url)}"]`)?.focus());
  }
});
// The next long text that is folded, for hands on the keys.
onKey("e", () => {
  const folds = [...document.querySelectorAll(".tab:not([hidden]) .unfold")];
  const next = folds.find((fold) => fold.getAttribute("aria-expanded") === "false") ?? folds[0];
  if (!next) return;
  next.closest("details")?.setAttribute("open", "");
  next.focus();
  unfold(next);
});

// An answer that is no longer in the cache has no more to say there.
onRemoved(() => { for (const button of document.querySelectorAll("[data-evict]:not(dialog)")) button.disabled = true; });
onKey("x", () => document.querySelector("button[data-evict]:enabled")?.click());
