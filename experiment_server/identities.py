"""Prolific ids: the payment list, kept apart from all data, and forgetting them."""

from __future__ import annotations

import csv
import os
from contextlib import closing
from pathlib import Path

import click
from flask.cli import with_appcontext
from sqlalchemy import delete, func, select, text

from experiment_server.audit import record
from experiment_server.experiment import Experiment, experiment
from experiment_server.export import cell
from experiment_server.models import Bonus, Identity, Participant
from experiment_server.prolific import paid_as

COLUMNS = ("prolific_pid", "submission_id", "outcome", "bonus_minor")


def payments(experiment: Experiment, path: Path) -> int:
    """Writes who is to be paid for what; how many people. bonus_minor: pence or cents.

    Sorted by submission, so that not even the order tells which row of the data is whose.
    """
    query = (
        select(Identity, Participant, Bonus.amount_minor)
        .join(Participant, Participant.id == Identity.participant_id)
        .outerjoin(Bonus, Bonus.participant_id == Identity.participant_id)
        .order_by(Identity.submission_id)
    )
    with experiment.database.read() as session:
        rows = [
            (who.prolific_pid, who.submission_id, paid_as(person), bonus)
            for who, person, bonus in session.execute(query)
        ]
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([*map(cell, row[:3]), row[3] or 0] for row in rows)
    draft.replace(path)
    return len(rows)


def forget(experiment: Experiment, actor: str) -> int:
    """Empties the table of Prolific ids; how many there were. Earlier backups still hold them."""
    database = experiment.database
    with database.write() as session:
        if database.is_sqlite:  # or the ids would stay readable in unused pages of the file
            session.execute(text("PRAGMA secure_delete = ON"))
        count = session.execute(select(func.count()).select_from(Identity)).scalar_one()
        session.execute(delete(Identity))
        record(session, actor, "forget", {"identities": count}, experiment.now())
    if database.is_sqlite:
        with closing(database.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return count


@click.command("payments")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
@with_appcontext
def payments_command(out: Path) -> None:
    """Writes the payment list: Prolific ids, outcomes, bonuses. Keep it apart from the data."""
    running = experiment()
    try:
        count = payments(running, out)
    except OSError as error:
        raise click.ClickException(f"{out}: cannot be written ({error.strerror})") from error
    with running.database.write() as session:
        record(session, "command line", "payments", {"people": count}, running.now())
    click.echo(f"{out}: {count} people")


@click.command("forget")
@click.confirmation_option(
    prompt="Nobody can be paid or found again by Prolific id afterwards. Empty the table?"
)
@with_appcontext
def forget_command() -> None:
    """Empties the table of Prolific ids. The data stay, under pseudonyms."""
    count = forget(experiment(), "command line")
    click.echo(f"{count} Prolific ids forgotten; earlier backups and payment lists still hold them")
