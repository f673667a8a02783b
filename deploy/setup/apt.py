"""Programs of the distribution: installed when missing and allowed, else named with the exact command."""

import os
import shutil
import tempfile
from pathlib import Path

from artefacts import System, system_programs
from fetch import run_step
from progress import SetupError, say

# Debian keeps servers such as nginx where an ordinary user's PATH does not look.
SEARCH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def install(group: str) -> None:
    """Make the programs of one group available, or raise with the command that does."""
    missing = [program for program in system_programs(group) if not shutil.which(program.program, path=SEARCH)]
    if not missing:
        return say(f"  programs for {group}: there")
    packages = [program.package for program in missing]
    for program in missing:
        say(f"  {program.program} is missing: {program.purpose}")
    command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise SetupError(f"{group}: install {', '.join(_names(missing))} with this system's package manager")
    if os.geteuid() != 0:
        raise SetupError(f"{group}: {', '.join(_names(missing))} missing and you are not root; run\n  sudo {command}")
    _apt(["apt-get", "update", "-q"], "apt-get update")
    # Another apt at work (unattended upgrades) is waited for.
    _apt([*command.split(), "-o", "DPkg::Lock::Timeout=300"], f"apt-get install {' '.join(packages)}")


def _apt(command: list[str], label: str) -> None:
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    with tempfile.TemporaryDirectory() as folder:
        fault = run_step(command, Path(folder), label)
    if fault is not None:
        tail = "\n".join(f"  | {line}" for line in fault.splitlines()[-6:])
        raise SetupError(f"{label} failed:\n{tail}\n  Run it by hand to see the whole of it: {' '.join(command)}")


def _names(missing: list[System]) -> list[str]:
    return [program.program for program in missing]
