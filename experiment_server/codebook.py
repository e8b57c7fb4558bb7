"""What every column of an export means, for whoever opens it without this program."""

from __future__ import annotations

import hashlib
import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from experiment_server.bundle import Bundle

CONVENTIONS = {
    "missing": "An empty cell is a missing value.",
    "times": "ISO 8601 in UTC, to the millisecond.",
    "yes_no": "1 is yes, 0 is no.",
    "text": "A text that begins with = + - @, a tab or a line break has an apostrophe (') put"
    " before it, so that no spreadsheet takes it for a formula; take it off to have the text."
    " Numbers are as they are.",
    "withdrawn": "Who withdrew and had the data deleted has a row in participants.csv, and nothing"
    " else.",
}
_TYPES = {"string": "text", "integer": "integer", "number": "number", "boolean": "0 or 1"}


def codebook(
    bundle: Bundle, tables: dict[Path, tuple[type[BaseModel], int]], kind: str, now: datetime
) -> dict[str, Any]:
    """The content of codebook.json. tables: file -> (model of its rows, how many there are).

    `exclusions` are the study's preregistered rules; bundles of before they were have none.
    """
    study = bundle.study
    levels = {
        "condition": list(study.conditions),
        "network": [network.name for network in study.networks],
    }
    return {
        "study": study.name,
        "title": study.title,
        "study_digest": bundle.digest,
        "participants": kind,
        "exported_at": moment(now),
        "software": {
            "maco-psychophysics": version("maco-psychophysics"),
            "python": platform.python_version(),
        },
        "conditions": levels["condition"],
        "networks": levels["network"],
        **{key: study.config[key] for key in ("exclusions",) if key in study.config},
        "conventions": CONVENTIONS,
        "files": {
            path.name: {
                "description": (model.__doc__ or "").split(": ", 1)[-1].split(". ")[0],
                "rows": rows,
                "sha256": _sha256(path),
                "columns": describe(model, levels),
            }
            for path, (model, rows) in tables.items()
        },
    }


def describe(model: type[BaseModel], levels: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """Column -> description, type, unit, levels and limits, as far as the model tells.

    levels: those of columns whose values the study decides.
    """
    properties = model.model_json_schema()["properties"]
    return {column: _column(properties[column], levels.get(column)) for column in properties}


def moment(time: datetime) -> str:
    """A moment as exports say it: "2026-03-01T12:00:00.000Z". `time` is in UTC."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _column(schema: dict[str, Any], levels: list[str] | None) -> dict[str, Any]:
    options = schema.get("anyOf", [schema])
    value = options[0]
    kind = "time" if value.get("format") == "date-time" else _TYPES[value["type"]]
    found = {
        "description": schema["description"],
        "type": kind,
        "unit": schema.get("unit"),
        "levels": levels or value.get("enum"),
        "minimum": value.get("minimum"),
        "maximum": value.get("maximum"),
        "may_be_missing": len(options) > 1,
    }
    return {key: entry for key, entry in found.items() if entry is not None}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
