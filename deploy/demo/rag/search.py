"""Search by words: BM25 (Robertson and Zaragoza 2009) over passages, headings included."""

import math
import re
from collections import Counter

from rag.documents import Passage

K1, B = 1.2, 0.75
WORD = re.compile(r"\w+")


class Index:
    def __init__(self, passages: list[Passage]):
        self.passages = passages
        self.counts = [Counter(words(str(passage))) for passage in passages]
        self.lengths = [sum(counts.values()) for counts in self.counts]
        self.mean_length = sum(self.lengths) / max(len(passages), 1)
        held_by = Counter(word for counts in self.counts for word in counts)
        total = len(passages)
        self.weights = {word: math.log(1 + (total - n + 0.5) / (n + 0.5)) for word, n in held_by.items()}

    def find(self, question: str, most: int) -> list[Passage]:
        """The passages that fit best, best first; fewer where fewer share a word with the question."""
        asked = set(words(question))
        scored = [(self._score(asked, at), at) for at in range(len(self.passages))]
        best = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: (-pair[0], pair[1]))
        return [self.passages[at] for _, at in best[:most]]

    def _score(self, asked: set[str], at: int) -> float:
        counts, share = self.counts[at], self.lengths[at] / self.mean_length
        found = ((self.weights[word], counts[word]) for word in asked if word in counts)
        return sum(weight * n * (K1 + 1) / (n + K1 * (1 - B + B * share)) for weight, n in found)


def words(text: str) -> list[str]:
    """Lower case, without a closing s; `max_bytes` is itself and also its parts."""
    whole = [word.casefold() for word in WORD.findall(text)]
    parts = [part for word in whole if "_" in word for part in word.split("_") if part]
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in whole + parts]
