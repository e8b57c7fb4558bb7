"""What was already measured: a stopped evaluation goes on from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maco.differences import first_difference
from maco.files import write_atomically

Rows = list[dict[str, Any]]


class Ledger:
    """A file of a line a picture, all measured under the same circumstances.

    circumstances: whatever the numbers depend on beside the picture, as plain values. A file of
    others is begun anew. A picture that was written again counts as another one; half a line is no
    line. parts: files of other jobs, to find rows in; where circumstances differ they are passed
    over.
    """

    def __init__(
        self, path: Path, circumstances: dict[str, Any], parts: Sequence[Path] = ()
    ) -> None:
        self.path = path
        self._rows: dict[str, Rows] = {}
        self._parts: dict[str, Rows] = {}
        lines = _lines(path)
        if lines[:1] == [circumstances]:
            self._rows = dict(lines[1:])
        for part in parts:
            first, *others = _lines(part) or [None]
            if first == circumstances:
                self._parts |= dict(others)
        content = "".join(json.dumps(line) + "\n" for line in (circumstances, *self._rows.items()))
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            write_atomically(path, content.encode())

    def find(self, picture: Path, method: str) -> Rows | None:
        """The rows of a picture of a method; None if it is to be measured."""
        name = _name(picture, method)
        return self._rows.get(name) or self._parts.get(name)

    def add(self, picture: Path, method: str, rows: Rows) -> Rows:
        """Writes the rows of a picture down, and gives them back."""
        self._rows[_name(picture, method)] = rows
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([_name(picture, method), rows]) + "\n")
        return rows


def check_parts(parts: Sequence[Path], circumstances: dict[str, Any]) -> None:
    """Raises ValueError naming a file that was measured under other circumstances."""
    for part in parts:
        theirs = (_lines(part) or [None])[0]
        if theirs != circumstances:
            raise ValueError(
                f"{part} was measured under other circumstances ("
                f"{first_difference(theirs, circumstances)}): remove it, or do its shard again"
            )


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
