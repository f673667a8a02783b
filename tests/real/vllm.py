#!/usr/bin/env python3
"""Weir in front of a real vLLM on this machine's processor: what `make compat-vllm` runs.

Installs vLLM (see `vllm_install.py`), starts it and Weir in front of it, asks the same of both, and
wants the same answers. One line per check; exit 0 only where each holds; nothing is left running.

What vLLM makes anew for each answer is masked before bytes are compared: ids and moments of creation.
Each question is asked once before it counts: an answer from a warm prefix cache rounds otherwise.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy" / "setup"), str(ROOT / "deploy" / "demo")]

import places
from children import Child
from progress import SetupError, say
from vllm_install import MODEL, VERSION, install, model, python, tail
from vllm_questions import ANSWERS, APIS, CHAT, CONTEXT_TOKENS, OFFERED, STREAM

HOST = "127.0.0.1"
# No hub is asked, no usage is reported; this folder's vllm.py must not be taken for the package.
QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PYTHONSAFEPATH": "1"}

ANSWER_SECONDS = 180
RECORD_SECONDS = 30
WEIR_START_SECONDS = 60
WEIR_STOP_SECONDS = 40
ENGINE_STOP_SECONDS = 10
FREED_SECONDS = 15
# While it starts, vLLM passes over SIGTERM: should this job be killed, the end of its pipe ends them all.
LEASH = f'exec 3<&0; (cat <&3 > /dev/null; sleep {ENGINE_STOP_SECONDS}; kill -KILL 0) & exec "$@" < /dev/null 3<&-'

TOKENS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))

MADE_ANEW = [
    (re.compile(rb'"((?:[a-z]+[-_])+)[0-9a-f-]{16,36}"'), rb'"\1_"'),
    (re.compile(rb'"(created|created_at|completed_at)":\s?[0-9.]+'), rb'"\1":_'),
]
PIECE = re.compile(rb'("(?:content|text|delta|thinking)":\s?)("(?:[^"\\]|\\.)*")')
CHOICE = re.compile(rb'"index":\s?\d+')
SEQUENCE = re.compile(rb'("sequence_number":)\d+')


class Fault(Exception):
    """The job cannot go on; the text says why."""


class Stopped(BaseException):
    """Somebody asked for the end."""


@dataclass
class Answer:
    """One whole response."""

    status: int
    kind: str
    exchange: str | None
    body: bytes

    def __str__(self) -> str:
        return f"{self.status} {self.kind} {self.body[:1500].decode(errors='replace')}"


@dataclass
class Scene:
    """vLLM, and Weir in front of it."""

    engine: int
    weir: int
    console: int
    token: str
    log: Path


class Report:
    """One line per check, and the count at the end."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, holds: bool, what: str, seen: object = "") -> bool:
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {what}{'' if holds else f': {seen}'}", flush=True)
        return bool(holds)


def main() -> int:
    options = arguments()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, ask_to_stop)
    folder = Path(tempfile.mkdtemp(prefix="weir-vllm-"))
    children: list[Child] = []
    report, code = Report(), 1
    try:
        install()
        scene = start(options, folder, children)
        compare(scene, report)
        hang_up(scene, report)
        records(scene, report)
        weir = children[-1]
        report.check(weir.stop(WEIR_STOP_SECONDS) and weir.process.returncode == 0, "weir drains and ends with 0")
        print(f"\n{report.passed} passed, {report.failed} failed", flush=True)
        code = 1 if report.failed else 0
    except (Fault, SetupError) as fault:
        print(f"\ncompat-vllm: {fault}", file=sys.stderr, flush=True)
    except (OSError, http.client.HTTPException) as fault:
        print(f"\ncompat-vllm: {type(fault).__name__}: {fault}", file=sys.stderr, flush=True)
    except Stopped:
        code = 130
    finally:
        stop_all(children)
    if code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"compat-vllm: logs are kept in {folder}", file=sys.stderr)
    return code


def arguments() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser = argparse.ArgumentParser(description="compare a real vLLM with Weir in front of it")
    parser.add_argument("--weir", type=Path, default=target / "debug" / "weir", help="the program to start")
    parser.add_argument("--threads", type=int, default=2, help="compute threads of vLLM")
    parser.add_argument("--start-seconds", type=int, default=600, help="how long vLLM may take to start")
    return parser.parse_args()


def start(options: argparse.Namespace, folder: Path, children: list[Child]) -> Scene:
    if not options.weir.is_file():
        raise Fault(f"there is no {options.weir}; build it with `cargo build`, or name one with --weir")
    engine = free_port()
    command = ["sh", "-c", LEASH, "vllm", str(python()), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(model()), "--served-model-name", MODEL, "--host", HOST, "--port", str(engine)]
    command += ["--dtype", "bfloat16", "--enforce-eager", "--max-model-len", str(CONTEXT_TOKENS), "--max-num-seqs", "8"]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    environment = QUIET | {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": str(options.threads)}
    children.append(Child("vllm", command, folder / "vllm.log", environment))
    wait_for(children[0], options.start_seconds, "vllm     ready", lambda: got(engine, "/health"))
    command = [str(options.weir), "serve", "--engine", f"http://{HOST}:{engine}", "--log-format", "json"]
    command += ["--listen", f"{HOST}:0", "--console-listen", f"{HOST}:0", "--data-dir", str(folder / "data")]
    # Every answer is to be the engine's own.
    environment = {"WEIR__CACHE__MAX_BYTES": "0"}
    if "WEIR_CHDB" not in os.environ and places.store_library().exists():
        environment["WEIR_CHDB"] = str(places.store_library())
    weir = Child("weir", command, folder / "weir.log", environment)
    children.append(weir)
    link = wait_for(weir, WEIR_START_SECONDS, "weir     listens", lambda: word_after(weir, "console "))
    console = int(link.split("/")[2].rsplit(":", 1)[1])
    wait_for(weir, WEIR_START_SECONDS, "weir     ready", lambda: got(console, "/readyz"))
    data = int(word_after(weir, "listening ").rsplit(":", 1)[1])
    return Scene(engine, data, console, link.rsplit("token=", 1)[1], weir.log)


def compare(scene: Scene, report: Report) -> None:
    lines = lambda: [line for line in scene.log.read_text().splitlines() if "engine recognised" in line]
    known = wait_until(RECORD_SECONDS, lines)
    report.check(known and '"kind":"vllm"' in known[-1], "the engine is recognised as vllm", known)
    for path in ("/v1/models", "/version"):
        direct, through = (ask(port, path) for port in (scene.engine, scene.weir))
        report.check(direct.status == 200, f"{path}: 200", direct)
        report.check(alike(direct, through), f"{path}: as from vLLM", f"\n  direct  {direct}\n  through {through}")
    for what, path, body, status in ANSWERS + OFFERED:
        sent = json.dumps(body).encode()
        if ask(scene.engine, path, sent).status == 404 != status:
            print(f"--   {what}: this vLLM does not offer {path}", flush=True)
            continue
        direct, through = (ask(port, path, sent) for port in (scene.engine, scene.weir))
        report.check(direct.status == status, f"{what}: {status}", direct)
        report.check(alike(direct, through), f"{what}: as from vLLM", f"\n  direct  {direct}\n  through {through}")
    own = ask(scene.weir, "/v1/chat/completions", b'{"model": ')
    report.check(own.status == 400 and b'"invalid_request"' in own.body, "bad JSON: Weir's own 400", own)


def alike(direct: Answer, through: Answer) -> bool:
    bodies = [events(a.body) if a.kind.startswith("text/event-stream") else masked(a.body) for a in (direct, through)]
    return (direct.status, direct.kind, bodies[0]) == (through.status, through.kind, bodies[1])


def masked(body: bytes) -> bytes:
    for pattern, mask in MADE_ANEW:
        body = pattern.sub(mask, body)
    return body


def events(body: bytes) -> tuple[set[bytes], dict[bytes, str]]:
    """The shapes of the events, and the whole text of each choice.

    Not their count, nor how choices take turns: vLLM puts several tokens in one event when its reader is slow.
    """
    shapes, texts = set(), {}
    for event in masked(SEQUENCE.sub(rb"\1_", body)).split(b"\n\n"):
        shapes.add(PIECE.sub(rb"\1_", event))
        choice = CHOICE.search(event)
        pieces = "".join(json.loads(text) for _, text in PIECE.findall(event))
        texts[choice and choice[0]] = texts.get(choice and choice[0], "") + pieces
    return shapes, texts


def hang_up(scene: Scene, report: Report) -> None:
    """A client that leaves frees vLLM, which makes no more tokens for it."""
    asked = CONTEXT_TOKENS - 100
    body = CHAT | STREAM | {"max_tokens": asked, "ignore_eos": True}
    before = metric(scene.engine, "vllm:generation_tokens_total")
    connection, response = opened(scene.weir, "/v1/chat/completions", json.dumps(body).encode())
    for _ in range(10):
        response.readline()
    running = metric(scene.engine, "vllm:num_requests_running")
    report.check(running == 1, "hang-up: vLLM is at work for the client", running)
    # Both: the response holds the socket open after the connection let go of it.
    response.close()
    connection.close()
    began = time.monotonic()
    free = wait_until(FREED_SECONDS, lambda: metric(scene.engine, "vllm:num_requests_running") == 0)
    report.check(free, f"hang-up: vLLM is free ({time.monotonic() - began:.2f} s later)")
    made = metric(scene.engine, "vllm:generation_tokens_total") - before
    report.check(0 < made < asked / 2, f"hang-up: vLLM made {made:.0f} of {asked} tokens")
    row = record(scene, response.getheader("x-weir-exchange"))["exchange"]
    report.check(row["outcome"] == "client_left", "hang-up: recorded as a client that left", row["outcome"])


def records(scene: Scene, report: Report) -> None:
    """What Weir read out of each kind of answer, as its console tells it."""
    for what, path, body, status in ANSWERS + OFFERED:
        api = APIS.get(path)
        if status != 200 or api is None:
            continue
        answer = ask(scene.weir, path, json.dumps(body).encode())
        if answer.status != 200:
            continue  # not offered, or already a failed check
        found = record(scene, answer.exchange)
        row = found["exchange"]
        seen = (row["prompt_tokens"], row["completion_tokens"], row["usage_source"])
        wanted = (*usage(answer.body), "engine")
        report.check(seen == wanted, f"record of {what}: usage", f"{seen}, vLLM said {wanted}")
        facts = (row["api"], row["stream"], row["engine_kind"], row["outcome"], row["status"], row["model_answered"])
        wanted = (api, "stream" in body, "vllm", "complete", 200, MODEL)
        report.check(facts == wanted, f"record of {what}: what, by whom, how it ended", f"{facts}, not {wanted}")
        version = dict(map(tuple, found["fingerprint"])).get("version")
        report.check(version == VERSION, f"record of {what}: fingerprint", found["fingerprint"])


def usage(body: bytes) -> tuple[int, int]:
    """Tokens of the prompt and of the completion; some APIs tell them in two events, or deeper down."""
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")] or [json.loads(body)]
    counts = {}
    for event in events:
        for holder in (event, event.get("message"), event.get("response")):
            counts |= (holder or {}).get("usage") or {}
    prompt, completion = (next(counts[name] for name in names if name in counts) for names in TOKENS)
    return prompt, completion


def record(scene: Scene, exchange: str | None) -> dict:
    asked = lambda: ask(scene.console, f"/api/exchange/{exchange}", bearer=scene.token)
    found = wait_until(RECORD_SECONDS, lambda: (answer := asked()).status == 200 and answer)
    if not found:
        raise Fault(f"exchange {exchange} was not recorded within {RECORD_SECONDS} s: {asked()}")
    return json.loads(found.body)


def ask(port: int, path: str, body: bytes | None = None, bearer: str | None = None) -> Answer:
    connection, response = opened(port, path, body, bearer)
    with contextlib.closing(connection):
        kind, exchange = response.getheader("content-type", ""), response.getheader("x-weir-exchange")
        return Answer(response.status, kind, exchange, response.read())


def opened(port: int, path: str, body: bytes | None, bearer: str | None = None):
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    if body is not None:
        headers["content-type"] = "application/json"
    connection.request("GET" if body is None else "POST", path, body, headers)
    return connection, connection.getresponse()


def got(port: int, path: str) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return ask(port, path).status == 200
    return False


def metric(port: int, name: str) -> float:
    """Sum of the series of this name."""
    lines = ask(port, "/metrics").body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


def wait_for(child: Child, limit_seconds: int, label: str, condition):
    """Poll until the condition holds, with a sign of life; a child that ends before that is a fault."""
    began = drawn = time.monotonic()
    while not (held := condition()):
        now = time.monotonic()
        if not child.alive() or now - began > limit_seconds:
            state = f"not after {limit_seconds} s" if child.alive() else f"ended with {child.process.returncode}"
            raise Fault(f"{label}: {state}\n{tail(child.log.read_text(errors='replace'))}")
        if now - drawn > 15:
            drawn = now
            say(f"  {label}: waiting, {now - began:.0f} s")
        time.sleep(0.1)
    say(f"  {label}, {time.monotonic() - began:.1f} s")
    return held


def wait_until(limit_seconds: float, condition):
    """What the condition comes to, once it holds or the time is over."""
    deadline = time.monotonic() + limit_seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def word_after(child: Child, start: str) -> str | None:
    return next((line.split()[1] for line in child.said() if line.startswith(start)), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def ask_to_stop(*_) -> None:
    raise Stopped


def stop_all(children: list[Child]) -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    for child in reversed(children):
        child.stop(ENGINE_STOP_SECONDS)
        # vLLM's engine is a process of its own; whatever is left of the session goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
