"""The database: SQLite in WAL mode, or PostgreSQL; transactions that are on disk when they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    PendingRollbackError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session

from experiment_server import schema

STARTING = 20230606  # of PostgreSQL's advisory locks, the one for making tables
BUSY_S = 5  # the longest that a writer waits for the writers before it, on SQLite
PATIENCE_S = (
    8  # the longest that a request waits for an answer of PostgreSQL: frozen, it gives none
)
MIGRATION_LOCK_S = 2  # the longest that people wait for a migration that waits for others
# A database that is away, full or locked, of either kind: later the same may well be possible.
AWAY = (OperationalError, InterfaceError, InternalError, NoConnectionError, PendingRollbackError)


class DatabaseError(RuntimeError):
    """A database that cannot be used: says which, why, and what to do."""


class Database:
    """One engine, and the two ways to use it: `read` and `write`, each one transaction."""

    def __init__(self, url: str, *, patience_s: float | None = PATIENCE_S) -> None:
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if not self.is_sqlite:
            self.url = self.url.set(drivername="postgresql+psycopg")
        try:
            if self.is_sqlite:
                self.engine = _sqlite(self.url)
            else:
                from experiment_server.postgresql import open_engine  # psycopg loads for 0.2 s

                self.engine = open_engine(self.url, patience_s)
        except OSError as error:
            raise DatabaseError(
                f"the database {self.place} cannot be opened: {error.strerror}"
            ) from error
        self._writing = self.engine.execution_options(write=True)
        # SQLite's own waiting is unfair: a thread may starve for seconds. Here they queue.
        self._turn = Lock()

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
            self._take_turn(),
            Session(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def _take_turn(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
        elif self._turn.acquire(timeout=BUSY_S):
            try:
                yield
            finally:
                self._turn.release()
        else:
            raise NoConnectionError("other writers have held the database for too long")

    def prepare(self) -> None:
        """Makes the tables of a new database; DatabaseError if this program cannot use those."""
        with self.explained("opened"), self.engine.connect() as connection:
            is_new = schema.is_new(connection)
            objection = None if is_new else schema.objection(connection)
        if objection:
            raise DatabaseError(f"the database {self.place} {objection}")
        if is_new:
            self.migrate()

    def migrate(self, *, serving: bool = False) -> None:
        """Brings the tables to this program's version, all or nothing; people may take part.

        Those of a newer program stay as they are, if this one can go on with them. serving: it is
        refused where a server that runs still could not go on. Raises DatabaseError if the tables
        are not as their version says, or if it cannot be done now.
        """
        writing = self.engine.execution_options(write=True)
        with self.explained("migrated, and is as it was"), writing.connect() as connection:
            connection.detach()  # set for this alone, it is closed afterwards
            self._loosen(connection)
            with connection.begin():
                self.wait_for_others(connection)
                before = None if schema.is_new(connection) else schema.version(connection)
                self._upgrade(connection)
                self._check_references(connection)
                if serving and schema.outdated(connection, before):
                    raise DatabaseError(
                        f"the database {self.place} is as it was: servers of its version ({before})"
                        " could not go on; stop them, and migrate without --serving"
                    )

    def _upgrade(self, connection: Connection) -> None:
        if not schema.is_new(connection):
            fault = schema.damage(connection) or schema.strangeness(connection)
            if fault:
                raise DatabaseError(f"the database {self.place} {fault}")
        if not self.is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{MIGRATION_LOCK_S}s'")
        if schema.version(connection) in {None, *schema.known()}:
            schema.upgrade(connection)

    def _loosen(self, connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        if self.is_sqlite:
            # A table is dropped to be rebuilt: with foreign keys on, what refers to it goes too.
            driver.execute("PRAGMA foreign_keys = OFF").close()
        else:
            driver.patience_s = None  # a large table takes its time

    def _check_references(self, connection: Connection) -> None:
        if self.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise DatabaseError(
                f"the database {self.place} could not be migrated, and is as it was:"
                " a migration left rows that refer to nothing"
            )

    @contextmanager
    def explained(self, done: str) -> Iterator[None]:
        """Raises DatabaseError, in one line and without a password, for whatever goes wrong."""
        try:
            yield
        except (DBAPIError, OSError, CommandError) as error:
            cause = " ".join(str(getattr(error, "orig", error)).split())
            later = "; try again later" if "lock" in cause else ""
            raise DatabaseError(
                f"the database {self.place} cannot be {done}: {cause}{later}"
            ) from error

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
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
