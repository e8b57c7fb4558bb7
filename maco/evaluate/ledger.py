"""What was already measured: a stopped evaluation goes on from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maco.files import write_atomically

Rows = list[dict[str, Any]]


class Ledger:
    """A file of a line a picture, all measured under the same circumstances.

    circumstances: whatever the numbers depend on beside the picture. A file of others is begun
    anew. A picture that was written again counts as another one; half a line is no line.
    """

    def __init__(self, path: Path, circumstances: str) -> None:
        self.path = path
        self._rows: dict[str, Rows] = {}
        lines = _lines(path)
        if lines[:1] == [circumstances]:
            self._rows = dict(lines[1:])
        content = "".join(json.dumps(line) + "\n" for line in (circumstances, *self._rows.items()))
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            write_atomically(path, content.encode())

    def find(self, picture: Path, method: str) -> Rows | None:
        """The rows of a picture of a method; None if it is to be measured."""
        return self._rows.get(_name(picture, method))

    def add(self, picture: Path, method: str, rows: Rows) -> Rows:
        """Writes the rows of a picture down, and gives them back."""
        self._rows[_name(picture, method)] = rows
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([_name(picture, method), rows]) + "\n")
        return rows


def _name(picture: Path, method: str) -> str:
    found = picture.stat()
    where = "/".join(picture.parts[-3:])  # network, method, file
    return f"{method}: {where}, {found.st_size} bytes of {found.st_mtime_ns}"


def _lines(path: Path) -> list[Any]:
    if not path.is_file():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break  # interrupted while it was written
    return lines
