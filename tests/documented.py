"""The commands that README.md and docs/ tell a reader to type."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BEGINS = re.compile(r"(?:[A-Z_]+=\S+ )*(?:make|python|flask) ")


@dataclass(frozen=True)
class Command:
    """A command as it stands on a page; `words` without its environment and comment."""

    page: str
    text: str
    is_mention: bool = False  # within a sentence, which may leave out what a command asks for

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)[len(self.environment) :]

    @property
    def environment(self) -> dict[str, str]:
        """What stands before it: names and values."""
        words = shlex.split(self.text, comments=True)
        given = itertools.takewhile(lambda word: re.match(r"[A-Z_]+=", word), words)
        return {name: value for name, _, value in (word.partition("=") for word in given)}

    @property
    def program(self) -> str:
        """`make`, `python -m MODULE`, `python FILE` or `flask`."""
        words = self.words
        if words[0] == "python":
            return f"python -m {words[2]}" if words[1] == "-m" else f"python {words[1]}"
        return words[0]

    @property
    def arguments(self) -> list[str]:
        """What the program is given, without how its application is named."""
        words = self.words[3 if self.words[:2] == ["python", "-m"] else 1 :]
        return words[2:] if words[:1] == ["--app"] else words


def commands() -> list[Command]:
    """All commands of all pages, in their order."""
    return [one for page in PAGES for one in _on(page)]


def _on(page: Path) -> Iterator[Command]:
    text = re.sub(r"\s*\\\n\s*", " ", page.read_text(encoding="utf-8"))
    text = text.replace("PROLIFIC_TOKEN=... ", "")
    for line in text.splitlines():
        block = [line.strip()] if line.startswith("    ") else []
        for code in (*block, *re.findall(r"`([^`]+)`", line)):
            if _BEGINS.match(code) and "..." not in code:
                yield Command(page.name, code, is_mention=code not in block)
