"""How the client scripts report: one line per check, exit 1 where one does not hold.

`same` asks twice, the engine directly and through Weir, and wants equal answers.
"""

import sys

# Made anew by the engine for each answer.
NATURAL = {"id", "created", "created_at", "completed_at", "timings", "_request_id", "item_id"}
failed = 0


def check(holds: bool, what: str, seen: object = "") -> None:
    global failed
    failed += not holds
    print(f"{'ok  ' if holds else 'FAIL'} {what}{'' if holds else f': {seen}'}", flush=True)


def same(what: str, ask, direct, through) -> object:
    """`ask(client)` gives a plain value; both must be equal. Returns the one that came through Weir."""
    plain, passed = told(ask, direct), told(ask, through)
    check(plain == passed, f"{what}: as from the engine", f"\n  direct  {plain!r}\n  through {passed!r}")
    return passed


def told(ask, client) -> object:
    """The answer without what differs by nature, or the class and text of the refusal."""
    try:
        return bare(ask(client))
    except Exception as fault:
        if not hasattr(fault, "status_code"):  # no answer at all: a fault of the script or of the connection
            raise
        return {"raised": type(fault).__name__, "status": fault.status_code, "text": str(fault)}


def bare(value: object) -> object:
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    if isinstance(value, dict):
        return {key: bare(held) for key, held in value.items() if key not in NATURAL}
    return [bare(held) for held in value] if isinstance(value, (list, tuple)) else value


def raises(what: str, kind: type, ask) -> Exception | None:
    try:
        answer = ask()
    except kind as fault:
        check(True, f"{what}: {kind.__name__}")
        return fault
    except Exception as fault:  # any other class is the fault that is looked for
        check(False, f"{what}: {kind.__name__}", repr(fault))
    else:
        check(False, f"{what}: {kind.__name__}", answer)
    return None


def end() -> None:
    sys.exit(1 if failed else 0)
