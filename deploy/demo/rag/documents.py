"""The documents: this project's own pages, cut into passages.

A passage is some lines of one section, or rows of a table with the names of their columns,
so that it can be read alone. The same files give the same passages.
"""

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PAGES = ("README.md", "ARCHITECTURE.md", "deploy/CONFIG.md", "deploy/README.md", "deploy/RUNBOOK.md")
FOLDERS = ("critic/docs",)
MAX_WORDS = 70

HEADING = re.compile(r"^(#+) +(.*)$")
RULE = re.compile(r"^\|[\s:|-]+\|$")


@dataclass(frozen=True)
class Passage:
    """`page` is the file, `section` its heading, `text` what an LLM is shown of it."""

    page: str
    section: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}, {self.section}: {self.text}"


def passages(repository: Path = REPOSITORY) -> list[Passage]:
    pages = [repository / page for page in PAGES]
    for folder in FOLDERS:
        pages += sorted((repository / folder).glob("*.md"))
    return [passage for page in pages for passage in cut(str(page.relative_to(repository)), page.read_text())]


def cut(page: str, text: str) -> list[Passage]:
    """The passages of one Markdown page, in order."""
    made: list[Passage] = []
    section, held, words = page, [], 0

    def close() -> None:
        nonlocal held, words
        if held:
            made.append(Passage(page, section, " ".join(held)))
        held, words = [], 0

    for kind, line in lines(text):
        if kind == "heading":
            close()
            section = line
            continue
        size = len(line.split())
        if words + size > MAX_WORDS:
            close()
        held.append(line)
        words += size
    close()
    return made


def lines(text: str):
    """Headings and lines to be read; rows of a table carry the names of their columns."""
    columns: list[str] | None = None
    in_code = False
    for line in text.splitlines():
        if line.startswith("```"):
            in_code = not in_code
        elif in_code:
            if line.strip():
                yield "line", line.strip()
        elif heading := HEADING.match(line):
            columns = None
            yield "heading", heading[2].replace("`", "")
        elif not line.startswith("|"):
            columns = None
            if line.strip():
                yield "line", line.strip()
        elif columns is None:
            columns = cells(line)
        elif not RULE.match(line):
            named = (f"{name}: {cell}" if name else cell for name, cell in zip(columns, cells(line)) if cell)
            yield "line", "; ".join(named) + "."


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]
