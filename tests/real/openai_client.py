"""The official OpenAI client, unmodified, through Weir and beside it.

    openai_client.py <engine> <weir>

Base URLs without /v1. Weir knows the tenants of `clients.rs`.
"""

import asyncio
import json
import sys
import time

import openai
from checks import check, end, raises, same, told

engine, weir = (address.rstrip("/") + "/v1" for address in sys.argv[1:3])
direct = openai.OpenAI(base_url=engine, api_key="sk-team", max_retries=0)
through = openai.OpenAI(base_url=weir, api_key="sk-team", max_retries=0)

TALK = [{"role": "user", "content": "Name two rivers of Europe."}]
# Nothing kept between two answers: only then are they equal to the last digit.
PLAIN = {"model": "smollm2", "temperature": 0, "seed": 7, "extra_body": {"cache_prompt": False}}
CHAT = {**PLAIN, "messages": TALK, "max_tokens": 12}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITY = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"enum": ["Rome", "Oslo"]}, "old": {"type": "boolean"}},
            "required": ["name", "old"],
            "additionalProperties": False,
        },
    },
}


def chats() -> None:
    def ask(**more):
        return lambda client: client.chat.completions.create(**{**CHAT, **more})

    plain = same("chat", ask(), direct, through)
    check(plain["usage"]["completion_tokens"] == 12, "chat: usage is told", plain)
    events = same("chat, streamed", lambda c: list(ask(stream=True, stream_options={"include_usage": True})(c)), direct, through)
    text = "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    check(text == plain["choices"][0]["message"]["content"], "chat: streamed text is the plain text", text)
    check(events[-1]["usage"] == plain["usage"], "chat: the stream's usage is the plain answer's", events[-1])
    tools = same("tools", ask(tools=[WEATHER], tool_choice="required", max_tokens=24), direct, through)
    check("raised" not in tools, "tools: they are taken", tools)  # the small model calls none
    same("tools, streamed", lambda c: list(ask(tools=[WEATHER], tool_choice="required", max_tokens=24, stream=True)(c)), direct, through)
    schema = same("json_schema", ask(response_format=CITY, messages=[{"role": "user", "content": "Rome?"}], max_tokens=40), direct, through)
    check(set(json.loads(schema["choices"][0]["message"]["content"])) == {"name", "old"}, "json_schema: it is kept to", schema)
    logprobs = same("logprobs", ask(logprobs=True, top_logprobs=3), direct, through)
    check(len(logprobs["choices"][0]["logprobs"]["content"]) == 12, "logprobs: one for each token", logprobs)
    two = same("n=2", ask(n=2), direct, through)
    check([choice["index"] for choice in two["choices"]] == [0, 1], "n=2: two choices", two)


def others() -> None:
    prompt = {**PLAIN, "prompt": "A weir is a", "max_tokens": 12}
    plain = same("completion", lambda c: c.completions.create(**prompt), direct, through)
    events = same("completion, streamed", lambda c: list(c.completions.create(**prompt, stream=True)), direct, through)
    text = "".join(choice["text"] for event in events for choice in event["choices"])
    check(text == plain["choices"][0]["text"], "completion: streamed text is the plain text", text)
    vectors = same("embeddings", lambda c: c.embeddings.create(model="smollm2", input=["water", "stone"]), direct, through)
    check(len(vectors["data"]) == 2 and len(vectors["data"][0]["embedding"]) > 100, "embeddings: two vectors")
    models = same("models.list", lambda c: list(c.models.list()), direct, through)
    check(models[0]["owned_by"] == "llamacpp", "models.list: the model is there", models)
    same("models.retrieve", lambda c: c.models.retrieve("smollm2"), direct, through)
    ask = {"model": "smollm2", "temperature": 0, "input": "Name two rivers.", "max_output_tokens": 12}
    # The prompt is now in the engine's cache, so that all answers count the same tokens as cached.
    direct.responses.create(**ask)
    answer = same("responses", lambda c: c.responses.create(**ask), direct, through)
    check(answer["status"] == "completed", "responses: completed", answer)
    events = same("responses, streamed", lambda c: list(c.responses.create(**ask, stream=True)), direct, through)
    check(events[-1]["type"] == "response.completed", "responses: the stream comes to its end", events[-1])


def refusals() -> None:
    same("malformed", lambda c: c.chat.completions.create(model="smollm2", messages="x"), direct, through)
    raises("malformed", openai.BadRequestError, lambda: through.chat.completions.create(model="smollm2", messages="x"))
    raises("no such path", openai.NotFoundError, lambda: through.get("/nothing", cast_to=object))
    nobody = openai.OpenAI(base_url=weir, api_key="sk-nobody", max_retries=0)
    raises("unknown key", openai.AuthenticationError, lambda: nobody.chat.completions.create(**CHAT))
    slow = openai.OpenAI(base_url=weir, api_key="sk-slow", max_retries=0)
    answer = told(lambda c: c.chat.completions.create(**{**CHAT, "max_tokens": 1}), slow)
    check("raised" not in answer, "the first request of a slow tenant passes", answer)
    fault = raises("over the rate", openai.RateLimitError,
                   lambda: slow.chat.completions.create(**CHAT))
    check(fault is not None and int(fault.response.headers["retry-after"]) > 0, "over the rate: Retry-After is told")


async def cancelled() -> None:
    """A task that is cancelled within a stream, and the same client used on."""
    client = openai.AsyncOpenAI(base_url=weir, api_key="sk-team", max_retries=0)
    seen = asyncio.Event()

    async def read() -> None:
        story = {**CHAT, "messages": [{"role": "user", "content": "Tell a very long story."}], "max_tokens": 1500}
        async for _ in await client.chat.completions.create(**story, stream=True):
            seen.set()

    reading = asyncio.create_task(read())
    await asyncio.wait_for(seen.wait(), 30)
    reading.cancel()
    began = time.monotonic()
    answer = await client.chat.completions.create(**CHAT)
    check(answer.usage.completion_tokens == 12, "cancelled: the client goes on")
    check(time.monotonic() - began < 20, "cancelled: at once", time.monotonic() - began)
    await client.close()


chats()
others()
refusals()
asyncio.run(cancelled())
end()
