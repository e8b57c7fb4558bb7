"""Counts of requests, for the rate limits: those of all workers together where there are several.

On SQLite one process serves, and counts in memory. On PostgreSQL the counts stand in a table, one
round trip a request. While the database is away each process counts for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from flask import Flask, request
from limits.storage import MemoryStorage, Storage
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from experiment_server.database import Database
from experiment_server.experiment import experiment
from experiment_server.security import keyed

SCHEME = "study"
SWEEP_S = 60.0
PATIENCE_S = 2.0  # for a count; the request itself has to wait too, if the database is frozen
# A statement is a transaction here. No commit waits for the disk: the table is in no log.
_COUNT = text("""
    INSERT INTO request_counts AS found (key, count, expires_at)
    VALUES (:key, :amount, now() + make_interval(secs => :lasts_s))
    ON CONFLICT (key) DO UPDATE SET
        count = excluded.count + CASE WHEN found.expires_at > now() THEN found.count ELSE 0 END,
        expires_at = CASE WHEN found.expires_at > now() THEN found.expires_at
                     ELSE excluded.expires_at END
    RETURNING count
""")
_SWEEP = text("""
    DELETE FROM request_counts WHERE key IN
        (SELECT key FROM request_counts WHERE expires_at <= now() FOR UPDATE SKIP LOCKED)
""")
_LOOK = text("SELECT count FROM request_counts WHERE key = :key AND expires_at > now()")
_END = text("SELECT extract(epoch FROM expires_at) FROM request_counts WHERE key = :key")
_FORGET = text("DELETE FROM request_counts WHERE key = :key")


def share_counts(app: Flask, database: Database) -> None:
    """Chooses where the limits of an application are counted; before they are set up."""
    app.config["RATELIMIT_STORAGE_URI"] = "memory://" if database.is_sqlite else f"{SCHEME}://"
    app.config["RATELIMIT_IN_MEMORY_FALLBACK_ENABLED"] = True


class SharedCounts(Storage):
    """Counts in the database of the application that answers; those of the task in memory.

    Nobody guesses at a response or an image, so there a limit only keeps a runaway page in check:
    it may let as many through in each process, and saves each response the round trip.
    """

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False) -> None:
        super().__init__(uri, wrap_exceptions)
        self._here = MemoryStorage()
        self._next_sweep_s = 0.0

    @property
    def base_exceptions(self) -> type[Exception]:
        return SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Counts, and gives the count since the window began; it ends `expiry` s after that."""
        if request.blueprint == "task":
            return self._here.incr(key, expiry, amount)
        values = {"key": _name(key), "amount": amount, "lasts_s": expiry}
        with _connect() as connection:
            if monotonic() >= self._next_sweep_s:
                self._next_sweep_s = monotonic() + SWEEP_S
                connection.execute(_SWEEP)
            count: int = connection.execute(_COUNT, values).scalar_one()
        return count

    def get(self, key: str) -> int:
        """The count of a window that is not over."""
        with _connect() as connection:
            return connection.execute(_LOOK, {"key": _name(key)}).scalar_one_or_none() or 0

    def get_expiry(self, key: str) -> float:
        """When a window ends, in s since 1970; 0 if there is none."""
        with _connect() as connection:
            return float(connection.execute(_END, {"key": _name(key)}).scalar_one_or_none() or 0)

    def check(self) -> bool:
        """Whether the database is back."""
        try:
            with _connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            return False
        return True

    def clear(self, key: str) -> None:
        """Forgets one count."""
        with _connect() as connection:
            connection.execute(_FORGET, {"key": _name(key)})

    def reset(self) -> int | None:
        """Forgets all counts."""
        with _connect() as connection:
            return connection.exec_driver_sql("DELETE FROM request_counts").rowcount


@contextmanager
def _connect() -> Iterator[Connection]:
    with experiment().database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        driver: Any = connection.connection.driver_connection
        usual_s, driver.patience_s = driver.patience_s, PATIENCE_S
        try:
            yield connection
        finally:
            driver.patience_s = usual_s


def _name(key: str) -> str:
    """A key holds an address or a token: neither is to stand in the database."""
    return keyed(experiment().config, "limit", key)
