"""What the cache gives again, by the official clients, unmodified, before a real engine.

    cache_clients.py <engine> <weir>

Base URLs without /v1. Each prompt costs one call of the engine through Weir: ten in all,
which `cache.rs` counts.
"""

import sys

import anthropic
import openai
from checks import bare, check, end, raises
from kept import (CHAT, COMPLETION, MESSAGES, RESPONSES, RESPONSES_EVENTS, kept, lean, plain_then_streamed,
                  streamed_then_plain, until_kept)

engine, weir = sys.argv[1:3]
direct, through = (openai.OpenAI(base_url=f"{url}/v1", api_key="sk-team", max_retries=0) for url in (engine, weir))
direct_anthropic, through_anthropic = (
    anthropic.Anthropic(base_url=url, api_key="sk-team", max_retries=0) for url in (engine, weir)
)

# Nothing kept by the engine between two answers: only then are they equal to the last digit.
PLAIN = {"model": "smollm2", "temperature": 0, "seed": 7, "extra_body": {"cache_prompt": False}}
RIVERS, TOWNS = "Name two rivers of Europe.", "Name two towns of Norway."


def chat(prompt: str) -> dict:
    return {**PLAIN, "messages": [{"role": "user", "content": prompt}], "max_tokens": 12, "logprobs": True, "top_logprobs": 2}


def completion(prompt: str) -> dict:
    return {**PLAIN, "prompt": prompt, "max_tokens": 12, "logprobs": 2}


def responses(prompt: str) -> dict:
    return {"model": "smollm2", "temperature": 0, "input": prompt, "max_output_tokens": 12}


def messages(prompt: str) -> dict:
    talk = [{"role": "user", "content": prompt}]
    return {"model": "smollm2", "max_tokens": 12, "messages": talk, "extra_body": {"temperature": 0, "seed": 7}}


def every_shape() -> None:
    table = [
        ("chat", CHAT, chat, direct, through),
        ("completion", COMPLETION, completion, direct, through),
        ("responses", RESPONSES, responses, direct, through),
        ("messages", MESSAGES, messages, direct_anthropic, through_anthropic),
    ]
    for what, shape, ask, beside, client in table:
        first = plain_then_streamed(what, shape, client, ask(RIVERS))
        check("12" in str(first["usage"]), f"{what}: usage is told", first)
        check(("logprobs" in str(first)) == ("logprobs" in ask(RIVERS)), f"{what}: probabilities are told", first)
        # The prompt is now in the engine's cache, so that all answers count the same tokens as cached.
        shape.plain(beside, ask(TOWNS))
        streamed = RESPONSES_EVENTS if what == "responses" else shape
        first = streamed_then_plain(f"{what}, streamed", streamed, client, ask(TOWNS))
        said = shape.plain(beside, ask(TOWNS))
        check(bare(first) == bare(said), f"{what}: in one piece, as the engine says it", f"\n  kept   {first!r}\n  engine {said!r}")


def usage_where_asked_for() -> None:
    """After `every_shape`, for an answer that was kept in one piece and for one that was streamed."""
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    for prompt in (RIVERS, TOWNS):
        for what, create, ask in (("chat", kept(through).chat.completions.create, chat(prompt)),
                                  ("completion", kept(through).completions.create, completion(prompt))):
            told = [chunk for chunk in create(**ask, **asked) if chunk.usage]
            # llama.cpp tells that of a completion on its last piece, that of a chat in a chunk of its own.
            own = what == "completion" and prompt == TOWNS or told and not told[0].choices
            check(len(told) == 1 and own, f"{what}: one chunk tells the usage", told)
            bare = list(create(**ask, stream=True))
            check(bare and not any(chunk.usage for chunk in bare), f"{what}: none where nobody asked", bare)
            check(all(chunk.choices for chunk in bare), f"{what}: and no chunk without a choice", bare)


def nothing_is_made_up() -> None:
    """A stream that told no usage cannot be what owes one."""
    ask = chat("Name two seas.")
    first = lean(list(through.chat.completions.create(**ask, stream=True)))
    again = until_kept(lambda: lean(list(kept(through).chat.completions.create(**ask, stream=True))))
    check(again == first, "without usage: the kept stream is the first", again)
    for what, more in (("plain", {}), ("stream with usage", {"stream": True, "stream_options": {"include_usage": True}})):
        fault = raises(f"without usage: no {what}", openai.APIStatusError, lambda: kept(through).chat.completions.create(**ask, **more))
        check(fault is not None and fault.status_code == 504, f"without usage: no {what} is kept", fault)


def bytes_and_headers() -> None:
    """Kept answers in the form in which they came are the very bytes, and say what they are."""
    first = through.embeddings.with_raw_response.create(model="smollm2", input=["water", "stone"])
    again = until_kept(lambda: kept(through).embeddings.with_raw_response.create(model="smollm2", input=["water", "stone"]))
    check(again.http_response.content == first.http_response.content, "embeddings: the same bytes")
    check([len(one.embedding) > 100 for one in again.parse().data] == [True, True], "embeddings: two vectors")
    check(first.headers["cache-status"] == "weir; fwd=miss", "embeddings: first a miss", first.headers)
    for what, answer in (
        ("embeddings", again),
        ("chat", through.chat.completions.with_raw_response.create(**chat(RIVERS))),
        ("chat, streamed", through.chat.completions.with_raw_response.create(**chat(RIVERS), stream=True)),
        ("messages", through_anthropic.messages.with_raw_response.create(**messages(TOWNS))),
    ):
        status = answer.headers.get("cache-status", "none")
        check(status.startswith("weir; hit; ttl="), f"{what}: a hit says so", status)
        check(int(answer.headers.get("age", -1)) >= 0, f"{what}: and how old it is", answer.headers)


every_shape()
usage_where_asked_for()
nothing_is_made_up()
bytes_and_headers()
end()
