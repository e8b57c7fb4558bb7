"""The database: SQLite in WAL mode, or PostgreSQL; transactions that are on disk when they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any

import alembic.command
import alembic.config
import alembic.script
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).parent / "migrations"
STARTING = 20230606  # of PostgreSQL's advisory locks, the one for making tables
BUSY_MS = 20_000  # a writer waits for the writer before it


class DatabaseError(RuntimeError):
    """A database that cannot be used: says which, why, and what to do."""


class Database:
    """One engine, and the two ways to use it: `read` and `write`, each one transaction."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if not self.is_sqlite:
            self.url = self.url.set(drivername="postgresql+psycopg")
        try:
            self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)
        except OSError as error:
            raise DatabaseError(
                f"the database {self.place} cannot be opened: {error.strerror}"
            ) from error
        # SQLite's own waiting is unfair: a thread may starve for seconds. Here they queue.
        self._turn: AbstractContextManager[Any] = Lock() if self.is_sqlite else nullcontext()

    @property
    def place(self) -> str:
        """Where it is, without any password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that changes nothing."""
        with Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed, and on disk, when the block ends without an error.

        On SQLite it takes the one write lock at its beginning, so what it reads stays true.
        """
        with (
            self._turn,
            Session(self.engine.execution_options(write=True), expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def prepare(self) -> None:
        """Makes the tables of a new database; DatabaseError if they are of another version."""
        try:
            with self.engine.connect() as connection:
                empty = not inspect(connection).get_table_names()
                version = MigrationContext.configure(connection).get_current_revision()
        except (DBAPIError, OSError) as error:
            cause = str(getattr(error, "orig", error)).splitlines()[0]
            raise DatabaseError(f"the database {self.place} cannot be opened: {cause}") from error
        if empty:
            self.migrate()
            return
        known = [script.revision for script in _scripts().walk_revisions()]
        if version == known[0]:
            return
        if version in known:
            raise DatabaseError(
                f"the database {self.place} is of an older version ({version}): back it up and run"
                " flask --app experiment_server migrate"
            )
        raise DatabaseError(
            f"the database {self.place} is of version {version}, which this program does not know:"
            " it was made by a newer program, or is no database of it"
        )

    def migrate(self) -> None:
        """Brings the tables to this program's version."""
        with self.engine.execution_options(write=True).begin() as connection:
            self.wait_for_others(connection)
            config = _alembic()
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")

    def wait_for_others(self, connection: Connection) -> None:
        """Until the transaction ends, other processes that ask for the same wait."""
        if not self.is_sqlite:  # there, the write lock does it
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({STARTING})")


def _parse(url: str) -> URL:
    allowed = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME is expected"
    try:
        found = make_url(url)
    except (ArgumentError, ValueError) as error:  # the text may hold a password: it is not shown
        raise DatabaseError(f"DATABASE_URL is no address of a database: {allowed}") from error
    if found.drivername not in {"sqlite", "postgresql", "postgresql+psycopg"}:
        raise DatabaseError(f"DATABASE_URL {found.render_as_string(hide_password=True)}: {allowed}")
    return found


def _alembic() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _scripts() -> alembic.script.ScriptDirectory:
    return alembic.script.ScriptDirectory.from_config(_alembic())


def _sqlite(url: Any) -> Engine:
    if url.database and url.database != ":memory:":
        path = Path(url.database)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)  # it will hold Prolific ids
    engine = create_engine(
        url, connect_args={"check_same_thread": False}, pool_size=16, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql(url: Any) -> Engine:
    # Connections are not asked for a sign of life before each use: after a restart of the database
    # the first request is answered with 503, which browsers send again, and the pool is renewed.
    return create_engine(url, pool_size=16, max_overflow=16, hide_parameters=True)
