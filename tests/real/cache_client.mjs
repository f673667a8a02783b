// What the cache gives again, by the official OpenAI client for JavaScript, unmodified.
//
//   node cache_client.mjs <engine> <weir> <folder of node_modules>
//
// Base URLs without /v1. Each of four prompts is asked once; all else forbids Weir to ask the
// engine (`only-if-cached`), so whatever comes was kept. Ends with 1 where a check does not hold.

import { createRequire } from "node:module";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { check, end, KEPT, lean, NATURAL, untilKept } from "./kept.mjs";

const [engine, weir, modules] = process.argv.slice(2);
const OpenAI = createRequire(path.join(modules, "..", "package.json"))("openai");
const client = (address, defaultHeaders) => new OpenAI({ baseURL: `${address}/v1`, apiKey: "sk-team", maxRetries: 0, defaultHeaders });
const [direct, through, kept] = [client(engine), client(weir), client(weir, KEPT)];
const [RIVERS, TOWNS] = ["Name two rivers of Europe.", "Name two towns of Norway."];

const chat = (prompt) => ({ model: "smollm2", temperature: 0, seed: 7, cache_prompt: false, max_tokens: 12, messages: [{ role: "user", content: prompt }] });
const response = (prompt) => ({ model: "smollm2", temperature: 0, max_output_tokens: 12, input: prompt });
async function chatStream(of, prompt) {
  const stream = of.chat.completions.stream({ ...chat(prompt), stream_options: { include_usage: true } });
  return lean(await stream.finalChatCompletion());
}
async function responseEvents(of, prompt) {
  let last;
  for await (const event of await of.responses.create({ ...response(prompt), stream: true })) last = event;
  return lean(last.response);
}
const shapes = [
  ["chat", async (of, prompt) => lean(await of.chat.completions.create(chat(prompt))), chatStream, chatStream],
  // llama.cpp leaves `output_index` out of its events, which the collector needs: its own stream is read without.
  ["responses", async (of, prompt) => lean(await of.responses.create(response(prompt))), async (of, prompt) => lean(await of.responses.stream(response(prompt)).finalResponse()), responseEvents],
];
for (const [what, plain, collected, streamed] of shapes) {
  const first = await plain(through, RIVERS);
  const again = await untilKept(() => plain(kept, RIVERS));
  check(isDeepStrictEqual(again, first), `${what}: the kept answer is the first`, { first, again });
  const stream = await collected(kept, RIVERS);
  check(isDeepStrictEqual(stream, first), `${what}: streamed, it is the same`, { first, stream });
  await plain(direct, TOWNS); // the engine's cache now holds the prompt: equal counts for all that follow
  const begun = await streamed(through, TOWNS);
  const whole = await untilKept(() => plain(kept, TOWNS));
  check(isDeepStrictEqual(whole, begun), `${what}: a kept stream in one piece is the same`, { begun, whole });
  const said = await plain(direct, TOWNS);
  check(isDeepStrictEqual(lean(whole, NATURAL), lean(said, NATURAL)), `${what}: as the engine says it`, { whole, said });
}
const { response: head } = await through.chat.completions.create(chat(RIVERS)).withResponse();
check(head.headers.get("cache-status")?.startsWith("weir; hit; ttl="), "a hit says so", head.headers.get("cache-status"));
end();
