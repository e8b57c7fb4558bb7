"""The export: trials.csv, participants.csv and codebook.json, without a name or a Prolific id.

Rows are read by chunks in one transaction, so that both tables tell of the same moment, and each
passes through the model that the analysis reads it back with.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import click
from flask.cli import with_appcontext
from pydantic import BaseModel, ValidationError
from sqlalchemy import RowMapping, select
from sqlalchemy.orm import Session

from experiment_server import models
from experiment_server.audit import record
from experiment_server.codebook import codebook, moment
from experiment_server.experiment import Experiment, experiment
from stimuli.schema import Participant, Response, Trial

CODEBOOK = "codebook.json"
MODELS: dict[str, type[BaseModel]] = {"trials.csv": Response, "participants.csv": Participant}
CHUNK_ROWS = 1000
NOTHING: Mapping[str, Any] = MappingProxyType({})
Rows = Generator[dict[str, Any], None, None]
# A spreadsheet takes a cell that begins so for a formula; the last four are full-width.
FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001
# What a browser said of itself: a value that cannot be is left out, and the row kept.
REPORTED = frozenset(
    {"dropped_frames", "hidden_events", "blur_events", "viewport_width_px", "viewport_height_px"}
    | {"device_pixel_ratio", "browser", "platform", "pointer", "refresh_hz"}
    | {"screen_width_px", "screen_height_px", "age_years"}
)


def export(
    experiment: Experiment,
    folder: Path,
    *,
    kind: str = "real",
    remarks: Mapping[str, Any] = NOTHING,
) -> dict[str, int]:
    """Writes the three files; file -> rows. The folder appears whole, or stays as it was.

    kind: real, pilot, preview or machine participants. remarks: what else the codebook says.
    Raises ValueError if the folder holds anything but an earlier export, or if a row of the
    database cannot be.
    """
    if kind not in get_args(models.Kind):
        raise ValueError(f"kind = {kind!r}: one of {', '.join(get_args(models.Kind))}")
    refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        counts = _write(experiment, draft, kind, remarks)
        _publish(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return counts


def _write(
    experiment: Experiment, draft: Path, kind: str, remarks: Mapping[str, Any]
) -> dict[str, int]:
    now = experiment.now()
    with experiment.database.read() as session:
        if not experiment.database.is_sqlite:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        rows = {
            "trials.csv": _responses(session, experiment, kind),
            "participants.csv": _participants(session, experiment, kind),
        }
        counts = {name: _write_table(draft / name, MODELS[name], rows[name]) for name in MODELS}
    tables = {draft / name: (MODELS[name], counts[name]) for name in MODELS}
    found = {**codebook(experiment.bundle, tables, kind, now), **remarks}
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    (draft / CODEBOOK).write_text(text, encoding="utf-8")
    return counts


def _responses(session: Session, experiment: Experiment, kind: str) -> Rows:
    """Rows of trials.csv, by participant and in the order in which the trials were shown."""
    asked = {trial.id: _asked(trial) for trial in experiment.bundle.study.trials}
    participant, response = models.Participant, models.Response
    query = (
        select(
            participant.pseudonym.label("participant"),
            participant.condition,
            *models.Response.__table__.columns,
        )
        .join(response.participant)
        .where(participant.kind == kind, participant.delete_requested.is_(False))
        .order_by(response.participant_id, response.trial_index)
    )
    for found in _by_chunks(session, query):
        trial_id = found["trial_id"]
        if trial_id not in asked:
            raise ValueError(
                f"participant {found['participant']} answered trial {trial_id!r}, which is none of"
                f" the study's ({experiment.bundle.folder})"
            )
        yield {**found["timing"], "study": experiment.bundle.study.name, **found, **asked[trial_id]}


def _asked(trial: Trial) -> dict[str, Any]:
    """What the bundle tells of a trial."""
    return {
        "network": trial.network,
        "unit": trial.unit.name,
        "class_label": trial.unit.label,
        "base_image": trial.base_image.image,
        "trial_kind": trial.kind,
        "favored_side": trial.favored_side,
    }


def _participants(session: Session, experiment: Experiment, kind: str) -> Rows:
    """Rows of participants.csv, in the order of arrival."""
    query = (
        select(models.Participant)
        .where(models.Participant.kind == kind)
        .order_by(models.Participant.id)
    )
    for row in _by_chunks(session, query):
        found = row["Participant"]
        told = {} if found.delete_requested else {**found.device, **found.answers}
        yield {
            **told,
            "study": experiment.bundle.study.name,
            "participant": found.pseudonym,
            "condition": found.condition,
            "list": found.list_index,
            "outcome": found.outcome,
            "late": int(found.late),
            "signed_entry": int(found.signed_entry),
            "started_at": found.started_at,
            "finished_at": found.finished_at,
            "duration_s": _seconds(found.started_at, found.finished_at),
            "instruction_s": round(found.instruction_s, 3) or None,
            "quiz_attempts": found.quiz_attempts,
            "practice_attempts": found.practice_attempts,
        }


def _by_chunks(session: Session, query: Any) -> Generator[RowMapping, None, None]:
    with session.execute(query, execution_options={"yield_per": CHUNK_ROWS}) as result:
        yield from result.mappings()


def _seconds(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else round((end - start).total_seconds(), 3)


def _write_table(path: Path, model: type[BaseModel], rows: Rows) -> int:
    """Writes the model's columns of some rows; how many rows."""
    columns = list(model.model_fields)
    count = 0
    with (
        closing(rows),
        path.open("w", encoding="utf-8", errors="replace", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            valid = _checked(model, {column: row.get(column) for column in columns}, path.name)
            writer.writerow([cell(getattr(valid, column)) for column in columns])
            count += 1
        file.flush()
        os.fsync(file.fileno())
    return count


def _checked(model: type[BaseModel], row: dict[str, Any], file: str) -> BaseModel:
    try:
        return model.model_validate(row)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        wrong = {str(problem["loc"][0]) for problem in problems if problem["loc"]}
        if wrong and wrong <= REPORTED:
            return _checked(model, {**row, **dict.fromkeys(wrong)}, file)
        where = ".".join(str(part) for part in problems[0]["loc"])
        raise ValueError(
            f"{file}: participant {row['participant']}, trial {row.get('trial_index', '-')}:"
            f" {where}: {problems[0]['msg']}"
        ) from error


def cell(value: Any) -> str:
    """A value as a CSV cell says it."""
    if value is None:
        return ""
    if isinstance(value, str):
        # What already begins so with an apostrophe gets another, so that reading can take one off.
        is_risky = value.lstrip("'")[:1] in FORMULA_STARTS
        return "'" + value if is_risky else value
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(int(value))


def refuse_foreign(folder: Path) -> None:
    """Raises ValueError if a folder holds anything but an earlier export."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file: choose another --out")
    found = {path.name for path in folder.iterdir()}
    if found and not (CODEBOOK in found and found <= {CODEBOOK, *MODELS}):
        raise ValueError(f"{folder} holds files that are no earlier export: choose another --out")


def _publish(draft: Path, folder: Path) -> None:
    """Gives the draft its name; an earlier export of that name goes only when it stands."""
    if not folder.exists():
        draft.rename(folder)
        return
    earlier = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        folder.replace(earlier)
        draft.rename(folder)
    finally:  # Ctrl-C in between must leave one of the two
        if not folder.exists():
            earlier.replace(folder)
        shutil.rmtree(earlier, ignore_errors=True)


@click.command("export")
@click.option("--out", type=click.Path(path_type=Path), default="export", show_default=True)
@click.option("--kind", type=click.Choice(get_args(models.Kind)), default="real", show_default=True)
@with_appcontext
def export_command(out: Path, kind: str) -> None:
    """Writes trials.csv, participants.csv and codebook.json."""
    running = experiment()
    try:
        counts = export(running, out, kind=kind)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    with running.database.write() as session:
        record(session, "command line", "export", {"kind": kind, **counts}, running.now())
    for name, rows in counts.items():
        click.echo(f"{out / name}: {rows} rows")
    click.echo(f"{out / CODEBOOK}: what the columns mean")
