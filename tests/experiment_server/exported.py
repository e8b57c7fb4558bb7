"""Reading an export back, as any program would."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))
