// How the scripts about the cache ask and report: a client that takes kept answers only, and
// plain values. One line per check.

import { setTimeout as pause } from "node:timers/promises";

const PATIENCE_MS = 30_000;
// Forbids Weir to ask the engine: whatever such a client is given was kept.
export const KEPT = { "Cache-Control": "only-if-cached" };

let failed = 0;
export function check(holds, what, seen = "") {
  failed += holds ? 0 : 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${holds ? "" : `: ${JSON.stringify(seen)}`}`);
}
// What the collector adds, or does not carry from chunks; with ids and moments, what is made anew for each answer.
const COLLECTED = new Set(["parsed", "timings", "output_text", "object"]);
export const NATURAL = new Set([...COLLECTED, "id", "created", "created_at", "completed_at"]);
export const lean = (value, without = COLLECTED) =>
  JSON.parse(JSON.stringify(value, (key, held) => (without.has(key) || held === null || (Array.isArray(held) && !held.length) ? undefined : held)));
export async function untilKept(ask) {
  for (const began = Date.now(); ; await pause(10)) {
    try {
      return await ask();
    } catch (fault) {
      if (fault.status !== 504 || Date.now() - began > PATIENCE_MS) throw fault;
    }
  }
}
export function end() {
  process.exit(failed ? 1 : 0);
}
