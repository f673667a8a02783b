// The official OpenAI client for JavaScript, unmodified, through Weir and beside it.
//
//   node openai_client.mjs <engine> <weir> <folder of node_modules>
//
// Base URLs without /v1. One line per check; ends with 1 where one does not hold.

import { createRequire } from "node:module";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";

const [engine, weir, modules] = process.argv.slice(2);
const OpenAI = createRequire(path.join(modules, "..", "package.json"))("openai");
const client = (address, apiKey = "sk-team") => new OpenAI({ baseURL: `${address}/v1`, apiKey, maxRetries: 0 });
const [direct, through] = [client(engine), client(weir)];

// Nothing kept between two answers: only then are they equal to the last digit.
const PLAIN = { model: "smollm2", temperature: 0, seed: 7, cache_prompt: false };
const CHAT = { ...PLAIN, messages: [{ role: "user", content: "Name two rivers of Europe." }], max_tokens: 12 };
const WEATHER = { type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } };
const NATURAL = new Set(["id", "created", "created_at", "completed_at", "timings", "item_id"]);

let failed = 0;
function check(holds, what, seen = "") {
  failed += holds ? 0 : 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${holds ? "" : `: ${JSON.stringify(seen)}`}`);
}
const bare = (value) => JSON.parse(JSON.stringify(value, (key, held) => (NATURAL.has(key) ? undefined : held)));
async function told(ask, of) {
  try {
    return bare(await ask(of));
  } catch (fault) {
    if (!fault.status) throw fault; // no answer at all: a fault of the script or of the connection
    return { raised: fault.constructor.name, status: fault.status, text: fault.message };
  }
}
async function same(what, ask) {
  const [plain, passed] = [await told(ask, direct), await told(ask, through)];
  check(isDeepStrictEqual(plain, passed), `${what}: as from the engine`, { plain, passed });
  return passed;
}
async function raises(what, kind, ask) {
  const fault = await ask().then((answer) => answer, (fault) => fault);
  check(fault instanceof kind, `${what}: ${kind.name}`, fault);
}
async function all(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}
const chat = (more) => (of) => of.chat.completions.create({ ...CHAT, ...more });

const plain = await same("chat", chat());
const events = await same("chat, streamed", (of) => all(chat({ stream: true, stream_options: { include_usage: true } })(of)));
const text = events.flatMap((event) => event.choices).map((choice) => choice.delta.content ?? "").join("");
check(text === plain.choices[0].message.content, "chat: streamed text is the plain text", text);
check(isDeepStrictEqual(events.at(-1).usage, plain.usage), "chat: the stream's usage is the plain answer's", events.at(-1));
await same("tools", chat({ tools: [WEATHER], tool_choice: "required" }));
await same("completion", (of) => of.completions.create({ ...PLAIN, prompt: "A weir is a", max_tokens: 12 }));
await same("completion, streamed", (of) => all(of.completions.create({ ...PLAIN, prompt: "A weir is a", max_tokens: 12, stream: true })));
await same("embeddings", (of) => of.embeddings.create({ model: "smollm2", input: "water" }));
await same("models.list", (of) => all(of.models.list()));
const ask = { model: "smollm2", temperature: 0, input: "Name two rivers.", max_output_tokens: 12 };
await direct.responses.create(ask); // the engine's cache now holds the prompt: equal counts for all that follow
await same("responses", (of) => of.responses.create(ask));
await same("responses, streamed", (of) => all(of.responses.create({ ...ask, stream: true })));

await same("malformed", chat({ messages: "x" }));
await raises("malformed", OpenAI.BadRequestError, () => chat({ messages: "x" })(through));
await raises("no such path", OpenAI.NotFoundError, () => through.get("/nothing"));
await raises("unknown key", OpenAI.AuthenticationError, () => chat()(client(weir, "sk-nobody")));
const slow = client(weir, "sk-slowest");
await chat({ max_tokens: 1 })(slow);
await raises("over the rate", OpenAI.RateLimitError, () => chat()(slow));

const stream = await chat({ stream: true, max_tokens: 1500, messages: [{ role: "user", content: "Tell a very long story." }] })(through);
for await (const _ of stream) break; // leaves the loop, which aborts the request
check((await chat()(through)).usage.completion_tokens === 12, "aborted: the client goes on");
process.exit(failed ? 1 : 0);
