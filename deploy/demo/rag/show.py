"""Some questions asked before whoever watches the demo: one line each, and what came of them in all."""

import time
from collections.abc import Iterator

from rag.application import JUDGED, Application, Reply
from rag.documents import passages
from rag.questions import Mark, Question, questions
from rag.records import Console, Judged
from rag.search import Index

MAX_TOKENS = 48
RECORD_SECONDS = 5
HEADING = f"  {'question to the documents':48}{'verdict':>9}{'answers':>9}{'seconds':>9}   found bad by"


def ask_some(port: int, model: str, console: Console | None, count: int, budget_seconds: float) -> Iterator[tuple[str, bool]]:
    """Lines to print, each with whether it went as expected; no new question once the time would run out."""
    found = passages()
    application = Application(port, model, Index(found), MAX_TOKENS)
    chosen = spread(questions(found), count)
    began, longest, right = time.monotonic(), 0.0, 0
    for asked, question in enumerate(chosen):
        if time.monotonic() - began + longest > budget_seconds:
            yield f"  {len(chosen) - asked} more were not asked: this machine is too slow for them now", True
            break
        reply = application.ask(question.ask, JUDGED)
        longest = max(longest, reply.seconds)
        answers = console.answers(reply.exchange, RECORD_SECONDS) if console else None
        right += reply.verdict == "pass" and question.mark(reply.text) is Mark.RIGHT
        yield line(question, reply, answers), reply.status == 200 and reply.verdict != ""
    else:
        yield f"  {right} of {len(chosen)} were answered rightly; the model is a tiny one", True


def spread(all_of_them: list, count: int) -> list:
    """So many of them, from the whole list evenly."""
    count = min(count, len(all_of_them))
    return [all_of_them[at * len(all_of_them) // count] for at in range(count)]


def line(question: Question, reply: Reply, answers: list[Judged] | None) -> str:
    asked = question.ask if len(question.ask) < 46 else f"{question.ask[:44]}…"
    verdict = reply.verdict or f"HTTP {reply.status}"
    return f"  {asked:48}{verdict:>9}{reply.attempts:>9}{reply.seconds:>9.1f}   {found_bad(answers)}"


def found_bad(answers: list[Judged] | None) -> str:
    """The critics that found each answer bad; a retry comes after an arrow."""
    if answers is None:
        return "(no record was read)"
    return " → ".join(", ".join(answer.failed()) or "-" for answer in answers)
