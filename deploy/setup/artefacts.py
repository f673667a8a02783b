"""The list of outside files (`artefacts.toml`), read into types."""

import platform
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from progress import SetupError

LIST = Path(__file__).with_name("artefacts.toml")


@dataclass(frozen=True)
class Artefact:
    """One file of a registry."""

    group: str
    registry: str
    name: str
    version: str
    sha256: str
    licence: str
    purpose: str
    bytes: int | None = None
    member: str | None = None
    member_sha256: str | None = None
    member_bytes: int | None = None
    # Checksums of the packages that hold it in slices; `{n}` in `name` and `member` is the slice's number.
    slices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def each_slice(self) -> "list[Artefact]":
        """The packages in the order of their slices."""
        return [
            replace(self, name=self.name.format(n=n), member=self.member.format(n=n), sha256=checksum, bytes=None, slices=())
            for n, checksum in enumerate(self.slices, 1)
        ]

    def fingerprint(self) -> str:
        return f"{self.registry}:{self.name} {self.version} {self.sha256}"


@dataclass(frozen=True)
class System:
    """One program of the distribution."""

    program: str
    package: str
    purpose: str


def artefacts(group: str) -> list[Artefact]:
    return [entry for entry in (Artefact(**table) for table in _list()["artefact"]) if entry.group == group]


def system_programs(group: str) -> list[System]:
    wanted = (table for table in _list()["system"] if group in table["for"])
    return [System(table["program"], table["package"], table["purpose"]) for table in wanted]


def require_supported_machine(group: str, cure: str) -> None:
    """The listed binary files are built for one platform; say so before anything is fetched."""
    here = f"{sys.platform} {platform.machine()} {platform.libc_ver()[0] or 'no glibc'}"
    if (sys.platform, platform.machine(), platform.libc_ver()[0]) != ("linux", "x86_64", "glibc"):
        raise SetupError(f"{group}: the listed files are for linux x86_64 glibc, this machine is {here}; {cure}")


def _list() -> dict:
    return tomllib.loads(LIST.read_text())
