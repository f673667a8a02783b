"""One question with everything that was answered to it, and what the critics made of each answer."""

from dataclasses import dataclass

from engine_cost import Cost
from rag.application import Reply
from rag.questions import Mark, Question
from rag.records import Judged


@dataclass
class Case:
    """`reply` is what the client got with critics, `plain` without them where that was asked;
    `spent` and `plain_spent` are what the engine did for each."""

    question: Question
    reply: Reply
    answers: list[Judged]
    retrieved: bool
    spent: Cost
    plain: Reply | None = None
    plain_spent: Cost | None = None

    def __post_init__(self) -> None:
        # The record has no text for the answer that the client got.
        for answer in self.answers:
            if answer.given:
                answer.text = self.reply.text
        self.marks = [self.question.mark(answer.text) for answer in self.answers]

    @property
    def first(self) -> Judged:
        return self.answers[0]

    @property
    def first_mark(self) -> Mark:
        """Of the answer that the client would have got without critics."""
        return self.marks[0]

    def was_caught(self) -> bool:
        return self.first.rejected()

    def was_retried(self) -> bool:
        return len(self.answers) > 1

    def was_escalated(self) -> bool:
        """No answer passed: the client got the configured one."""
        return not any(answer.given for answer in self.answers)

    def got(self) -> Mark | None:
        """What the client got by what is known; None for the configured answer."""
        return None if self.was_escalated() else self.marks[-1]

    def is_as_without(self) -> bool:
        """Whether the first answer is the one that came without critics."""
        return self.plain is not None and self.plain.text == self.first.text

    def judging_seconds(self) -> float:
        return sum(verdict.seconds for answer in self.answers for verdict in answer.verdicts)

    def as_json(self) -> dict:
        return {
            "ask": self.question.ask,
            "status": self.reply.status,
            "verdict": self.reply.verdict,
            "attempts": self.reply.attempts,
            "seconds": round(self.reply.seconds, 2),
            "retrieved": self.retrieved,
            "given": self.reply.text,
            "plain": self.plain and self.plain.text,
            "plain_verdict": self.plain and self.plain.verdict,
            "answers": [
                {
                    "given": answer.given,
                    "text": answer.text,
                    "mark": mark.value,
                    "verdicts": [[v.critic, v.mode, v.outcome, v.reason] for v in answer.verdicts],
                }
                for answer, mark in zip(self.answers, self.marks)
            ],
        }
