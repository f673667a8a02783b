"""Answers that the small model cannot give, through the cache, by the official clients, unmodified.

    cache_answers.py <weir> <case>...

A case is `api/form/members/engine`: what a scripted engine at this base URL answers on this API,
in the form `plain` or `stream`, and members or words (with commas) that its answer has. Each
engine is the one of the model of the same URL.
"""

import json
import sys

import anthropic
import openai
from checks import check, end
from kept import CHAT, MESSAGES, RESPONSES, plain_then_streamed, streamed_then_plain

weir = sys.argv[1]
TALK = [{"role": "user", "content": "How is the weather in Paris and in Lyon?"}]
ASKS = {
    "chat": (CHAT, {"messages": TALK, "temperature": 0}),
    "responses": (RESPONSES, {"input": TALK, "temperature": 0}),
    "messages": (MESSAGES, {"messages": TALK, "max_tokens": 99, "extra_body": {"temperature": 0}}),
}


def client(api: str, url: str):
    if api == "messages":
        return anthropic.Anthropic(base_url=url, api_key="sk-team", max_retries=0)
    return openai.OpenAI(base_url=f"{url}/v1", api_key="sk-team", max_retries=0)


for case in sys.argv[2:]:
    api, form, members, engine = case.split("/", 3)
    shape, ask = ASKS[api]
    ask = {**ask, "model": engine}
    what = f"{api}, {form}, {members}"
    direct, through = client(api, engine), client(api, weir)
    if form == "plain":
        first, said = plain_then_streamed(what, shape, through, ask), shape.plain(direct, ask)
    else:
        first, said = streamed_then_plain(what, shape, through, ask), shape.streamed(direct, ask)
    check(first == said, f"{what}: as the engine says it", f"\n  through {first!r}\n  direct  {said!r}")
    for member in members.split(","):
        check(member in json.dumps(first), f"{what}: there is {member}", first)
end()
