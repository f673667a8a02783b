"""A handful of real requests, sent the way clients send them, each timed and reported in one line.

Knows the OpenAI-compatible API and nothing about Weir or about the engine behind it.
"""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

TIMEOUT_SECONDS = 120
HEADING = f"  {'request':24}{'status':>7}{'tokens in/out':>15}{'first token':>13}{'total':>10}"


@dataclass
class Outcome:
    """What one request came to; times in seconds from the moment it was sent."""

    name: str
    status: int
    total: float
    first_token: float | None = None
    usage: tuple[int, int] | None = None
    note: str = ""
    as_expected: bool = True

    def __str__(self) -> str:
        tokens = f"{self.usage[0]}/{self.usage[1]}" if self.usage else "-"
        first = f"{self.first_token * 1000:.0f} ms" if self.first_token is not None else "-"
        mark = "" if self.as_expected else "  UNEXPECTED"
        note = f"   {self.note}" if self.note else ""
        return f"  {self.name:24}{self.status:>7}{tokens:>15}{first:>13}{self.total * 1000:>7.0f} ms{mark}{note}"


class Client:
    """Requests against one data port."""

    def __init__(self, port: int, model: str):
        self.port, self.model = port, model

    def all(self) -> Iterator[Outcome]:
        yield self.chat()
        yield self.chat_streamed()
        yield self.completion()
        yield self.embeddings()
        yield self.bad_request()
        yield self.leaves_in_mid_stream()

    def chat(self) -> Outcome:
        return self._plain("chat", "/v1/chat/completions", self._question("Name three rivers of Europe.", 48), ok)

    def completion(self) -> Outcome:
        body = {"model": self.model, "prompt": "A weir is a low dam that", "max_tokens": 32}
        return self._plain("completion", "/v1/completions", body, ok)

    def embeddings(self) -> Outcome:
        body = {"model": self.model, "input": "water over the weir"}
        outcome = self._plain("embeddings", "/v1/embeddings", body, lambda status: True)
        if outcome.status != 200:
            outcome.note = "not offered by this engine"
        return outcome

    def bad_request(self) -> Outcome:
        body = {"model": self.model, "messages": "not a list"}
        refused = self._plain("chat, malformed", "/v1/chat/completions", body, lambda status: 400 <= status < 500)
        refused.note = refused.note or "refused, as it should be"
        return refused

    def chat_streamed(self) -> Outcome:
        began = time.monotonic()
        first, usage, done = None, None, False
        with self._open("/v1/chat/completions", self._streamed("Say what a weir is, in two sentences.", 64)) as response:
            for event in events(response):
                if event == "[DONE]":
                    done = True
                    continue
                chunk = json.loads(event)
                if first is None and has_text(chunk):
                    first = time.monotonic() - began
                usage = tokens_of(chunk) or usage
            status = response.status
        total = time.monotonic() - began
        complete = status == 200 and done
        return Outcome("chat, streamed", status, total, first, usage, "" if complete else "no clean end", complete)

    def leaves_in_mid_stream(self) -> Outcome:
        began = time.monotonic()
        first, seen = None, 0
        with self._open("/v1/chat/completions", self._streamed("Tell a very long story about a river.", 2000)) as response:
            for event in events(response):
                if event != "[DONE]" and has_text(json.loads(event)):
                    first = first or time.monotonic() - began
                    seen += 1
                if seen == 5:
                    break
            status = response.status
        total = time.monotonic() - began
        return Outcome("chat, client leaves", status, total, first, None, f"left after {seen} tokens", seen == 5)

    def _question(self, text: str, max_tokens: int) -> dict:
        return {"model": self.model, "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens}

    def _streamed(self, text: str, max_tokens: int) -> dict:
        return {**self._question(text, max_tokens), "stream": True, "stream_options": {"include_usage": True}}

    def _plain(self, name: str, path: str, body: dict, expected: Callable[[int], bool]) -> Outcome:
        began = time.monotonic()
        with self._open(path, body) as response:
            answer = response.read()
        outcome = Outcome(name, response.status, time.monotonic() - began, as_expected=expected(response.status))
        try:
            outcome.usage = tokens_of(json.loads(answer))
        except ValueError:
            outcome.note, outcome.as_expected = f"not JSON: {answer[:60]!r}", False
        if not outcome.as_expected:
            outcome.note = outcome.note or answer[:200].decode(errors="replace")
        return outcome

    def _open(self, path: str, body: dict) -> "Exchange":
        return Exchange(self.port, path, body)


class Exchange:
    """One request and its response; leaving the `with` block closes the connection, read or not."""

    def __init__(self, port: int, path: str, body: dict, headers: dict[str, str] | None = None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        self.path, self.body = path, json.dumps(body)
        self.headers = {"content-type": "application/json", **(headers or {})}

    def __enter__(self) -> http.client.HTTPResponse:
        self.connection.request("POST", self.path, self.body, self.headers)
        self.response = self.connection.getresponse()
        return self.response

    def __exit__(self, *_) -> None:
        # Both: the response holds the socket open after the connection let go of it.
        self.response.close()
        self.connection.close()


def events(response: http.client.HTTPResponse) -> Iterator[str]:
    """The data of each server-sent event; comments are passed over."""
    for line in response:
        if line.startswith(b"data:"):
            yield line[5:].strip().decode()


def has_text(chunk: dict) -> bool:
    return any((choice.get("delta") or {}).get("content") for choice in chunk.get("choices", []))


def tokens_of(answer: dict) -> tuple[int, int] | None:
    usage = answer.get("usage")
    return (usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)) if usage else None


def ok(status: int) -> bool:
    return status == 200
