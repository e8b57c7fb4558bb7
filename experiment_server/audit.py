"""The audit log: what the researcher and Prolific did, each entry chained to the one before.

An entry's digest is over its content and the digest before it, so that no entry can be changed,
taken out or put in without every later digest giving it away. Keep the last digest elsewhere to
see that none was cut off at the end either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session

from experiment_server.experiment import experiment
from experiment_server.models import Audit, StudyState

FIRST = "0" * 64  # what the first entry follows


def record(
    session: Session, actor: str, action: str, detail: dict[str, Any], now: datetime
) -> Audit:
    """Appends an entry, within a transaction that writes. `detail`: anything JSON can say.

    Whoever writes next waits until the transaction ends: SQLite has one writer anyhow, and on
    PostgreSQL the study's row is locked.
    """
    session.execute(select(StudyState.id).with_for_update())
    last = session.scalars(select(Audit.digest).order_by(Audit.id.desc()).limit(1)).first()
    previous = last or FIRST
    plain = json.loads(json.dumps(detail))  # as it will be read back
    entry = Audit(
        at=now,
        actor=actor,
        action=action,
        detail=plain,
        previous_digest=previous,
        digest=_digest(previous, now, actor, action, plain),
    )
    session.add(entry)
    session.flush()
    return entry


def verify(session: Session) -> int:
    """How many entries there are. Raises ValueError naming the first that does not fit."""
    query = select(Audit).order_by(Audit.id).execution_options(yield_per=500)
    with session.scalars(query) as entries:
        return verify_chain(entries)


def verify_chain(entries: Iterable[Audit]) -> int:
    """The same for entries from elsewhere, in their order."""
    previous, count = FIRST, 0
    for entry in entries:
        _fits(entry, previous)
        previous, count = entry.digest, count + 1
    return count


def _fits(entry: Audit, previous: str) -> None:
    what = f"audit entry {entry.id} ({entry.action}, {entry.at:%Y-%m-%d %H:%M} UTC)"
    if entry.previous_digest != previous:
        raise ValueError(f"{what} does not follow the entry before it: one was taken out")
    if entry.digest != _digest(previous, entry.at, entry.actor, entry.action, entry.detail):
        raise ValueError(f"{what} was changed after it was written")


def _digest(previous: str, at: datetime, actor: str, action: str, detail: dict[str, Any]) -> str:
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps([previous, moment, actor, action, detail], **_CANONICAL)
    return hashlib.sha256(text.encode()).hexdigest()


_CANONICAL: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}


@click.command("audit")
@click.option("--verify", "only_verify", is_flag=True, help="Only check the chain.")
@with_appcontext
def audit_command(only_verify: bool) -> None:
    """Prints the audit log and checks that no entry was changed. Exit code 1 if one was."""
    with experiment().database.read() as session:
        if not only_verify:
            with session.scalars(select(Audit).order_by(Audit.id)) as entries:
                for entry in entries:
                    detail = json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
                    time = f"{entry.at:%Y-%m-%d %H:%M:%S}"
                    click.echo(f"{time}  {entry.actor}  {entry.action}  {detail}".rstrip())
        try:
            count = verify(session)
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        last = session.scalars(select(Audit.digest).order_by(Audit.id.desc()).limit(1)).first()
    click.echo(f"{count} entries, none changed; the last digest is {last or FIRST}")
