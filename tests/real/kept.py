"""How the scripts about the cache ask: a client that takes kept answers only, and plain values.

`kept` forbids Weir to ask the engine, so whatever such a client is given was kept.
"""

import time

from checks import check

KEPT = {"Cache-Control": "only-if-cached"}
PATIENCE_SECONDS = 30
# What the clients' own collectors add to an answer, or number in it.
COLLECTED = {"parsed", "parsed_arguments", "parsed_output", "index"}
# Members of one engine that OpenAI's collector does not carry from chunks into its answer.
DROPPED = {"timings", "matched_stop", "stop_reason", "metadata", "object"}


def kept(client):
    return client.with_options(default_headers=KEPT)


def until_kept(ask) -> object:
    """What `ask` gives once the answer is kept: Weir judges it after it was sent."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except Exception as fault:
            if getattr(fault, "status_code", None) != 504 or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def lean(value: object, without: set = frozenset()) -> object:
    """A plain value without empty members and without these."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(warnings=False)
    if isinstance(value, dict):
        return {key: lean(held, without) for key, held in value.items() if held not in (None, [], {}) and key not in without}
    return [lean(held, without) for held in value] if isinstance(value, (list, tuple)) else value


class Shape:
    """One kind of answer, asked for in both forms and with the client's own collector."""

    def __init__(self, plain, streamed, without: set = frozenset()):
        self._plain, self._streamed, self._without = plain, streamed, COLLECTED | set(without)

    def plain(self, client, ask: dict) -> object:
        return lean(self._plain(client, ask), self._without)

    def streamed(self, client, ask: dict) -> object:
        return lean(self._streamed(client, ask), self._without)


def chat_stream(client, ask: dict) -> object:
    with client.chat.completions.stream(**ask, stream_options={"include_usage": True}) as stream:
        done = [event.index for event in stream if event.type == "tool_calls.function.arguments.done"]
        # Not its final completion, which it refuses to give where an answer was cut at its limit.
        whole = stream.current_completion_snapshot
    calls = [call.index for choice in whole.choices for call in choice.message.tool_calls or []]
    check(done == calls, "each call of a chat's stream is told to be done", (done, calls))
    return whole


def completion_stream(client, ask: dict) -> dict:
    """There is no collector for these: texts and log-probabilities joined, all else as it was told first."""
    whole, text, probabilities, choice = {}, "", [], {}
    for chunk in client.completions.create(**ask, stream=True, stream_options={"include_usage": True}):
        told = lean(chunk)
        for part in told.pop("choices", []):
            text += part.pop("text", "")
            probabilities += part.pop("logprobs", {}).get("content", [])
            choice |= part
        whole = told | whole
    return {**whole, "choices": [{**choice, "text": text, "logprobs": {"content": probabilities}}]}


def responses_stream(client, ask: dict) -> object:
    with client.responses.stream(**ask) as stream:
        return stream.get_final_response()


def responses_events(client, ask: dict) -> object:
    """Without the collector: it needs `output_index`, which llama.cpp leaves out of its events."""
    return list(client.responses.create(**ask, stream=True))[-1].response


def messages_stream(client, ask: dict) -> object:
    with client.messages.stream(**ask) as stream:
        return stream.get_final_message()


CHAT = Shape(lambda client, ask: client.chat.completions.create(**ask), chat_stream, DROPPED)
COMPLETION = Shape(lambda client, ask: client.completions.create(**ask), completion_stream, DROPPED)
RESPONSES = Shape(lambda client, ask: client.responses.create(**ask), responses_stream)
RESPONSES_EVENTS = Shape(lambda client, ask: client.responses.create(**ask), responses_events)
MESSAGES = Shape(lambda client, ask: client.messages.create(**ask), messages_stream)


def plain_then_streamed(what: str, shape: Shape, client, ask: dict) -> object:
    """Asked in one piece: the same comes again in one piece and as a stream."""
    first = shape.plain(client, ask)
    again = until_kept(lambda: shape.plain(kept(client), ask))
    check(again == first, f"{what}: the kept answer is the first", f"\n  first {first!r}\n  kept  {again!r}")
    again = shape.streamed(kept(client), ask)
    check(again == first, f"{what}: streamed, it is the same", f"\n  plain    {first!r}\n  streamed {again!r}")
    return first


def streamed_then_plain(what: str, shape: Shape, client, ask: dict) -> object:
    """Asked as a stream: the same comes again as a stream and in one piece."""
    first = shape.streamed(client, ask)
    again = until_kept(lambda: shape.streamed(kept(client), ask))
    check(again == first, f"{what}: the kept stream is the first", f"\n  first {first!r}\n  kept  {again!r}")
    again = shape.plain(kept(client), ask)
    check(again == first, f"{what}: in one piece, it is the same", f"\n  streamed {first!r}\n  plain    {again!r}")
    return first
