"""How two configurations differ, in words."""

from __future__ import annotations

import json
from typing import Any


def first_difference(theirs: Any, mine: Any, where: str = "") -> str:
    """The first key at which plain values differ, in alphabetical order: "a.b was 1, now 2"."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        for key in sorted(theirs.keys() | mine.keys()):
            if theirs.get(key) != mine.get(key):
                path = f"{where}.{key}" if where else key
                return first_difference(theirs.get(key), mine.get(key), path)
    return f"{where} was {_short(theirs)}, now {_short(mine)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
