"""The file of the machine observers: a row for every observer, condition and trial."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from stimuli.rows import Record, Text, TrialKind

__all__ = ["Observation", "dump_observations", "read_observations"]

_SHOWN = 5


class Observation(Record):
    """What one observer makes of one trial as a participant of one condition sees it."""

    observer: Text = Field(description="Name of the observer")
    condition: Text = Field(description="Whose references the observer is shown")
    network: Text = Field(description="Network asked about")
    unit: Text = Field(description="What is visualized: class:INDEX or LAYER:INDEX")
    class_label: Text = Field(description="Label of the unit")
    base_image: Text = Field(description="Image name of the photograph behind the queries")
    trial_id: Text = Field(description="Trial in study.json")
    trial_kind: TrialKind = Field(description="Only main trials enter the summary")
    evidence: float = Field(
        description="For the favored query, against the other; 1 is the observer's root mean square"
    )
    p_favored: float = Field(ge=0, le=1, description="Probability of choosing the favored query")


_COLUMNS = list(Observation.model_fields)


def dump_observations(observations: Iterable[Observation]) -> str:
    """The text of the CSV file; numbers with six digits after the point."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for one in observations:
        numbers = {"evidence": f"{one.evidence:.6f}", "p_favored": f"{one.p_favored:.6f}"}
        writer.writerow(one.model_dump() | numbers)
    return text.getvalue()


def read_observations(path: Path) -> list[Observation]:
    """The rows of such a file, in its order. Row 1 is the header, as a spreadsheet counts.

    Raises ValueError naming the file and the first rows that are wrong; a second answer of an
    observer to the same trial and condition is wrong too.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_header(path, list(reader.fieldnames or []))
            rows = list(reader)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    found: list[Observation] = []
    problems: list[str] = []
    first: dict[tuple[str, str, str], int] = {}
    for number, row in enumerate(rows, start=2):
        try:
            one = Observation.model_validate(row)
        except ValidationError as error:
            problems.append(f"row {number}: {_problem(error)}")
            continue
        key = (one.observer, one.condition, one.trial_id)
        if key in first:
            problems.append(f"row {number}: answers the same as row {first[key]}")
        first.setdefault(key, number)
        found.append(one)
    if problems:
        more = f"; and {len(problems) - _SHOWN} more rows" if len(problems) > _SHOWN else ""
        raise ValueError(f"{path}: {'; '.join(problems[:_SHOWN])}{more}")
    if not found:
        raise ValueError(f"{path}: there is no row below the header")
    return found


def _check_header(path: Path, header: list[str]) -> None:
    missing = [column for column in _COLUMNS if column not in header]
    unknown = [column for column in header if column not in _COLUMNS]
    if missing or unknown:
        what = f"no column {missing[0]!r}" if missing else f"unknown column {unknown[0]!r}"
        raise ValueError(
            f"{path}: {what}; python -m stimuli.observers writes {', '.join(_COLUMNS)}"
        )


def _problem(error: ValidationError) -> str:
    problem: Any = error.errors(include_url=False)[0]
    if problem["type"] == "invalid_key":
        return "more cells than columns"
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where} = {problem['input']!r}: {problem['msg']}"
