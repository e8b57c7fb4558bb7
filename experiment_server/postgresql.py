"""Connections to PostgreSQL that keep no request waiting while it is away, silent or frozen."""

from __future__ import annotations

from collections.abc import Generator
from threading import Lock
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import URL, Engine, create_engine, event

CONNECT_S = 3  # the longest that a request waits for a new connection; twice, if it is counted
LOCK_S = 5  # ... for another transaction
SILENT_S = 5  # after so long without a sign a connection is given up
IDLE_S = 60  # after so long a transaction whose program went away is ended, and its locks with it
# A network that swallows packets is noticed as soon as one that refuses them.
_WATCHFUL = {
    "connect_timeout": CONNECT_S,
    "tcp_user_timeout": SILENT_S * 1000,
    "keepalives_idle": SILENT_S,
    "keepalives_interval": 1,
    "keepalives_count": 3,
}


def open_engine(url: URL, patience_s: float | None) -> Engine:
    """An engine for `database.Database`. patience_s: for each statement; None waits for ever."""
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
        connection.execute(f"SET lock_timeout = '{LOCK_S}s'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
        connection.commit()

    return engine


class _Connection(psycopg.Connection[Any]):
    """One that is given up when a statement is not answered in time."""

    patience_s: float | None = None

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
