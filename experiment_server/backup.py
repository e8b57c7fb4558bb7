"""Backups of the database while it is in use, and their way back.

A backup is one file with its SHA-256 beside it. It holds everything, Prolific ids too: only the
account that runs the server may read it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import click
from flask.cli import with_appcontext
from sqlalchemy import URL, create_engine, inspect
from sqlalchemy.orm import Session

from experiment_server import dumps, schema
from experiment_server.audit import record, verify, verify_chain
from experiment_server.database import Database, DatabaseError
from experiment_server.experiment import Experiment, experiment
from experiment_server.models import Backup
from experiment_server.ownership import foreign_key

FOLDER = "backups"  # in the folder of the configuration's `data`
SQLITE, POSTGRESQL = ".sqlite", ".pgdump"


def backup(experiment: Experiment, folder: Path, actor: str = "command line") -> Path:
    """Writes a backup of this moment into a folder; its path. Nobody has to wait meanwhile.

    Of a database of an older version too: an update begins with it.
    Raises DatabaseError if it cannot be made, or would be no good.
    """
    database, now = experiment.database, experiment.now()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ending = SQLITE if database.is_sqlite else POSTGRESQL
    path = folder / f"study-{now:%Y%m%dT%H%M%S.%f}Z{ending}"
    if path.exists():
        raise DatabaseError(f"{path} exists: a backup of this very moment was made before")
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        (_copy_sqlite if database.is_sqlite else dumps.dump)(database.url, draft)
        digest = _seal(draft, path)
    except sqlite3.Error as error:
        raise DatabaseError(f"the database {database.place} cannot be copied: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    with database.write() as session:
        session.add(Backup(at=now, path=str(path), digest=digest))
        record(session, actor, "backup", {"file": path.name, "sha256": digest}, now)
    return path


def restore(
    path: Path,
    database_url: str,
    now: datetime,
    *,
    overwrite: bool = False,
    any_log: bool = False,
) -> int:
    """Fills a database from a backup; how many audit entries are in it. Stop the server first.

    overwrite: also where there is one already; a SQLite file is kept, under another name.
    any_log: also if an entry of the audit log was changed.
    Raises DatabaseError if the backup was changed, is of a schema that this program does not know,
    or is of the other kind of database: then nothing was done.
    """
    database = Database(database_url)
    expected = SQLITE if database.is_sqlite else POSTGRESQL
    if path.suffix != expected:
        raise DatabaseError(f"{path}: a backup for {database.place} ends in {expected}")
    _verify_digest(path)
    _verify_schema(path, _schema_sqlite(path) if database.is_sqlite else dumps.version(path))
    entries = 0 if any_log else _verify_log(path, database.is_sqlite)
    try:
        (_restore_sqlite if database.is_sqlite else _restore_postgresql)(path, database, overwrite)
        database.migrate()
        with database.write() as session:
            record(session, "command line", "restore", {"file": path.name}, now)
    except sqlite3.Error as error:
        raise DatabaseError(f"{database.place} cannot be written: {error}") from error
    finally:
        database.engine.dispose()
    return entries


def _check_tables(database: Database) -> None:
    with database.explained("backed up"), database.engine.connect() as connection:
        if schema.is_new(connection):
            fault: str | None = "is empty: there is nothing to back up"
        else:
            fault = schema.damage(connection) or schema.strangeness(connection)
    if fault:
        raise DatabaseError(f"the database {database.place} {fault}")


def _seal(draft: Path, path: Path) -> str:
    """Gives a finished backup its name, and writes its digest beside it."""
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    seal = _seal_of(path)
    seal.touch(mode=0o600)
    seal.write_text(f"{digest}  {path.name}\n", encoding="utf-8")  # as `sha256sum --check` reads
    draft.rename(path)
    return digest


def _seal_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _verify_digest(path: Path) -> None:
    try:
        expected = _seal_of(path).read_text(encoding="utf-8").split()[0]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, IndexError) as error:
        raise DatabaseError(f"{path}: the backup and its .sha256 must both be there") from error
    if found != expected:
        raise DatabaseError(f"{path}: SHA-256 is {found}, and was {expected} when it was made")


def _verify_schema(path: Path, version: str | None) -> None:
    known = schema.known()
    if version not in known:
        raise DatabaseError(
            f"{path}: the backup is of schema version {version}, which this program does not know"
            f" (it knows {', '.join(known)}): restore it with the program that made it"
        )


def _verify_log(path: Path, is_sqlite: bool) -> int:
    try:
        return _log_sqlite(path) if is_sqlite else verify_chain(dumps.log(path))
    except ValueError as error:
        raise DatabaseError(
            f"{path}: {error}; nothing was restored, give --any-log to do it all the same"
        ) from error


def _copy_sqlite(url: URL, draft: Path) -> None:
    with (
        closing(sqlite3.connect(f"file:{quote(str(url.database))}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(draft)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, with no second beside it
        [answer] = target.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise DatabaseError(f"the database {url.database} is damaged: {answer}")


def _schema_sqlite(path: Path) -> str | None:
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as source:
        try:
            [version] = source.execute("SELECT version_num FROM alembic_version").fetchone()
        except (sqlite3.DatabaseError, TypeError):
            return None
    return str(version)


def _restore_sqlite(path: Path, database: Database, overwrite: bool) -> None:
    target = Path(str(database.url.database))
    target.parent.mkdir(parents=True, exist_ok=True)
    if not _is_empty(target):
        _refuse_unless(overwrite, database)
        _set_aside(target)
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    with (
        closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target)) as restored,
    ):
        source.backup(restored)


def _is_empty(target: Path) -> bool:
    if not target.exists():
        return True
    with closing(sqlite3.connect(target)) as connection:
        try:
            return connection.execute("SELECT * FROM sqlite_master").fetchone() is None
        except sqlite3.DatabaseError:
            return False


def _set_aside(target: Path) -> None:
    """Renames a database, damaged or not; DatabaseError if a server is using it."""
    with closing(sqlite3.connect(target, timeout=1)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")  # needs to be alone with the file
        except sqlite3.OperationalError as error:
            raise DatabaseError(f"{target} is in use ({error}): stop the server first") from error
        except sqlite3.DatabaseError:
            pass  # damaged beyond opening: it is kept as it is
    number = 1
    while (aside := target.with_name(f"{target.name}.replaced-{number}")).exists():
        number += 1
    for ending in ("", "-wal", "-shm"):
        found = target.with_name(target.name + ending)
        if found.exists():
            found.rename(aside.with_name(aside.name + ending))


def _log_sqlite(path: Path) -> int:
    """How many audit entries a backup has, each of which follows the one before it."""
    place = f"file:{quote(str(path))}?mode=ro"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(place, uri=True))
    try:
        with Session(engine) as session:
            return verify(session)
    finally:
        engine.dispose()


def _restore_postgresql(path: Path, database: Database, overwrite: bool) -> None:
    with database.explained("restored"), database.engine.connect() as connection:
        if inspect(connection).get_table_names():
            _refuse_unless(overwrite, database)
        others = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND usename IS NOT NULL"  # PostgreSQL's own processes have none
        ).scalar_one()
    database.engine.dispose()
    if others:
        raise DatabaseError(f"{database.place} is in use by {others} others: stop the server first")
    dumps.load(path, database.url, schema.tables())


def _refuse_unless(overwrite: bool, database: Database) -> None:
    if not overwrite:
        raise DatabaseError(
            f"the database {database.place} is not empty: give --overwrite to put the backup in"
            " its place"
        )


@click.command("backup")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="[DATA/backups]")
@with_appcontext
def backup_command(out: Path | None) -> None:
    """Backs the database up while the server runs. The file holds Prolific ids."""
    try:
        _check_tables(experiment().database)  # a server did so when it began
        path = backup(experiment(), out or experiment().config.data / FOLDER)
    except (DatabaseError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, digest beside it")


@click.command("restore")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--overwrite", is_flag=True, help="Also where there is a database already.")
@click.option("--any-log", is_flag=True, help="Also if an audit entry was changed.")
@with_appcontext
def restore_command(path: Path, overwrite: bool, any_log: bool) -> None:
    """Fills the database of DATABASE_URL from a backup. Stop the server first."""
    running = experiment()
    running.database.engine.dispose()
    try:
        entries = restore(
            path,
            running.config.database_url,
            running.now(),
            overwrite=overwrite,
            any_log=any_log,
        )
        problem = foreign_key(running)
    except (DatabaseError, OSError) as error:
        raise click.ClickException(str(error)) from error
    log = "its audit log was not looked at" if any_log else f"{entries} audit entries, none changed"
    click.echo(f"restored from {path}: {log}")
    if problem:
        raise click.ClickException(problem)
