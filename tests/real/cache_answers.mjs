// Answers that the small model cannot give, through the cache, by the official OpenAI client
// for JavaScript, unmodified. Cases as in cache_answers.py.
//
//   node cache_answers.mjs <weir> <folder of node_modules> <case>...

import { createRequire } from "node:module";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { check, end, KEPT, lean, untilKept } from "./kept.mjs";

const [weir, modules, ...cases] = process.argv.slice(2);
const OpenAI = createRequire(path.join(modules, "..", "package.json"))("openai");
const client = (address, defaultHeaders) => new OpenAI({ baseURL: `${address}/v1`, apiKey: "sk-team", maxRetries: 0, defaultHeaders });
const TALK = [{ role: "user", content: "How is the weather in Paris and in Lyon?" }];
// Members of one engine that the collector does not carry from chunks into its answer.
const DROPPED = new Set(["stop_reason", "matched_stop", "metadata", "index"]);
// It takes the usage from the last chunk only where that has an id; TGI's is empty.
const bare = ({ usage, ...value }) => lean(lean(value.id ? { ...value, usage } : value), DROPPED);

const shapes = {
  chat: {
    plain: (of, model) => of.chat.completions.create({ model, messages: TALK, temperature: 0 }),
    stream: (of, model) => of.chat.completions.stream({ model, messages: TALK, temperature: 0, stream_options: { include_usage: true } }).finalChatCompletion(),
  },
  responses: {
    plain: (of, model) => of.responses.create({ model, input: TALK, temperature: 0 }),
    stream: (of, model) => of.responses.stream({ model, input: TALK, temperature: 0 }).finalResponse(),
  },
};
for (const name of cases) {
  const [api, form, members, ...rest] = name.split("/");
  const engine = rest.join("/");
  const [same, other] = form === "plain" ? [shapes[api].plain, shapes[api].stream] : [shapes[api].stream, shapes[api].plain];
  const what = `${api}, ${form}, ${members}`;
  const said = bare(await same(client(engine), engine));
  const first = bare(await same(client(weir), engine));
  check(isDeepStrictEqual(first, said), `${what}: as the engine says it`, { said, first });
  const again = await untilKept(async () => bare(await same(client(weir, KEPT), engine)));
  check(isDeepStrictEqual(again, first), `${what}: the kept answer is the first`, { first, again });
  const turned = bare(await other(client(weir, KEPT), engine));
  check(isDeepStrictEqual(turned, first), `${what}: in the other form, it is the same`, { first, turned });
  for (const member of members.split(",")) check(JSON.stringify(first).includes(member), `${what}: there is ${member}`, first);
}
end();
