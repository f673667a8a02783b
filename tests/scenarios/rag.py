#!/usr/bin/env python3
"""The small document application with a real engine behind Weir: what critics catch, and what it costs.

Starts llama.cpp and Weir with the configuration of the demo, asks every question whose answer is known
through the judged route, asks the same again through the one without critics, reads Weir's records,
and writes a report in Markdown. Nothing is expected of the model: the figures are what they are.

`make scenario` runs it with a model that makes sense; any .gguf file will do (--model).
"""

import argparse
import http.client
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "deploy" / "demo"), str(REPOSITORY / "deploy" / "setup")]

import places
import run as demo
from children import Child
from engine_cost import Engine
from rag.application import JUDGED, Application, Reply
from rag.documents import passages
from rag.questions import Question, Stale, questions
from rag.records import Console
from rag.search import Index
from rag.show import found_bad, spread
from report import About, write
from tally import Case

ENGINE_START_SECONDS = 300
RECORD_SECONDS = 20
TINY = "SmolLM2-135M-Instruct, Q4_1"
LARGER = "Qwen2.5-Coder-1.5B-Instruct, Q4_K_M"


def main() -> int:
    options = arguments()
    folder = Path(tempfile.mkdtemp(prefix="weir-scenario-"))
    children: list[Child] = []
    try:
        engine = start_engine(options, folder, children)
        weir, console = start_weir(options, engine, folder, children)
        about, cases = scenario(options, engine, weir, console)
    except (demo.Fault, Stale) as fault:
        print(f"scenario: {fault}", file=sys.stderr)
        return 1
    except (OSError, http.client.HTTPException) as error:
        print(f"scenario: a question did not come through: {error or type(error).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for child in reversed(children):
            child.stop(demo.DRAIN_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
    text = write(about, cases)
    if options.report:
        options.report.write_text(text)
    if options.json:
        options.json.write_text(json.dumps([case.as_json() for case in cases], ensure_ascii=False, indent=1))
    print(f"\n{text}")
    return 0


def arguments() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    parser = argparse.ArgumentParser(description="what critics catch in a small document application")
    parser.add_argument("--weir", type=Path, default=target / "debug" / "weir", help="the program to start")
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--model", type=Path, help="a .gguf file (default: the one that `make scenario` fetches)")
    model.add_argument("--tiny", action="store_true", help="the tiny model of the demo")
    parser.add_argument("--threads", type=int, default=1, help="compute threads of the engine")
    parser.add_argument("--questions", type=int, default=1000, help="at most so many, from the whole list evenly")
    parser.add_argument("--without", type=int, default=1000, help="so many are asked without critics too")
    parser.add_argument("--max-tokens", type=int, default=80, help="of one answer")
    parser.add_argument("--report", type=Path, help="Markdown file to write")
    parser.add_argument("--json", type=Path, help="file for every case with its answers and verdicts")
    options = parser.parse_args()
    fetched = (places.llama_model(), TINY) if options.tiny else (places.scenario_model(), LARGER)
    options.model, options.name = (options.model, options.model.name) if options.model else fetched
    return options


def start_engine(options: argparse.Namespace, folder: Path, children: list[Child]) -> Engine:
    """One slot and no kept prompts, so that no question is cheaper for having been asked before."""
    if not options.model.is_file():
        raise demo.Fault(f"there is no model at {options.model}; run `make scenario`, or name one with --model")
    server = [str(places.llama_python()), str(REPOSITORY / "deploy" / "llama" / "server.py"), "--stop-on-eof"]
    server += ["--model", str(options.model), "--alias", demo.MODEL, "--threads", str(options.threads)]
    server += ["--n-parallel", "1", "--n-ctx", "4096", "--prompt-cache-mib", "0"]
    engine = Child("engine", server, folder / "engine.log")
    children.append(engine)
    line = demo.wait_for(engine, ENGINE_START_SECONDS, "engine", lambda: demo.first_line(engine, '{"port"'))
    return Engine(json.loads(line)["port"])


def start_weir(options: argparse.Namespace, engine: Engine, folder: Path, children: list[Child]) -> tuple[int, Console]:
    """The data port, and the console."""
    command = [str(options.weir), "serve", "--config", str(demo.CONFIG), "--engine", engine.url]
    command += ["--listen", "127.0.0.1:0", "--console-listen", "127.0.0.1:0", "--data-dir", str(folder / "data")]
    named = {} if "WEIR_CHDB" in os.environ else {"WEIR_CHDB": str(places.store_library())}
    weir = Child("weir", command, folder / "weir.log", named)
    children.append(weir)

    def said(start: str) -> str | None:
        line = demo.first_line(weir, start)
        return line and line.removeprefix(start).split()[0]

    link = demo.wait_for(weir, demo.WEIR_START_SECONDS, "weir", lambda: said("console "))
    data = demo.wait_for(weir, demo.WEIR_START_SECONDS, "weir", lambda: said("listening "))
    port = int(link.split("/")[2].rsplit(":", 1)[1])
    demo.wait_for(weir, demo.WEIR_START_SECONDS, "weir", lambda: demo.answers(port, "/readyz"))
    return int(data.rsplit(":", 1)[1]), Console(port, link.rsplit("token=", 1)[1])


def scenario(options: argparse.Namespace, engine: Engine, weir: int, console: Console) -> tuple[About, list[Case]]:
    found = passages()
    index = Index(found)
    application = Application(weir, demo.MODEL, index, options.max_tokens)
    asked = spread(questions(found), options.questions)
    cases = []
    for question in asked:
        before = engine.cost()
        reply = application.ask(question.ask, JUDGED)
        answers = console.answers(reply.exchange, RECORD_SECONDS)
        if answers is None:
            raise demo.Fault(f"Weir has no record of {reply.exchange} after {RECORD_SECONDS} s")
        retrieved = any(map(question.is_held_by, application.found(question.ask)))
        cases.append(Case(question, reply, answers, retrieved, engine.cost() - before))
        progress(len(cases), len(asked), question, reply, cases[-1])
    ask_without(application, engine, spread(cases, options.without))
    about = About(
        model=options.name,
        machine=f"{os.cpu_count()} processors, {options.threads} for the engine; load {os.getloadavg()[0]:.0f} at the end",
        day=time.strftime("%Y-%m-%d"),
    )
    return about, cases


def ask_without(application: Application, engine: Engine, cases: list[Case]) -> None:
    for at, case in enumerate(cases, 1):
        before = engine.cost()
        case.plain = application.ask(case.question.ask, {})
        case.plain_spent = engine.cost() - before
        progress(at, len(cases), case.question, case.plain, None)


def progress(at: int, of: int, question: Question, reply: Reply, case: Case | None) -> None:
    mark = "-" if case and case.was_escalated() else question.mark(reply.text).value
    critics = found_bad(case.answers) if case else "without critics"
    print(f"  {at:>3}/{of}  {reply.seconds:5.1f} s  {reply.verdict or '-':8}{mark:9}{question.ask[:60]}  {critics}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
