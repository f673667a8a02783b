"""The application: finds passages, asks an LLM about them, and reads what Weir says of the answer."""

import json
import time
from dataclasses import dataclass

from rag.documents import Passage
from rag.search import Index
from traffic import Exchange

PASSAGES = 3
# The route of the demo's configuration that judges answers takes requests with this header.
JUDGED = {"x-application": "rag"}
INSTRUCTIONS = (
    "Answer the question from the context alone, in one or two short sentences,"
    " in the language of the question. If the context does not hold the answer, say:"
    " \"The documents do not say.\" (in Russian: «В документах этого нет.»)"
)


@dataclass
class Reply:
    """What came back; `verdict` is empty where no critic judged, `text` where there was none."""

    status: int
    text: str
    verdict: str
    attempts: int
    exchange: str
    seconds: float


class Application:
    def __init__(self, port: int, model: str, index: Index, max_tokens: int):
        self.port, self.model, self.index, self.max_tokens = port, model, index, max_tokens

    def found(self, question: str) -> list[Passage]:
        return self.index.find(question, PASSAGES)

    def ask(self, question: str, headers: dict[str, str]) -> Reply:
        """Errors are those of the connection."""
        began = time.monotonic()
        with Exchange(self.port, "/v1/chat/completions", self._body(question), headers) as response:
            body = response.read()
        header = response.headers.get
        return Reply(
            status=response.status,
            text=text_of(body),
            verdict=header("x-weir-verdict", ""),
            attempts=int(header("x-weir-attempts", "0")),
            exchange=header("x-weir-exchange", ""),
            seconds=time.monotonic() - began,
        )

    def _body(self, question: str) -> dict:
        context = "\n".join(f"- {passage}" for passage in self.found(question))
        messages = [
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": f"<context>\n{context}\n</context>\n\n{question}"},
        ]
        return {"model": self.model, "messages": messages, "max_tokens": self.max_tokens, "temperature": 0}


def text_of(body: bytes) -> str:
    """The text of the first choice; empty where there is none."""
    try:
        return json.loads(body)["choices"][0]["message"]["content"] or ""
    except (ValueError, LookupError, TypeError):
        return ""
