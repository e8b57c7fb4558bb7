"""Moves a study from SQLite to PostgreSQL, also while people take part in it.

Nothing can be added to the old database meanwhile, nor afterwards: its tables get other names. A
server that still runs on it answers 503, browsers keep their answers, and send them to the server
on the new one, where everybody goes on at the very trial.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import Integer, String, Table, delete, insert, select
from sqlalchemy.orm import Session

from experiment_server import schema
from experiment_server.audit import record, verify
from experiment_server.database import Database, DatabaseError
from experiment_server.experiment import Experiment, experiment
from experiment_server.models import Row

BATCH = 1000  # rows held in memory at once


def move(running: Experiment, url: str) -> dict[str, int]:
    """Copies everything to an empty PostgreSQL database; table -> rows, each compared afterwards.

    All or nothing: until the copy is found to be exact it does not exist, and the study goes on
    where it was. Raises DatabaseError.
    """
    old = running.database
    if not old.is_sqlite or url.startswith("sqlite"):
        raise DatabaseError("a study moves from SQLite to postgresql://USER:PASSWORD@HOST/NAME")
    new = Database(url, patience_s=None)  # what it did not answer it might have done
    try:
        with (
            old.explained(f"moved to {new.place}, or not be closed once it was there"),
            old.write() as source,
            new.explained("filled"),
            new.write() as target,  # committed first: what is not there is still in the old one
        ):
            _make_tables(old, source, new, target)
            rows = {table.name: _copy(table, source, target) for table in _tables()}
            for table in _tables():
                _compare(table, source, target)
            _compare_logs(source, target)
            record(target, "command line", "move", {"from": old.place}, running.now())
            record(source, "command line", "move", {"to": new.place}, running.now())
            _close(source)
    finally:
        old.engine.dispose()
        new.engine.dispose()
    return rows


def _tables() -> list[Table]:
    return Row.metadata.sorted_tables


def _make_tables(old: Database, source: Session, new: Database, target: Session) -> None:
    there, ours = schema.version(source.connection()), schema.known()[0]
    if there != ours:
        raise DatabaseError(f"{old.place} is of version {there}, and this program of {ours}")
    new.wait_for_others(target.connection())
    if not schema.is_new(target.connection()):
        raise DatabaseError(f"{new.place} is not empty: give the study a database of its own")
    schema.upgrade(target.connection())


def _copy(table: Table, source: Session, target: Session) -> int:
    target.execute(delete(table))  # what the migrations put there
    count = 0
    with _read(table, source) as rows:
        for batch in rows.mappings().partitions(BATCH):
            target.execute(insert(table), [dict(row) for row in batch])
            count += len(batch)
    for column in table.primary_key:
        if isinstance(column.type, Integer):
            target.connection().exec_driver_sql(
                "SELECT setval(pg_get_serial_sequence(%s, %s), max(id))"
                f" FROM (SELECT {column.name} AS id FROM {table.name}) AS there"
                " HAVING max(id) IS NOT NULL",
                (table.name, column.name),
            )
    return count


def _read(table: Table, session: Session) -> Any:
    """All rows, in an order that is the same everywhere, whatever the database's language."""
    is_sqlite = session.connection().dialect.name == "sqlite"
    order = [
        column.collate("BINARY" if is_sqlite else "C")
        if isinstance(column.type, String)
        else column
        for column in table.primary_key
    ]
    return session.execute(select(table).order_by(*order), execution_options={"yield_per": BATCH})


def _compare(table: Table, source: Session, target: Session) -> None:
    """Raises DatabaseError unless every value of every row came out as it went in."""
    with _read(table, source) as before, _read(table, target) as after:
        for number, (was, came) in enumerate(zip_longest(before, after), 1):
            problem = _difference(table, was, came)
            if problem:
                where = f"row {number} of {table.name} {problem}"
                raise DatabaseError(f"the copy is not exact, and was thrown away: {where}")


def _difference(table: Table, was: Any, came: Any) -> str | None:
    if was is None or came is None:
        return "is missing" if came is None else "was not there before"
    # As Python writes them: there 1, 1.0 and True are not the same, nor 0.0 and -0.0.
    values = zip(table.columns.keys(), map(repr, was), map(repr, came), strict=True)
    changed = [name for name, one, other in values if one != other]
    return f"came out otherwise in {', '.join(changed)}" if changed else None


def _compare_logs(source: Session, target: Session) -> None:
    try:
        if verify(source) != verify(target):
            raise ValueError("the audit log is not as long as it was")
    except ValueError as error:
        raise DatabaseError(f"{error}: nothing was moved") from error


def _close(source: Session) -> None:
    for table in _tables():
        name = f"{schema.MOVED}{table.name}"
        source.connection().exec_driver_sql(f"ALTER TABLE {table.name} RENAME TO {name}")


@click.command("move")
@click.option(
    "--to",
    "url",
    envvar="NEW_DATABASE_URL",
    required=True,
    help="postgresql://USER:PASSWORD@HOST/NAME [NEW_DATABASE_URL, which `ps` does not show]",
)
@with_appcontext
def move_command(url: str) -> None:
    """Moves the study to an empty PostgreSQL database, and closes the SQLite one."""
    running = experiment()
    try:
        rows = move(running, url)
        place = Database(url).place
    except DatabaseError as error:
        raise click.ClickException(str(error)) from error
    for table, count in rows.items():
        click.echo(f"{count:9d}  {table}")
    click.echo(
        f"{sum(rows.values()):9d}  rows, each the same in {place}. Set DATABASE_URL to it, keep"
        f" SECRET_KEY, and start the server: {running.database.place} is closed."
    )
