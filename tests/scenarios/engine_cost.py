"""What an engine has spent, by llama.cpp's own counters."""

import http.client
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Cost:
    """Tokens read and made, and the seconds that both took."""

    prompt_tokens: float
    tokens_predicted: float
    prompt_seconds: float
    tokens_predicted_seconds: float

    def __sub__(self, earlier: "Cost") -> "Cost":
        return Cost(*(getattr(self, field.name) - getattr(earlier, field.name) for field in fields(Cost)))

    def seconds(self) -> float:
        return self.prompt_seconds + self.tokens_predicted_seconds


class Engine:
    def __init__(self, port: int):
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def cost(self) -> Cost:
        """Since its start."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return Cost(*(float(values[f"llamacpp:{field.name}_total"]) for field in fields(Cost)))
