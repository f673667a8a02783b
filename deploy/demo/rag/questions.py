"""Questions with known answers, and whether an answer is right.

An answer is right where it fits a pattern of its question, or, where no document holds the answer,
where it says so. The patterns are a rough judge: they see a right word beside a wrong one as right.
"""

import re
import tomllib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from rag.documents import Passage

LIST = Path(__file__).with_name("questions.toml")
DECLINES = re.compile(
    r"\b(do|does|did)(es)?(n't| not) (say|tell|mention|specify|contain|provide|state|hold|include|give|have|list|answer)"
    r"|\b(not|n't|never|nowhere) (\w+ )?(mentioned|specified|stated|given|provided|said|told|contained|held|found|in the)"
    r"|\bno (information|mention|answer|such)|\b(cannot|can't|unable to) (be )?(answer|determin|find|tell|say)"
    r"|(нет|нету) (в |ответ|информац|данн|сведен|упомин)|этого нет|не (сказан|указан|упом|содерж|говор|привод|привед|найден)"
    r"|не (могу|удалось) (ответ|найти|определ)",
    re.IGNORECASE,
)


class Mark(Enum):
    """What an answer is worth, by what is known."""

    RIGHT = "right"
    # It says that the documents do not say, though they do: not helpful, and not untrue of the world.
    DECLINED = "declined"
    WRONG = "wrong"


class Stale(Exception):
    """A question whose passage is gone; the text names it."""


@dataclass(frozen=True)
class Question:
    ask: str
    held_by: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()

    def has_answer(self) -> bool:
        return bool(self.held_by)

    def is_held_by(self, passage: Passage) -> bool:
        """Whether it has the words, and the known answer with them."""
        return self.has_answer() and all(word in str(passage) for word in self.held_by) and self._fits(str(passage))

    def mark(self, answer: str) -> Mark:
        declines = DECLINES.search(answer) is not None
        if not self.has_answer():
            return Mark.RIGHT if declines else Mark.WRONG
        if self._fits(answer):
            return Mark.RIGHT
        return Mark.DECLINED if declines else Mark.WRONG

    def _fits(self, text: str) -> bool:
        return any(re.search(pattern, text, re.IGNORECASE) for pattern in self.accept)


def questions(passages: list[Passage]) -> list[Question]:
    """All of them, each checked against the passages."""
    tables = tomllib.loads(LIST.read_text())["question"]
    asked = [Question(**{key: tuple(value) if key != "ask" else value for key, value in table.items()}) for table in tables]
    gone = [one for one in asked if one.has_answer() and not any(map(one.is_held_by, passages))]
    if gone:
        listed = "\n".join(f"  {question.ask}  {list(question.held_by)}" for question in gone)
        raise Stale(f"no passage holds the answer any more: the documents have changed, change {LIST.name}\n{listed}")
    return asked
