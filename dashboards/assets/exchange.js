// One exchange: tabs, folds, views of the raw bodies, keys.

import { onKey } from "./base.js";

const tabs = [...document.querySelectorAll("#tabs button")];
function show(name) {
  for (const tab of tabs) {
    const on = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", String(on));
    const panel = document.getElementById(`tab-${tab.dataset.tab}`);
    if (panel) panel.hidden = !on;
  }
  history.replaceState(null, "", name === "talk" ? location.pathname + location.search : `#${name}`);
}
tabs.forEach((tab, at) => {
  tab.addEventListener("click", () => show(tab.dataset.tab));
  onKey(String(at + 1), () => show(tab.dataset.tab));
});
const wanted = location.hash.slice(1);
show(tabs.some((tab) => tab.dataset.tab === wanted) ? wanted : "talk");

const follow = (id) => document.getElementById(id)?.hasAttribute("href") && document.getElementById(id).click();
onKey("j", () => follow("older"));
onKey("k", () => follow("newer"));
onKey("u", () => follow("back"));
onKey("Escape", () => follow("back"));

document.addEventListener("click", (event) => {
  const fold = event.target.closest(".unfold");
  if (fold) {
    const open = fold.previousElementSibling.classList.toggle("folded") === false;
    fold.dataset.more ??= fold.textContent;
    fold.textContent = open ? fold.dataset.less : fold.dataset.more;
  }
  const mode = event.target.closest(".modes button");
  if (mode) {
    const raw = mode.closest(".raw");
    for (const other of raw.querySelectorAll(".modes button")) other.setAttribute("aria-pressed", String(other === mode));
    for (const view of raw.querySelectorAll("ol[data-mode], pre[data-mode]")) view.hidden = view.dataset.mode !== mode.dataset.mode;
  }
});
