"""The database: SQLite in WAL mode, or PostgreSQL; transactions that are on disk when they end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

import psycopg
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
BUSY_S = 5  # the longest that a writer waits for the writers before it
CONNECT_S = 5  # the longest that a request waits for a new connection
PATIENCE_S = 8  # the longest that it waits for an answer: a database that is frozen gives none
IDLE_S = 60  # after so long a transaction whose program went away is ended, and its locks with it
MIGRATION_LOCK_S = 2  # the longest that people wait for a migration that waits for others
# A database that is away, full or locked, of either kind: later the same may well be possible.
AWAY = (OperationalError, InterfaceError, InternalError, NoConnectionError, PendingRollbackError)
# A network that swallows packets is noticed as soon as one that refuses them.
_WATCHFUL = {
    "connect_timeout": CONNECT_S,
    "tcp_user_timeout": CONNECT_S * 1000,
    "keepalives_idle": CONNECT_S,
    "keepalives_interval": 1,
    "keepalives_count": 3,
}


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
            self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url, patience_s)
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


def _postgresql(url: Any, patience_s: float | None) -> Engine:
    # Connections are not asked for a sign of life before each use (0.04 to 0.08 ms, and a way to
    # another machine and back): after a restart of the database the first request of a process is
    # answered with 503, which browsers send again, and all its connections are renewed.
    watchful = {name: value for name, value in _WATCHFUL.items() if name not in url.query}
    engine = create_engine(
        url,
        connect_args=watchful,
        pool_size=16,
        max_overflow=16,
        pool_timeout=CONNECT_S,
        hide_parameters=True,
    )
    event.listen(engine, "do_connect", _Door(patience_s))

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.execute(f"SET lock_timeout = '{BUSY_S}s'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
        connection.commit()

    return engine


class _Connection(psycopg.Connection[Any]):
    """One that is given up when a statement is not answered in time."""

    patience_s: float | None = PATIENCE_S

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """What psycopg calls for whatever it must wait for; `gen` is resumed every 0.1 s."""
        return super().wait(self._in_time(gen), *arguments, **options)

    def _in_time(self, waiting: Any) -> Generator[Any, Any, Any]:
        end_s = None if self.patience_s is None else monotonic() + self.patience_s
        ready = None
        while True:
            try:
                wanted = waiting.send(ready)
            except StopIteration as answered:
                return answered.value
            ready = yield wanted
            if not ready and end_s is not None and monotonic() > end_s:
                self.close()
                raise psycopg.OperationalError(f"no answer within {self.patience_s} s")


class _Door:
    """Opens connections. While the database is away one at a time tries, and the others are told.

    Else each would wait CONNECT_S for a silent one, and keep those behind it waiting longer still.
    """

    def __init__(self, patience_s: float | None) -> None:
        self._patience_s = patience_s
        self._is_away = False
        self._trying = Lock()

    def __call__(self, dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        if not self._is_away:
            return self._connect(*arguments, **options)
        if not self._trying.acquire(blocking=False):
            raise psycopg.OperationalError("the database is away; another request asks for it")
        try:
            return self._connect(*arguments, **options)
        finally:
            self._trying.release()

    def _connect(self, *arguments: Any, **options: Any) -> Any:
        try:
            connection = _Connection.connect(*arguments, **options)
        except psycopg.OperationalError:
            self._is_away = True
            raise
        connection.patience_s = self._patience_s
        self._is_away = False
        return connection
