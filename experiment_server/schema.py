"""The tables' version: which migrations a database has been through, and who can work with it.

Each migration names the oldest program that can go on with the tables as it leaves them, and the
database keeps that name (`compatibility`): so a program knows what to do with a database that is
newer than itself, and a server need not stand still while it is updated.
"""

from __future__ import annotations

import json
from pathlib import Path

import alembic.command
import alembic.config
import alembic.script
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

MIGRATIONS = Path(__file__).parent / "migrations"
MOVED = "moved_"  # what the tables' names begin with, once the study is in another database

Columns = set[tuple[str, str]]  # table, column


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Runs the migrations up to a revision, in the connection's transaction."""
    config = _alembic()
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, revision)


def known() -> list[str]:
    """The revisions of this program, the newest first."""
    return [script.revision for script in scripts()]


def scripts() -> list[alembic.script.Script]:
    """The migrations of this program, the newest first."""
    return list(alembic.script.ScriptDirectory.from_config(_alembic()).walk_revisions())


def version(connection: Connection) -> str | None:
    """The revision that a database says it is of."""
    return MigrationContext.configure(connection).get_current_revision()


def tables() -> set[str]:
    """All tables that this program makes, Alembic's own too."""
    return {table for table, _ in _expected(known()[0])} | {"alembic_version"}


def is_new(connection: Connection) -> bool:
    """Whether there is no table yet."""
    return not _columns(connection)


def objection(connection: Connection) -> str | None:
    """Why this program cannot work with a database, as the rest of a sentence about it, or None."""
    fault = damage(connection) or strangeness(connection)
    there, revisions = version(connection), known()
    if fault or there not in revisions[1:]:
        return fault
    return (
        f"is of an older version ({there}): back it up and run"
        " flask --app experiment_server migrate"
    )


def strangeness(connection: Connection) -> str | None:
    """That a newer program made tables with which this one cannot go on, or None."""
    there, revisions = version(connection), known()
    if there is None or there in revisions or _oldest_program(connection) in revisions:
        return None
    return (
        f"is of version {there}, which this program does not know:"
        " it was made by a newer program, or is no database of it"
    )


def outdated(connection: Connection, before: str | None) -> bool:
    """Whether programs of the version before cannot go on with a database as it is now."""
    revisions = known()
    if before not in revisions:
        return False
    return _oldest_program(connection) not in revisions[revisions.index(before) :]


def damage(connection: Connection) -> str | None:
    """What of the tables is not as their version says, as the rest of a sentence, or None."""
    there, revisions, found = version(connection), known(), _columns(connection)
    tables = {table for table, _ in found}
    if MOVED + "study_state" in tables:
        return (
            f"is closed: its study was moved to {_new_place(connection)}, which is what"
            " DATABASE_URL must be"
        )
    if there is None:
        return (
            f"has tables ({', '.join(sorted(tables)[:3])}), but says of no version of this"
            " program: it is another's, or was only half made; give the study an empty one"
        )
    expected = _expected(there if there in revisions else revisions[0])
    missing = expected - found
    early = _expected(revisions[0]) - expected & found if there in revisions else set()
    if not missing and not early:
        return None
    faults = [f"lacks {name}" for name in _names(missing, found)]
    faults += [f"already has {name}" for name in _names(early, expected)]
    return (
        f"says it is of version {there}, but {', '.join(faults)}: something else changed it;"
        " nothing was done to it, restore a backup"
    )


def _names(columns: Columns, others: Columns) -> list[str]:
    """Columns in words: a table whose columns are all meant by its name alone."""
    tables = {table for table, _ in others}
    return sorted({f"{table}.{column}" if table in tables else table for table, column in columns})


def _columns(connection: Connection) -> Columns:
    found = inspect(connection).get_multi_columns().items()
    columns = {(table, column["name"]) for (_, table), all_of_it in found for column in all_of_it}
    return {(table, column) for table, column in columns if table != "alembic_version"}


def _expected(revision: str) -> Columns:
    """The columns of a revision: a database in memory is brought there."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade(connection, revision)
            return _columns(connection)
    finally:
        engine.dispose()


def _oldest_program(connection: Connection) -> str | None:
    if not inspect(connection).has_table("compatibility"):
        return None
    found: str = connection.execute(text("SELECT oldest_program FROM compatibility")).scalar_one()
    return found


def _new_place(connection: Connection) -> str:
    query = f"SELECT detail FROM {MOVED}audit WHERE action = 'move' ORDER BY id DESC LIMIT 1"
    place: str = json.loads(connection.execute(text(query)).scalar_one())["to"]
    return place


def _alembic() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
