"""Twenty official clients, unmodified, that ask the same at once: one generation serves them all.

    cache_flight.py <weir>
"""

import asyncio
import sys

import openai
from checks import check, end

CLIENTS, MAX_TOKENS, PATIENCE_SECONDS = 20, 160, 120
STORY = {"model": "smollm2", "temperature": 0, "seed": 7, "max_tokens": MAX_TOKENS, "stream": True,
         "stream_options": {"include_usage": True}, "extra_body": {"ignore_eos": True}}


class Reader:
    """One client with a connection of its own, and what it has read so far."""

    def __init__(self, prompt: str):
        self.client = openai.AsyncOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="sk-team", max_retries=0)
        self.ask = {**STORY, "messages": [{"role": "user", "content": prompt}]}
        self.text, self.finish, self.usage, self.status = "", None, None, ""
        self.begun = asyncio.Event()
        self.reading = asyncio.create_task(self.read())

    async def read(self) -> None:
        async with self.client:
            async with self.client.chat.completions.with_streaming_response.create(**self.ask) as raw:
                self.status = raw.headers["cache-status"]
                async for chunk in await raw.parse():
                    self.usage = chunk.usage or self.usage
                    for choice in chunk.choices:
                        self.text += choice.delta.content or ""
                        self.finish = choice.finish_reason or self.finish
                    if self.text:
                        self.begun.set()


def whole(what: str, readers: list) -> None:
    texts = {reader.text for reader in readers}
    check(len(texts) == 1 and "" not in texts, f"{what}: all read the same", texts)
    check({reader.finish for reader in readers} == {"length"}, f"{what}: to the end")
    check({reader.usage.completion_tokens for reader in readers} == {MAX_TOKENS}, f"{what}: with the usage")


async def in_one_piece(ask: dict) -> tuple:
    plain = {key: value for key, value in ask.items() if not key.startswith("stream")}
    async with openai.AsyncOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="sk-team", max_retries=0) as client:
        raw = await client.chat.completions.with_raw_response.create(**plain)
        return raw.headers["cache-status"], raw.parse()


async def all_at_once() -> None:
    readers = [Reader("Tell a long story about a river.") for _ in range(CLIENTS)]
    await asyncio.gather(*(reader.reading for reader in readers))
    whole("at once", readers)
    statuses = sorted(reader.status for reader in readers)
    check(statuses == ["weir; fwd=miss"] + ["weir; fwd=miss; collapsed"] * (CLIENTS - 1), "at once: one leads", statuses)


async def the_first_leaves() -> None:
    first = Reader("Tell a long story about a stone.")
    await first.begun.wait()
    others = [Reader("Tell a long story about a stone.") for _ in range(CLIENTS - 1)]
    await asyncio.gather(*(reader.begun.wait() for reader in others))
    plain = asyncio.create_task(in_one_piece(others[0].ask))
    check(first.status == "weir; fwd=miss" and first.finish is None, "left: the first leads, and is amid", first.status)
    first.reading.cancel()
    await asyncio.gather(*(reader.reading for reader in others))
    check(first.reading.cancelled() and first.finish is None, "left: the first has left", first.finish)
    whole("left", others)
    check({reader.status for reader in others} == {"weir; fwd=miss; collapsed"}, "left: the others followed")
    status, answer = await plain
    # It may also have come when all was told.
    check(status.startswith(("weir; fwd=miss; collapsed", "weir; hit")), "left: one followed in one piece", status)
    check(answer.choices[0].message.content == others[0].text, "left: and has the same text", answer)
    check(answer.usage == others[0].usage, "left: and the same usage", answer)
    check(others[0].text.startswith(first.text), "left: it had read the same", first.text)


async def main() -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await all_at_once()
        await the_first_leaves()


asyncio.run(main())
end()
