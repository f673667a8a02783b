// Evict and flush: nothing is removed before a second word, and the page says what was done.

const at = (id) => document.getElementById(id);
export const sure = at("sure");
let pending = null;
let removed = () => {};

// What a page does after something was removed.
export function onRemoved(act) { removed = act; }

function ask(title, what, address, body, done) {
  at("sure-title").textContent = title;
  at("sure-what").textContent = what;
  at("sure-what").hidden = !what;
  at("sure-fault").hidden = true;
  at("sure-yes").textContent = sure.dataset[address.endsWith("flush") ? "flush" : "remove"];
  pending = { address, body, done };
  sure.showModal();
  at("sure-no").focus();
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-evict], button[data-flush]");
  if (!button) return;
  const { evict, flush, name } = button.dataset;
  if (evict) {
    const text = button.closest("tr")?.querySelector(".c-what bdi")?.textContent ?? evict;
    ask(sure.dataset.evict, text, "/api/cache/evict", { exchange: evict }, sure.dataset.evicted);
  } else {
    ask(sure.dataset[flush].replace("{name}", name), "", "/api/cache/flush", { [flush]: name }, sure.dataset.flushed);
  }
});

async function remove() {
  const answer = await fetch(pending.address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(pending.body) });
  if (answer.redirected) { location.reload(); return; }
  if (answer.ok) {
    sure.close();
    tell(pending.done);
    removed();
    return;
  }
  const fault = (await answer.json().catch(() => null))?.error;
  at("sure-fault").textContent = fault ? `${fault.message}; ${fault.cure}` : document.body.dataset.notLoaded;
  at("sure-fault").hidden = false;
}
at("sure-yes")?.addEventListener("click", (event) => { event.preventDefault(); remove().catch(() => { at("sure-fault").textContent = document.body.dataset.notLoaded; at("sure-fault").hidden = false; }); });

let timer = 0;
function tell(text) {
  const told = at("told");
  told.textContent = text;
  told.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { told.hidden = true; }, 6000);
}
