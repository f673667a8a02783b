#!/usr/bin/env python3
"""Weir with a real engine on this machine, in one command: what `make run` starts.

Starts llama.cpp with a small model, then Weir in front of it; sends a few real requests through it,
then questions about this project's documents, whose answers are judged (`rag/`); says where the console is;
waits for Ctrl-C; stops both, Weir first, so that it can drain.
With --once it stops by itself after the requests and exits 0 only if each came out as expected.

It knows the command line of `weir serve` and its /readyz, and one line of its output:
the one that starts with `console ` and carries the address of the first login.
"""

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(DEPLOY / "setup"))

import places
from children import Child
from rag.questions import Stale
from rag.records import Console
from rag.show import HEADING as RAG_HEADING
from rag.show import ask_some
from traffic import HEADING, Client

HOST = "127.0.0.1"
MODEL = "smollm2"
ENGINE_START_SECONDS = 120
WEIR_START_SECONDS = 60
DRAIN_SECONDS = 40
ENGINE_STOP_SECONDS = 5
SLOT_FREE_SECONDS = 3
RAG_SECONDS = 35
CONFIG = Path(__file__).with_name("rag") / "weir.toml"


class Fault(Exception):
    """The demo cannot go on; the text says why and what to do."""


class Stopped(BaseException):
    """Somebody asked for the end: Ctrl-C, SIGTERM, or the terminal was closed."""


def main() -> int:
    options = arguments()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, ask_to_stop)
    try:
        check(options)
    except Fault as fault:
        return say(fault)
    logs = Path(tempfile.mkdtemp(prefix="weir-demo-"))
    children: list[Child] = []
    code = 1
    try:
        engine = start_engine(options, logs, children)
        start_weir(options, engine, logs, children)
        console = console_line(options, children[-1])
        went_well = send_requests(options, engine)
        went_well &= ask_documents(options, console)
        show_places(options, console, logs)
        if options.once:
            code = 0 if went_well else 1
        else:
            wait(children)
    except Fault as fault:
        say(fault)
    except Stopped:
        code = 130 if options.once else 0
    finally:
        stop_all(children)
    if code == 0:
        shutil.rmtree(logs, ignore_errors=True)
    else:
        print(f"demo: logs are kept in {logs}", file=sys.stderr)
    return code


def arguments() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR", DEPLOY.parent / "target"))
    parser = argparse.ArgumentParser(description="run Weir in front of a real engine on this machine")
    parser.add_argument("--data-port", type=int, default=8080, help="where clients go (default 8080)")
    parser.add_argument("--console-port", type=int, default=8081, help="where the web console is (default 8081)")
    parser.add_argument("--data-dir", type=Path, help="where Weir keeps its data (default: Weir's own)")
    parser.add_argument("--weir", type=Path, default=target / "release" / "weir", help="the program to start")
    parser.add_argument("--model", type=Path, default=places.llama_model(), help="a .gguf file")
    parser.add_argument("--threads", type=int, default=1, help="compute threads of the engine")
    parser.add_argument("--questions", type=int, default=5, help="to the documents, at most (default 5)")
    parser.add_argument("--once", action="store_true", help="stop after the requests; exit 0 if all went as expected")
    return parser.parse_args()


def check(options: argparse.Namespace) -> None:
    """Find what is missing before anything is started."""
    if not options.weir.is_file():
        raise Fault(f"there is no {options.weir}; build it with `cargo build --release`, or use `make run`")
    if not places.llama_python().exists() or not options.model.exists():
        raise Fault(f"the engine is not set up in {places.home()}; run `make setup`")
    for option, port in (("--data-port", options.data_port), ("--console-port", options.console_port)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise Fault(
                    f"port {port} cannot be used ({error.strerror.lower()}): stop its owner"
                    f" (`ss -ltnp 'sport = :{port}'` names it) or choose another with {option} N"
                    f' (`make run ARGS="{option} N"`)'
                ) from error


def start_engine(options: argparse.Namespace, logs: Path, children: list[Child]) -> int:
    """Start llama.cpp; return its port."""
    command = [str(places.llama_python()), str(DEPLOY / "llama" / "server.py"), "--model", str(options.model)]
    command += ["--alias", MODEL, "--threads", str(options.threads), "--embeddings", "--stop-on-eof"]
    engine = Child("engine", command, logs / "llama.log")
    children.append(engine)
    began = time.monotonic()
    line = wait_for(engine, ENGINE_START_SECONDS, "engine   loading the model", lambda: first_line(engine, '{"port"'))
    port = json.loads(line)["port"]
    print(f"  engine   llama.cpp with {options.model.name} on {HOST}:{port}, {time.monotonic() - began:.1f} s", flush=True)
    return port


def start_weir(options: argparse.Namespace, engine_port: int, logs: Path, children: list[Child]) -> None:
    command = [str(options.weir), "serve", "--config", str(CONFIG), "--engine", f"http://{HOST}:{engine_port}"]
    command += ["--listen", f"{HOST}:{options.data_port}", "--console-listen", f"{HOST}:{options.console_port}"]
    if options.data_dir:
        command += ["--data-dir", str(options.data_dir)]
    # Weir looks for its store's library in the usual places; $WEIR_HOME is setup's own.
    named = {} if "WEIR_CHDB" in os.environ else {"WEIR_CHDB": str(places.store_library())}
    weir = Child("weir", command, logs / "weir.log", named if places.store_library().exists() else None)
    children.append(weir)
    began = time.monotonic()
    wait_for(weir, WEIR_START_SECONDS, "weir     starting", lambda: answers(options.console_port, "/readyz"))
    print(f"  weir     ready on {HOST}:{options.data_port}, {time.monotonic() - began:.1f} s", flush=True)


def send_requests(options: argparse.Namespace, engine_port: int) -> bool:
    print(f"\n{HEADING}", flush=True)
    went_well = True
    try:
        for outcome in Client(options.data_port, MODEL).all():
            if outcome.note.startswith("left"):
                freed = slot_freed(engine_port)
                outcome.as_expected &= freed is not None
                outcome.note += f", engine free {freed:.1f} s later" if freed is not None else ", engine still busy"
            print(outcome, flush=True)
            went_well &= outcome.as_expected
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"  the request did not come through: {error or type(error).__name__}", flush=True)
        return False
    return went_well


def ask_documents(options: argparse.Namespace, console: str) -> bool:
    """Questions to the small application; what its answers are worth is shown, never expected."""
    if options.questions < 1:
        return True
    _, _, token = console.partition("token=")
    records = Console(options.console_port, token) if token else None
    print(f"\n{RAG_HEADING}", flush=True)
    went_well = True
    try:
        for text, as_expected in ask_some(options.data_port, MODEL, records, options.questions, RAG_SECONDS):
            print(text if as_expected else f"{text}  UNEXPECTED", flush=True)
            went_well &= as_expected
    except Stale as fault:
        raise Fault(str(fault)) from fault
    except (OSError, http.client.HTTPException) as error:
        print(f"  the question did not come through: {error or type(error).__name__}", flush=True)
        return False
    return went_well


def slot_freed(engine_port: int) -> float | None:
    """Seconds until the engine works for nobody, or None: a client that left must not cost more tokens."""
    began = time.monotonic()
    while time.monotonic() - began < SLOT_FREE_SECONDS:
        slots = json.loads(get(engine_port, "/slots") or "[]")
        if slots and not any(slot["is_processing"] for slot in slots):
            return time.monotonic() - began
        time.sleep(0.05)
    return None


def show_places(options: argparse.Namespace, console: str, logs: Path) -> None:
    judged = f"http://{HOST}:{options.console_port}/exchanges?route=rag"
    print(f"""
  {console}
  judged   {judged}  (each answer with its verdicts; what no retry repaired: /escalated)
  clients  http://{HOST}:{options.data_port}/v1  (any OpenAI client; model "{MODEL}")
  logs     {logs}

  curl -N http://{HOST}:{options.data_port}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{"model":"{MODEL}","stream":true,"messages":[{{"role":"user","content":"What is a weir?"}}]}}'
""", flush=True)


def console_line(options: argparse.Namespace, weir: Child) -> str:
    """Weir prints its token once; the link that logs in is kept beside it, readable by its owner only."""
    data = options.data_dir or default_data_dir()
    kept = data / "demo-console-token"
    line = first_line(weir, "console ") or f"console http://{HOST}:{options.console_port}/"
    if "token=" in line:
        token = line.rsplit("token=", 1)[1]
        kept.unlink(missing_ok=True)
        with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token)
    elif newer(kept, data / "console-token"):
        line = f"console http://{HOST}:{options.console_port}/login?token={kept.read_text()}"
    return line.replace("console ", "console  ", 1)


def default_data_dir() -> Path:
    """Where Weir keeps its data when nothing is said."""
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state)
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "weir" / "data"


def newer(kept: Path, hashed: Path) -> bool:
    """Whether the kept token is the one that Weir knows: a token made since then would be newer."""
    with contextlib.suppress(OSError):
        return kept.stat().st_mtime_ns >= hashed.stat().st_mtime_ns
    return False


def wait(children: list[Child]) -> None:
    print("  Ctrl-C stops everything.", flush=True)
    while True:
        for child in children:
            if not child.alive():
                raise Fault(f"{child.name} ended by itself (exit {child.process.returncode})\n{last_lines(child)}")
        time.sleep(0.3)


def stop_all(children: list[Child]) -> None:
    """Stop in reverse order of start, so that Weir drains while its engine still answers; a second Ctrl-C kills."""
    asked = {"again": 0}

    def hurry(*_) -> None:
        asked["again"] += 1
        for child in children:
            child.process.kill()

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, hurry)
    for child in reversed(children):
        if not child.alive():
            continue
        began = time.monotonic()
        show(f"stopping {child.name}")
        tidy = child.stop(DRAIN_SECONDS if child.name == "weir" else ENGINE_STOP_SECONDS)
        how = "stopped" if tidy and not asked["again"] else "killed"
        settle(f"{child.name:9}{how}, {time.monotonic() - began:.1f} s")


def ask_to_stop(*_) -> None:
    raise Stopped


def wait_for(child: Child, limit_seconds: float, label: str, condition):
    """Poll until the condition holds; a child that ends before that is a fault with its last words."""
    began = time.monotonic()
    while True:
        if held := condition():
            show("")
            return held
        seconds = time.monotonic() - began
        if not child.alive():
            show("")
            raise Fault(f"{child.name} did not start (exit {child.process.returncode})\n{last_lines(child)}")
        if seconds > limit_seconds:
            show("")
            raise Fault(f"{child.name} was not ready after {limit_seconds} s\n{last_lines(child)}")
        show(f"{label}  {seconds:.0f} s")
        time.sleep(0.05)


def first_line(child: Child, start: str) -> str | None:
    return next((line for line in child.said() if line.startswith(start)), None)


def last_lines(child: Child) -> str:
    return "\n".join(f"  | {line}" for line in child.said()[-12:]) or "  | (it printed nothing)"


def answers(port: int, path: str) -> bool:
    return get(port, path) is not None


def get(port: int, path: str) -> str | None:
    """The body of a 200, else None."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        return body if response.status == 200 else None
    return None


def show(text: str) -> None:
    """A line that the next one overwrites; on a terminal only."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{'  ' + text if text else ''}", end="", flush=True)


def say(fault: Fault) -> int:
    print(f"\ndemo: {fault}", file=sys.stderr, flush=True)
    return 1


def settle(text: str) -> None:
    show("")
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
