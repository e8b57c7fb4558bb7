"""The rows of an export as tables, each row checked.

`read_export` reads what the server wrote; `analysis.layouts` the files of other studies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from analysis.tables import Row, read_rows, refuse, tabulate
from stimuli.rows import TrialKind
from stimuli.schema import Participant, Response

__all__ = ["Export", "lone_condition", "read_export", "repeats", "two_conditions"]

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
    remarks = (
        *(() if _is_rehearsal(codebook) else _machines(participants)),
        *_changed_files(folder, codebook),
        *lone_condition(table),
    )
    people = tabulate(participants, Participant, levels)
    return Export(table, people, trials[0].record.study, codebook, remarks)


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
    yield from repeats(trials, f"{TRIALS}, ")
    dealt = {name: row.record.condition for name, row in people.items()}
    yield from two_conditions(trials, dealt, f"{TRIALS}, ")
    answered = {row.record.participant: row.number for row in reversed(trials)}
    for name, number in answered.items():
        if name not in people:
            yield f"{TRIALS}, row {number}: participant {name!r} is not in {PARTICIPANTS}"
    for name, row in people.items():
        if row.record.outcome == "completed" and name not in answered:
            yield f"{PARTICIPANTS}, row {row.number}: {name!r} completed, but has no trials"


def repeats(trials: list[Row], where: str = "") -> Iterator[str]:
    """What to say of rows with the participant and trial_index of an earlier one."""
    first: dict[tuple[str, int], int] = {}
    for row in trials:
        key = (row.record.participant, row.record.trial_index)
        if first.setdefault(key, row.number) != row.number:
            yield (
                f"{where}row {row.number}: participant {key[0]!r}, trial_index {key[1]} "
                f"is in row {first[key]} already"
            )


def two_conditions(
    trials: list[Row], dealt: Mapping[str, str | None], where: str = ""
) -> Iterator[str]:
    """What to say of rows with another condition than their participant was dealt before."""
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


def lone_condition(trials: pd.DataFrame) -> Iterator[str]:
    """A remark, if all trials are of one condition."""
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


def _is_rehearsal(codebook: dict[str, Any] | None) -> bool:
    """Whether the export says itself that all its participants are programs."""
    return (codebook or {}).get("participants") == "machine"


def _machines(participants: list[Row]) -> Iterator[str]:
    """A remark on participants that are programs: bots say so in place of a browser."""
    bots = sum((row.record.browser or "").startswith("Bot ") for row in participants)
    if bots:
        yield f"Machine participants: {bots} of {len(participants)} are programs, not people."


def _changed_files(folder: Path, codebook: dict[str, Any] | None) -> Iterator[str]:
    for file, told in (codebook or {}).get("files", {}).items():
        if "sha256" in told and (folder / file).is_file():
            with (folder / file).open("rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() != told["sha256"]:
                    yield f"{file} was changed after the export: the codebook has another SHA-256"
