"""Small simulated exports, written as the server writes them: people, conditions, known effects."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from stimuli.schema import Participant, Response

CONDITIONS = ("control", "maco", "olah")
NETWORKS = ("ResNet", "ViT")
CLASSES = ("peacock", "llama", "=ruler")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACCURACY = {"control": 0.6, "maco": 0.9, "olah": 0.7}
CATCH = 3

Row = dict[str, object]


def simulate(
    *,
    participants: int = 12,
    repeats: int = 4,
    seed: int = 0,
    accuracy: dict[str, float] | None = None,
) -> tuple[list[Row], list[Row]]:
    """Rows of trials.csv and participants.csv: p0, p1, ... are dealt the conditions in turn.

    Each answers every network and class `repeats` times, and three catch trials, with a share
    correct that the condition decides.
    """
    generator = np.random.default_rng(seed)
    shares = accuracy or ACCURACY
    conditions = tuple(shares)
    trials: list[Row] = []
    people: list[Row] = []
    for number in range(participants):
        condition = conditions[number % len(conditions)]
        people.append(person(f"p{number}", condition))
        trials += answers(f"p{number}", condition, shares[condition], repeats, generator)
    return trials, people


def person(name: str, condition: str | None, **changes: object) -> Row:
    """A row of participants.csv: someone who completed the study."""
    row: Row = dict.fromkeys(Participant.model_fields, "")
    return row | {
        "study": "tiny",
        "participant": name,
        "condition": condition or "",
        "list": 0,
        "outcome": "completed",
        "late": 0,
        "started_at": START.isoformat(),
        "finished_at": (START + timedelta(minutes=9)).isoformat(),
        "duration_s": 540,
        "quiz_attempts": 1,
        "practice_attempts": 1,
        **changes,
    }


def answers(
    name: str, condition: str, share: float, repeats: int, generator: np.random.Generator
) -> list[Row]:
    """One participant's rows of trials.csv."""
    asked = [
        ("main", network, label, again)
        for again in range(repeats)
        for network in NETWORKS
        for label in CLASSES
    ]
    asked += [("catch", NETWORKS[0], CLASSES[0], again) for again in range(CATCH)]
    return [
        answer(name, condition, index, *trial, right=bool(generator.random() < share))
        | {"rt_ms": round(float(generator.lognormal(7, 0.4)), 2)}
        for index, trial in enumerate(asked)
    ]


def answer(
    name: str,
    condition: str,
    index: int,
    kind: str = "main",
    network: str = NETWORKS[0],
    label: str = CLASSES[0],
    again: int = 0,
    *,
    right: bool = True,
) -> Row:
    """A row of trials.csv; the favored query is on the left in every second trial."""
    sides = ("left", "right") if again % 2 else ("right", "left")
    shown = START + timedelta(seconds=5 * index)
    row: Row = dict.fromkeys(Response.model_fields, "")
    return row | {
        "study": "tiny",
        "participant": name,
        "condition": condition,
        "network": network,
        "unit": f"class:{CLASSES.index(label)}",
        "class_label": label,
        "base_image": f"{CLASSES.index(label)}{again}.png",
        "trial_id": f"{kind}-{network}-{CLASSES.index(label)}-{again}",
        "trial_kind": kind,
        "trial_index": index,
        "favored_side": sides[0],
        "response_side": sides[0] if right else sides[1],
        "correct": int(right),
        "rt_ms": 1000.0,
        "confidence": 3 if right else 1,
        "shown_at": shown.isoformat(),
        "responded_at": (shown + timedelta(seconds=1)).isoformat(),
    }


def write_export(folder: Path, trials: list[Row], people: list[Row]) -> Path:
    """Writes the three files of an export, as they are, valid or not."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "trials.csv", trials, list(Response.model_fields))
    write_table(folder / "participants.csv", people, list(Participant.model_fields))
    found = {"study": "tiny", "conditions": sorted(CONDITIONS), "networks": list(NETWORKS)}
    (folder / "codebook.json").write_text(json.dumps(found), encoding="utf-8")
    return folder


def make_export(
    folder: Path,
    change: Callable[[list[Row], list[Row]], object] = lambda trials, people: None,
    **options: object,
) -> Path:
    """Writes a simulated export, after a change to its rows."""
    trials, people = simulate(**options)  # type: ignore[arg-type]
    change(trials, people)
    return write_export(folder, trials, people)


def write_table(path: Path, rows: list[Row], columns: list[str] | None = None) -> Path:
    """A CSV file; a text that a spreadsheet would take for a formula gets an apostrophe."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]))
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return path


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
