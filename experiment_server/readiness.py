"""Whether a study, its configuration and its database are ready for real participants."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import func, select

from experiment_server.admin_login import password_hash
from experiment_server.config import CodeFor
from experiment_server.experiment import Experiment
from experiment_server.models import Backup, Participant
from experiment_server.ownership import foreign_key
from experiment_server.text import unknown_keys

Verdict = Literal["ready", "note", "missing"]
MARKS: dict[Verdict, str] = {"ready": "ok     ", "note": "note   ", "missing": "MISSING"}
SMALLEST_FREE_GIB = 1.0
# Before this version a rare fault could damage a database in WAL mode.
SOUND_SQLITE = (3, 51, 3)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `missing` keeps the study from going live."""

    topic: str
    verdict: Verdict
    sentence: str


def inspect(running: Experiment) -> list[Finding]:
    """Everything that was looked at, in the order a researcher sets things up."""
    return [
        *_study(running),
        *_secrets(running),
        *_recruitment(running),
        *_prolific(running),
        *_database(running),
    ]


def _study(running: Experiment) -> Iterator[Finding]:
    study = running.bundle.study
    yield Finding(
        "study",
        "ready",
        f"{study.name!r}, {len(study.trials)} trials in {len(study.lists)} lists,"
        f" {len(study.images)} images whose digests agree",
    )
    for key in unknown_keys(study):
        yield Finding("text", "missing", f"participant_text: {key!r} is no sentence's key")
    if not running.bundle.practice(0):
        yield Finding("practice", "note", "the lists have no practice trials")
    if study.name == "demo":
        yield Finding("study", "note", "this is the embedded demo, made for trying things out")


def _secrets(running: Experiment) -> Iterator[Finding]:
    config = running.config
    if config.live:
        yield Finding("LIVE", "ready", "cookies go over https alone")
    else:
        yield Finding("LIVE", "missing", "set LIVE=1, behind https")
    problem = foreign_key(running)
    if problem:
        yield Finding("SECRET_KEY", "missing", problem)
    elif config.key_is_local:
        yield Finding("SECRET_KEY", "missing", "it is a local one: set 32 random characters")
    else:
        yield Finding("SECRET_KEY", "ready", "set; keep a copy, it is needed to know people again")
    if password_hash(config) is None:
        yield Finding(
            "ADMIN_PASSWORD_HASH",
            "missing",
            "make it with flask --app experiment_server admin-password",
        )
    else:
        yield Finding("ADMIN_PASSWORD_HASH", "ready", "set")
    if config.live and not config.proxies:
        yield Finding("PROXIES", "note", "0: set it to 1 behind Caddy or nginx")


def _recruitment(running: Experiment) -> Iterator[Finding]:
    recruitment = running.settings.recruitment
    if recruitment.target_per_condition is None:
        yield Finding("recruitment", "note", "no target_per_condition: only Prolific ends it")
    else:
        target = recruitment.target_per_condition
        yield Finding(
            "recruitment", "ready", f"{target} in each of {', '.join(running.conditions)}"
        )
    if recruitment.pilot:
        yield Finding("recruitment", "missing", "pilot = true: nobody would count")


def _prolific(running: Experiment) -> Iterator[Finding]:
    prolific = running.settings.prolific
    for outcome in get_args(CodeFor):
        if outcome not in prolific.codes:
            verdict: Verdict = "missing" if outcome == "completed" else "note"
            yield Finding("prolific.codes", verdict, f"no completion code for {outcome}")
    codes = list(prolific.codes.values())
    if len(set(codes)) < len(codes):
        yield Finding("prolific.codes", "missing", "two outcomes have the same code")
    if prolific.signed_entry != "off" and prolific.audience is None:
        yield Finding(
            "prolific.audience", "missing", "the study's https address, to verify signed entries"
        )
    if prolific.signed_entry != "required":
        yield Finding(
            "prolific.signed_entry", "note", "not required: ids in the link could be made up"
        )
    if running.config.prolific_webhook_secret is None:
        yield Finding(
            "PROLIFIC_WEBHOOK_SECRET", "note", "not set: returned places are freed by time alone"
        )
    if prolific.reward_minor is None or prolific.estimated_min is None:
        yield Finding("prolific", "note", "no reward_minor or estimated_min: no pay rate is shown")


def _database(running: Experiment) -> Iterator[Finding]:
    database = running.database
    with database.read() as session:
        real = session.execute(select(func.count()).where(Participant.kind == "real")).scalar_one()
        last_backup = session.scalars(select(Backup).order_by(Backup.id.desc()).limit(1)).first()
    yield Finding("database", "ready", f"{database.place}, {real} participants that count so far")
    if database.is_sqlite and sqlite3.sqlite_version_info < SOUND_SQLITE:
        yield Finding(
            "database",
            "note",
            f"SQLite {sqlite3.sqlite_version}: before 3.51.3 a rare fault can damage a database"
            " under many writers; use PostgreSQL for a large study, and make backups",
        )
    free_gib = shutil.disk_usage(running.config.study).free / 2**30
    if free_gib < SMALLEST_FREE_GIB:
        yield Finding("disk", "missing", f"{free_gib:.2f} GiB free")
    if last_backup is None:
        yield Finding("backup", "note", "none yet: flask --app experiment_server backup")
    else:
        yield Finding("backup", "ready", f"the last one is of {last_backup.at:%Y-%m-%d %H:%M} UTC")
