"""What the person at the terminal sees: one calm line per step.

On a terminal a line rewrites itself while work goes on; elsewhere only its last state is printed.
"""

import sys
import time


class SetupError(Exception):
    """A fault with its cure in the text; printed without a trace."""


class Step:
    """One step of work, used as `with Step("label", total) as step: step.at(done)`; total in bytes or None."""

    quiet = False  # set once from --quiet: only faults are printed then

    def __init__(self, label: str, total: int | None = None):
        self.label, self.total = label, total
        self.began = time.monotonic()
        self.live = sys.stdout.isatty() and not Step.quiet
        self.drawn_at = 0.0
        self.failed = False

    def __enter__(self) -> "Step":
        if self.live:
            self._draw("…")
        elif not Step.quiet and self.total and self.total > 10_000_000:
            print(f"  {self.label} ({megabytes(self.total)}) …", flush=True)
        return self

    def at(self, done: int) -> None:
        """Show how far the step is; cheap enough to call for every block."""
        now = time.monotonic()
        if not self.live or now - self.drawn_at < 0.1:
            return
        self.drawn_at = now
        if self.total:
            share = min(done / self.total, 1.0)
            self._draw(f"{share:4.0%}  {megabytes(done)} of {megabytes(self.total)}")
        else:
            self._draw(f"{now - self.began:.0f} s")

    def __exit__(self, kind, *_) -> None:
        seconds = time.monotonic() - self.began
        state = f"{seconds:.1f} s" if kind is None and not self.failed else "failed"
        if self.live:
            self._draw(state)
            print(flush=True)
        elif not Step.quiet:
            print(f"  {self.label}  {state}", flush=True)

    def _draw(self, state: str) -> None:
        print(f"\r\x1b[K  {self.label}  {state}", end="", flush=True)


def say(text: str) -> None:
    if not Step.quiet:
        print(text, flush=True)


def megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
