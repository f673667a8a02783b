"""What Weir recorded of an exchange: each answer that was judged, and what each critic said of it.

Read through the JSON interface of Weir's console, with the admin token.
"""

import http.client
import json
import time
from dataclasses import dataclass

PAUSE_SECONDS = 0.2


@dataclass
class Verdict:
    """What one critic said; `outcome` is pass, fail or skipped, the last with its `reason`."""

    critic: str
    mode: str
    outcome: str
    reason: str
    seconds: float


@dataclass
class Judged:
    """One answer that critics judged; the text of the one that the client got is with the client."""

    given: bool
    text: str
    tokens: int
    verdicts: list[Verdict]

    def failed(self) -> list[str]:
        """The critics that found it bad, in the panel's order."""
        return [verdict.critic for verdict in self.verdicts if verdict.outcome == "fail"]

    def rejected(self) -> bool:
        """Whether a critic that the answer had to wait for found it bad."""
        return any(verdict.outcome == "fail" and verdict.mode == "enforce" for verdict in self.verdicts)


class Console:
    def __init__(self, port: int, token: str):
        self.port, self.token = port, token

    def answers(self, exchange: str, patience_seconds: float) -> list[Judged] | None:
        """Every judged answer of an exchange in the order of asking; None where no record came in time."""
        deadline = time.monotonic() + patience_seconds
        # The verdicts are rows of their own, which come a moment after the exchange's.
        while not (answers := answers_of(self._get(f"/api/exchange/{exchange}") or {})):
            if time.monotonic() > deadline:
                return None
            time.sleep(PAUSE_SECONDS)
        return answers

    def _get(self, path: str) -> dict | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            body = response.read()
            return json.loads(body) if response.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def answers_of(record: dict) -> list[Judged]:
    """Round 0 is what the client got, which came last; the configured answer is none of the LLM's."""
    configured = record.get("exchange", {}).get("handling") in ("fallback", "refuse")
    made = []
    for answer in (record.get("judged") or {}).get("answers", []):
        if configured and answer["round"] == 0:
            continue
        said = [
            Verdict(row["critic"], row["mode"], row["outcome"], row["reason"], row["took_us"] / 1e6)
            for row in answer["verdicts"]
        ]
        text = "".join(stretch["text"] for stretch in answer["text"])
        made.append(Judged(answer["round"] == 0, text, answer["completion_tokens"], said))
    return made
