"""The rows of an export as tables, each row checked, and the same from other layouts.

`read_export` reads what the server wrote; `read_tidy` and `read_zimmermann` give the same tables
from the files of other studies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from pydantic import Field, field_validator

from analysis.tables import Rename, Row, read_rows, refuse, tabulate
from stimuli.rows import Count, Record, Side, Text, TrialKind
from stimuli.schema import Participant, Response

__all__ = ["Export", "TidyResponse", "read_export", "read_tidy", "read_zimmermann"]

TRIALS, PARTICIPANTS, CODEBOOK = "trials.csv", "participants.csv", "codebook.json"


@dataclass(frozen=True, eq=False)
class Export:
    """What participants answered, and who they were.

    trials: a row a trial. participants: a row a participant. Texts that name a group are
    categories, counts that may be missing are `Int64`, times are UTC.
    remarks: what a reader of the results should know, though it stops no analysis.
    """

    trials: pd.DataFrame
    participants: pd.DataFrame
    study: str
    codebook: dict[str, Any] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def main(self) -> pd.DataFrame:
        """The main trials: those the analysis is about."""
        return self.of_kind("main")

    def of_kind(self, kind: TrialKind) -> pd.DataFrame:
        """The trials of one kind, numbered from 0; categories without a trial are gone."""
        if kind not in get_args(TrialKind):
            raise ValueError(f"trial_kind {kind!r}; allowed: {', '.join(get_args(TrialKind))}")
        return _with_used_categories(self.trials[self.trials["trial_kind"] == kind])

    def without(self, participants: Iterable[str]) -> Export:
        """The same export without some participants. ValueError for one who is not in it."""
        known = set(self.participants["participant"])
        gone = [participants] if isinstance(participants, str) else list(participants)
        for name in gone:
            if name not in known:
                raise ValueError(f"there is no participant {name!r} in the export {self.study!r}")
        trials, people = (
            _with_used_categories(table[~table["participant"].isin(gone)])
            for table in (self.trials, self.participants)
        )
        return replace(self, trials=trials, participants=people)


def _with_used_categories(table: pd.DataFrame) -> pd.DataFrame:
    columns = table.select_dtypes("category").columns
    used = {str(column): table[column].cat.remove_unused_categories() for column in columns}
    return table.assign(**used).reset_index(drop=True)


class TidyResponse(Record):
    """A trial of a table from elsewhere: three columns are needed, the others help."""

    participant: Text = Field(description="Who answered")
    condition: Text = Field(description="Visualization the participant got")
    correct: int = Field(ge=0, le=1, description="1 if the favored query was chosen, else 0")
    network: Text | None = None
    unit: Text | None = None
    class_label: Text | None = None
    base_image: Text | None = None
    trial_id: Text | None = None
    trial_kind: TrialKind = "main"
    trial_index: Count | None = None
    favored_side: Side | None = None
    response_side: Side | None = None
    rt_ms: float | None = Field(default=None, ge=0)
    confidence: int | None = Field(default=None, ge=1)
    activation_difference: float | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_missing(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("correct", mode="before")
    @classmethod
    def _words_are_numbers(cls, value: Any) -> Any:
        return {"true": "1", "false": "0"}.get(str(value).lower(), value)


def read_export(folder: Path | str) -> Export:
    """The export in a folder: `trials.csv`, `participants.csv` and, if there, `codebook.json`.

    Raises ValueError with the number of problems and the first five: file, row, column, value,
    and what was expected.
    """
    folder = Path(folder)
    _require_export(folder)
    codebook = _read_codebook(folder / CODEBOOK)
    trials = read_rows(folder / TRIALS, Response)
    participants = read_rows(folder / PARTICIPANTS, Participant)
    levels = {name: list((codebook or {}).get(f"{name}s", [])) for name in ("condition", "network")}
    problems = [
        *_contradictions(trials, participants),
        *_unknown_levels(trials, {name: known for name, known in levels.items() if known}),
    ]
    refuse(folder, problems)
    table = tabulate(trials, Response, levels)
    remarks = (*_changed_files(folder, codebook), *_lone_condition(table))
    people = tabulate(participants, Participant, levels)
    return Export(table, people, trials[0].record.study, codebook, remarks)


def read_tidy(path: Path | str, mapping: Mapping[str, str] | None = None) -> Export:
    """An export from any CSV with a row a trial.

    mapping: this toolkit's column -> the file's, for example {"condition": "visualization"}; a
    column of the same name needs none. `participant`, `condition` and `correct` (0 or 1) are
    needed; `TidyResponse` has the others. All trials are main trials unless the file says so.
    Raises ValueError as `read_export` does.
    """
    known, named = TidyResponse.model_fields, dict(mapping or {})
    for column in named:
        if column not in known:
            raise ValueError(f"mapping: {column!r} is none of the columns {', '.join(known)}")
    names = {column: named.get(column, column) for column in known}

    def rename(row: dict[str, str]) -> dict[str, str]:
        return {column: row[name] for column, name in names.items() if name in row}

    needed = [names[column] for column, field in known.items() if field.is_required()]
    return _read_layout(Path(path), rename, [*needed, *named.values()])


def read_zimmermann(path: Path | str) -> Export:
    """An export from the `df_trials.csv` of Zimmermann et al. (2021).

    The published file was not at hand when this was written: its columns are taken from the
    authors' code (brendel-group/causal-understanding-via-visualizations, `utils_data.py`), so
    compare the means with the paper's before anything else. A participant is one response to one
    task; worker ids are not read. The stored confidence counts from the wrong end for the left
    query and is turned round here; without `button_pressed`, sides and confidence are left out.
    """
    needed = ["mode", "task_id", "response_index", "correct", "rt"]
    return _read_layout(
        Path(path), _from_zimmermann, [*needed, "layer", "kernel_size", "channel", "batch"]
    )


def _from_zimmermann(row: dict[str, str]) -> dict[str, str]:
    unit = f"{row['layer']}/{row['kernel_size']}:{row['channel']}"
    correct = {"1.0": "1", "0.0": "0"}.get(row["correct"], row["correct"])
    found = {
        "participant": "/".join(row[name] for name in ("mode", "task_id", "response_index")),
        "condition": row["mode"],
        "correct": correct,
        "network": "InceptionV1",
        "unit": unit,
        "class_label": unit,
        "base_image": f"{unit}/{row['batch']}",
        "trial_id": f"{unit}/{row['batch']}",
        "rt_ms": row["rt"],
        "trial_kind": _kind_in_zimmermann(row),
    }
    if row.get("button_pressed"):
        right = correct.lower() in ("1", "true")
        found |= _zimmermann_click(float(row["button_pressed"]), row.get("confidence"), right)
    if row.get("min_query_activation") and row.get("max_query_activation"):
        difference = float(row["max_query_activation"]) - float(row["min_query_activation"])
        found["activation_difference"] = repr(difference)
    return found


def _kind_in_zimmermann(row: dict[str, str]) -> TrialKind:
    if row.get("is_demo", "").lower() in ("true", "1"):
        return "practice"
    return "catch" if row.get("catch_trial", "").lower() in ("true", "1") else "main"


def _zimmermann_click(button: float, confidence: str | None, correct: bool) -> dict[str, str]:
    """Sides and confidence of a click on one of six buttons, labelled 3 2 1 | 1 2 3."""
    chosen, other = ("left", "right") if button < 3 else ("right", "left")
    found = {"response_side": chosen, "favored_side": chosen if correct else other}
    if confidence:
        stored = int(float(confidence))
        found["confidence"] = str(4 - stored if chosen == "left" else stored)
    return found


def _read_layout(path: Path, rename: Rename, needed: Sequence[str]) -> Export:
    rows = read_rows(path, TidyResponse, rename=rename, needed=needed)
    refuse(path, list(_two_conditions(rows, {})))
    trials = tabulate(rows, TidyResponse, {}).dropna(axis="columns", how="all")
    if "trial_index" not in trials or trials["trial_index"].isna().any():
        trials["trial_index"] = trials.groupby("participant", sort=False).cumcount()
    else:
        refuse(path, list(_repeats(rows)))
    people = trials.drop_duplicates("participant")[["participant", "condition"]]
    remarks = tuple(_lone_condition(trials))
    return Export(trials, people.reset_index(drop=True), path.stem, remarks=remarks)


def _contradictions(trials: list[Row], participants: list[Row]) -> Iterator[str]:
    """What no row shows by itself."""
    study = trials[0].record.study
    for file, rows in ((TRIALS, trials), (PARTICIPANTS, participants)):
        for row in rows:
            if row.record.study != study:
                yield f"{file}, row {row.number}, column study: {row.record.study!r}, not {study!r}"
    people: dict[str, Row] = {}
    for row in participants:
        name = row.record.participant
        first = people.setdefault(name, row)
        if first is not row:
            yield f"{PARTICIPANTS}, row {row.number}: {name!r} is in row {first.number} already"
    yield from _repeats(trials, f"{TRIALS}, ")
    dealt = {name: row.record.condition for name, row in people.items()}
    yield from _two_conditions(trials, dealt, f"{TRIALS}, ")
    answered = {row.record.participant: row.number for row in reversed(trials)}
    for name, number in answered.items():
        if name not in people:
            yield f"{TRIALS}, row {number}: participant {name!r} is not in {PARTICIPANTS}"
    for name, row in people.items():
        if row.record.outcome == "completed" and name not in answered:
            yield f"{PARTICIPANTS}, row {row.number}: {name!r} completed, but has no trials"


def _repeats(trials: list[Row], where: str = "") -> Iterator[str]:
    first: dict[tuple[str, int], int] = {}
    for row in trials:
        key = (row.record.participant, row.record.trial_index)
        if first.setdefault(key, row.number) != row.number:
            yield (
                f"{where}row {row.number}: participant {key[0]!r}, trial_index {key[1]} "
                f"is in row {first[key]} already"
            )


def _two_conditions(
    trials: list[Row], dealt: Mapping[str, str | None], where: str = ""
) -> Iterator[str]:
    conditions = dict(dealt)
    for row in trials:
        name, found = row.record.participant, row.record.condition
        if conditions.setdefault(name, found) != found:
            yield (
                f"{where}row {row.number}, column condition: {found!r}, but participant {name!r} "
                f"was dealt {conditions[name] or 'none'!r}"
            )


def _unknown_levels(trials: list[Row], levels: Mapping[str, list[str]]) -> Iterator[str]:
    for row in trials:
        for column, known in levels.items():
            value = getattr(row.record, column)
            if value not in known:
                yield (
                    f"{TRIALS}, row {row.number}, column {column}: {value!r}; the codebook has "
                    f"{', '.join(known)}"
                )


def _lone_condition(trials: pd.DataFrame) -> Iterator[str]:
    conditions = list(trials["condition"].unique())
    if len(conditions) == 1:
        yield f"the only condition is {conditions[0]!r}: there is nothing to compare it with"


def _require_export(folder: Path) -> None:
    absent = [name for name in (TRIALS, PARTICIPANTS) if not (folder / name).is_file()]
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder; give the folder of an export")
    if absent:
        raise ValueError(
            f"{folder}: there is no {' and no '.join(absent)} in it, so it is no export; make one "
            "with flask --app experiment_server export, or use read_tidy for a CSV from elsewhere"
        )


def _read_codebook(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a JSON file ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: not a JSON object")
    return found


def _changed_files(folder: Path, codebook: dict[str, Any] | None) -> Iterator[str]:
    for file, told in (codebook or {}).get("files", {}).items():
        if "sha256" in told and (folder / file).is_file():
            with (folder / file).open("rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() != told["sha256"]:
                    yield f"{file} was changed after the export: the codebook has another SHA-256"
