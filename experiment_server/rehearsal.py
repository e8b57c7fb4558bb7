"""A rehearsal: machine participants take a study on this computer, and the export that they leave.

The server has a database of its own, which goes with the rehearsal. Server and participants share
a clock that nobody waits for, and draw from one seed: the same rehearsal gives the same files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import click
import httpx
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import Engine, event

from experiment_server.bots import LIKE_PEOPLE, Habits, Report, SharedClock, new_report, run_bots
from experiment_server.bots.options import chosen, habit_options, inform
from experiment_server.bots.report import outcome_lines
from experiment_server.bundle import Bundle
from experiment_server.config import Config, Prolific, Settings, read_settings
from experiment_server.experiment import KEY
from experiment_server.export import CODEBOOK, export, refuse_foreign

BEGINS = datetime(2000, 1, 1, 9, tzinfo=UTC)  # long before any study of this kind
ARRIVAL_S = 30.0  # of the rehearsal's clock, from one participant to the next
NOTE = (
    "These are machine participants: no person took part. Their answers follow the settings below,"
    f" and their times a made-up clock that begins at {BEGINS:%Y-%m-%d %H:%M} UTC."
)


def rehearse(
    study: Path,
    out: Path,
    *,
    participants: int = 60,
    habits: Habits = LIKE_PEOPLE,
    seed: str = "1",
    settings: Settings = Settings(),  # noqa: B008  frozen
    force: bool = False,
    remarks: Mapping[str, Any] | None = None,
    left: Callable[[], object] = lambda: None,
) -> Report:
    """Sends machine participants through a bundle and writes their export to `out`.

    The same bundle, participants, habits, seed and settings give the same files, byte for byte.
    force: replace an earlier rehearsal of the same study. remarks: what the codebook says of the
    rehearsal beside its seed and habits. left: called for each participant that is through.
    Raises ValueError, before anything starts, if the bundle cannot be used or `out` holds anything
    else; RuntimeError, and writes nothing, if something went wrong between server and participants.
    """
    name = Bundle(study).study.name
    _refuse(out, name, force)
    clock = SharedClock(BEGINS, participants)
    report = new_report(participants, seed)
    with _serving(study, settings, clock, Random(f"{seed}/dealing")) as app:
        running = app.extensions[KEY]
        run_bots(
            "http://127.0.0.1",
            participants,
            arrival_s=ARRIVAL_S * participants,
            habits=habits,
            study=running.bundle.study,
            report=report,
            left=left,
            clock=clock,
            transport=_Direct(app),
        )
        if report.errors:
            raise RuntimeError(
                f"{len(report.errors)} errors, so nothing was exported; the first:"
                f" {report.errors[0]}"
            )
        told = {"note": NOTE, "seed": seed, "habits": _numbers(habits), **(remarks or {})}
        export(running, out, kind="machine", remarks={"rehearsal": told})
    return report


def _numbers(habits: Habits) -> dict[str, Any]:
    """Habits for a codebook: without the observer's many, and the pace, which does not count."""
    names = [field.name for field in fields(habits) if field.name not in {"observed", "pace"}]
    return {name: getattr(habits, name) for name in names}


def _refuse(out: Path, study: str, force: bool) -> None:
    """Raises ValueError if a folder holds anything but a rehearsal that may be replaced."""
    refuse_foreign(out)
    if not (out / CODEBOOK).exists():
        return
    try:
        found = json.loads((out / CODEBOOK).read_text(encoding="utf-8"))
        kind, earlier = found["participants"], found["study"]
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{out / CODEBOOK} cannot be read: choose another --out") from error
    if kind != "machine" or earlier != study:
        raise ValueError(
            f"{out} holds an export of {kind} participants in the study {earlier!r}, which a"
            f" rehearsal of {study!r} never replaces: choose another --out"
        )
    if not force:
        raise ValueError(f"{out} holds an earlier rehearsal: --force replaces it")


@contextmanager
def _serving(
    study: Path, settings: Settings, clock: SharedClock, chance: Random
) -> Iterator[Flask]:
    """The study's server, with a folder of its own that goes with it."""
    from experiment_server import create_app

    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        app = create_app(_config(study, Path(folder), settings), now=clock, chance=chance)
        app.logger.setLevel(logging.ERROR)  # that bots come back late is no news
        engine: Engine = app.extensions[KEY].database.engine
        engine.dispose()
        event.listen(engine, "connect", _write_later)
        try:
            yield app
        finally:
            engine.dispose()


def _write_later(connection: Any, _: object) -> None:
    """Spares a database that goes with the rehearsal the wait for the disk at every answer."""
    connection.execute("PRAGMA synchronous = OFF")


class _Direct(httpx.AsyncBaseTransport):
    """Hands requests to the server within this process: the clock lets one bot act at a time, so
    connections and threads would only cost time."""

    def __init__(self, app: Flask) -> None:
        self._inner = httpx.WSGITransport(app, raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.read())


def _config(study: Path, folder: Path, settings: Settings) -> Config:
    """The study's own settings, apart from Prolific, real people and pilots."""
    recruitment = settings.recruitment.model_copy(update={"other_studies": (), "pilot": False})
    prolific = Prolific(codes=settings.prolific.codes, signed_entry="off")
    return Config(
        study=study,
        data=folder,
        database_url=f"sqlite:///{folder / 'study.sqlite'}",
        secret_key=SecretStr(secrets.token_hex(32)),
        settings=settings.model_copy(update={"recruitment": recruitment, "prolific": prolific}),
        rehearsal=True,
    )


def _study() -> Path:
    return Path(os.environ.get("STUDY", "studies/demo")).absolute()


@click.command("rehearse")
@click.option("--out", type=click.Path(path_type=Path), default="rehearsal", show_default=True)
@click.option("--participants", default=60, show_default=True, type=click.IntRange(1))
@click.option("--seed", default="1", show_default=True, help="The same files again.")
@click.option("--force", is_flag=True, help="Replace an earlier rehearsal of the same study.")
@habit_options(LIKE_PEOPLE)
@click.pass_context
def rehearse_command(
    context: click.Context,
    /,
    out: Path,
    participants: int,
    seed: str,
    force: bool,
    observer: str | None,
    observations: Path | None,
    **options: Any,
) -> None:
    """Machine participants take the STUDY on this computer, and their export is written.

    STUDY and SETTINGS are those of the server; its database and keys are not touched. In main
    trials that neither --observer nor --accuracy speaks of, they guess.
    """
    from tqdm import tqdm

    try:
        study = _study()
        habits = chosen(context, LIKE_PEOPLE, options)
        habits = inform(habits, Bundle(study).study, observer, observations)
        with tqdm(total=participants, unit="participant") as bar:
            report = rehearse(
                study,
                out,
                participants=participants,
                habits=habits,
                seed=seed,
                settings=read_settings(os.environ.get("SETTINGS")),
                force=force,
                remarks=_source(observer, observations),
                left=bar.update,
            )
    except (ValueError, RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(outcome_lines(report)))
    click.echo(f"{out}: the export of {participants} machine participants")


def _source(observer: str | None, observations: Path | None) -> dict[str, Any]:
    """Which observer's answers these were, and the digest of the file they stand in."""
    if observer is None or observations is None:
        return {}
    digest = hashlib.sha256(observations.read_bytes()).hexdigest()
    return {"observer": observer, "observations_sha256": digest}
