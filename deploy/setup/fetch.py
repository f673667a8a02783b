"""Bring one artefact from its registry to this disk, through the registry's ordinary client, and check it.

Promises: what `fetch` returns has the listed checksum; a failed download is tried twice more;
every fault names the artefact and says what to do.
Mirrors, proxies and caches are the business of npm and pip and of their own configuration.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

from artefacts import Artefact
from progress import SetupError, Step, megabytes, say

ATTEMPTS = 3
PAUSES_SECONDS = (2, 5)
BLOCK_BYTES = 1 << 20


def fetch(artefact: Artefact, staging: Path, python: Path | None = None) -> Path:
    """Return the checked file of `artefact` inside `staging`; `python` is one that has pip (for PyPI)."""
    folder = staging / "fetched" / artefact.registry / artefact.name.strip("@").replace("/", "-")
    command, watched = _command(artefact, folder, python)
    for attempt in range(1, ATTEMPTS + 1):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tmp").mkdir(parents=True)
        fault = _run(command, folder, watched, f"fetch {artefact}", artefact.bytes)
        if fault is None:
            break
        if attempt == ATTEMPTS:
            raise SetupError(_unreachable(artefact, fault))
        say(f"  {artefact}: attempt {attempt} of {ATTEMPTS} failed, trying again")
        time.sleep(PAUSES_SECONDS[attempt - 1])
    files = [path for path in folder.iterdir() if path.is_file() and path.name != "log"]
    if len(files) != 1:
        raise SetupError(f"{artefact}: expected one file from {artefact.registry}, got {len(files)}")
    seen = sha256(files[0])
    if seen != artefact.sha256:
        raise SetupError(
            f"{artefact}: wrong checksum, the file is refused.\n"
            f"  listed  {artefact.sha256}\n  served  {seen} ({megabytes(files[0].stat().st_size)})\n"
            f"  Run again: a damaged cache is the usual cause (`npm cache clean --force`, `pip cache purge`).\n"
            f"  Only if you meant to change the version: put the new checksum in deploy/setup/artefacts.toml."
        )
    return files[0]


def extract_member(archive: Path, artefact: Artefact, target: Path) -> None:
    """Take the one listed file out of a .tgz, checking it on the way."""
    seen = hashlib.sha256()
    with Step(f"unpack {Path(artefact.member).name}", artefact.member_bytes) as step:
        with tarfile.open(archive) as tar, open(target, "wb") as out:
            source = tar.extractfile(artefact.member)
            while block := source.read(BLOCK_BYTES):
                seen.update(block)
                out.write(block)
                step.at(out.tell())
    if seen.hexdigest() != artefact.member_sha256:
        raise SetupError(f"{artefact}: {artefact.member} has checksum {seen.hexdigest()}, not the listed one")


def sha256(path: Path, step: Step | None = None) -> str:
    seen = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            seen.update(block)
            if step:
                step.at(file.tell())
    return seen.hexdigest()


def run_step(command: list[str], folder: Path, label: str) -> str | None:
    """Run a command as one step; None when it succeeded, else what it said."""
    folder.mkdir(parents=True, exist_ok=True)
    return _run(command, folder, None, label, None)


def _command(artefact: Artefact, folder: Path, python: Path | None) -> tuple[list[str], Path]:
    """The client's command line, and the folder that grows while it downloads.

    The clients' own retries are off: theirs are slow and silent, `fetch` has its own.
    """
    spec = f"{artefact.name}@{artefact.version}"
    if artefact.registry == "npm":
        npm = shutil.which("npm")
        if npm is None:
            raise SetupError(f"{artefact}: npm is missing; install Node.js with npm (Debian: apt-get install nodejs npm)")
        cache = subprocess.run([npm, "config", "get", "cache"], capture_output=True, text=True).stdout.strip()
        options = ["--pack-destination", str(folder), "--loglevel=error", "--fetch-retries=0"]
        return [npm, "pack", spec, *options], Path(cache, "_cacache", "tmp")
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet", "--retries=0"]
    spec = f"{artefact.name}=={artefact.version}"
    return [str(python), "-m", "pip", "download", *options, "--dest", str(folder), spec], folder / "tmp"


def _run(command: list[str], folder: Path, watched: Path | None, label: str, total: int | None) -> str | None:
    """Run a client, drawing progress from the size of the folder it writes to."""
    log = folder / "log"
    before = _size(watched)
    # pip keeps its unfinished file in TMPDIR; npm in its cache.
    environment = {**_environment(), "TMPDIR": str(watched)} if watched == folder / "tmp" else _environment()
    with Step(label, total) as step, open(log, "wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd=folder)
        try:
            while child.poll() is None:
                step.at(_size(watched) - before)
                time.sleep(0.05)
        except BaseException:
            child.kill()
            child.wait()
            raise
        step.failed = child.returncode != 0
    return None if child.returncode == 0 else log.read_text(errors="replace").strip() or f"exit {child.returncode}"


def _environment() -> dict[str, str]:
    # A virtual environment that happens to be active must not leak into the one being made.
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_USER")}


def _size(folder: Path | None) -> int:
    total = 0
    if folder and folder.is_dir():
        for path in folder.rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except OSError:  # moved away between listing and look
                pass
    return total


def _unreachable(artefact: Artefact, fault: str) -> str:
    # npm says what is wrong first and then how to report it; pip ends with it.
    lines = fault.splitlines()
    telling = lines[:5] if artefact.registry == "npm" else lines[-3:]
    client = "npm" if artefact.registry == "npm" else "pip"
    return (
        f"{artefact}: could not be fetched from {artefact.registry} in {ATTEMPTS} attempts.\n"
        + "".join(f"  | {line[:160]}\n" for line in telling)
        + f"  Check the network, and the registry and proxy that your {client} is set to use, then run the same"
        " command again; what is already there is kept."
    )
