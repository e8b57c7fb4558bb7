"""Limits of requests: counted by all processes together on PostgreSQL, in memory on SQLite."""

from __future__ import annotations

import time
from typing import NoReturn

import psycopg
import pytest
from researchers import HASH, Researcher
from sqlalchemy import text
from stories import Person

from experiment_server.experiment import KEY
from experiment_server.rate_limits import SWEEP_S, SharedCounts
from experiment_server.security import limiter

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
STRANGER = {"REMOTE_ADDR": "198.51.100.77"}


@pytest.fixture
def inside(limits, make_app):
    """Inside a request to a page."""
    with make_app().test_request_context("/") as context:
        yield context


def stored(running) -> list[str]:
    with running.database.read() as session:
        return list(session.scalars(text("SELECT key FROM request_counts")))


def guess(app) -> int:
    """Status of a wrong password by a new browser at one address."""
    visitor = Researcher(app)
    visitor.client.environ_base.update(STRANGER)
    status: int = visitor.log_in("guess").status_code
    return status


def refuse(**to: object) -> NoReturn:
    raise psycopg.OperationalError("connection refused")


@on_postgresql
def test_processes_count_together_and_windows_end(inside):
    one, other = SharedCounts(), SharedCounts()
    assert [one.incr("a", 60), other.incr("a", 60), one.incr("b", 60), one.incr("a", 60, 5)] == [
        *(1, 2, 1, 7),
    ]
    assert (other.get("a"), other.get("nothing")) == (7, 0)
    assert other.get_expiry("a") == pytest.approx(time.time() + 60, abs=5)
    assert one.incr("short", 0) == 1
    assert (other.incr("short", 60), one.get("short")) == (1, 1)
    one.clear("a")
    assert (other.get("a"), other.get("b")) == (0, 1)
    one.reset()
    assert other.get("b") == 0


@on_postgresql
def test_what_is_over_is_swept_away(inside, monkeypatch):
    counts, running = SharedCounts(), inside.app.extensions[KEY]
    for number in range(5):
        counts.incr(f"visitor {number}", 0)
    counts.incr("lasting", 600)
    assert len(stored(running)) == 6
    now_s = time.monotonic()
    monkeypatch.setattr("experiment_server.rate_limits.monotonic", lambda: now_s + SWEEP_S)
    counts.incr("lasting", 600)
    assert len(stored(running)) == 1


@on_postgresql
def test_no_address_and_no_token_is_stored(limits, make_app, clock):
    app = make_app()
    person = Person(app.test_client(), clock)
    person.client.environ_base.update(STRANGER)
    person.arrive()
    person.agree()
    person.post("/study/device", report="{}")
    with person.client.session_transaction() as cookie:
        token = cookie["token"]
    found = stored(app.extensions[KEY])
    assert len(found) == 3
    assert not any(word in key for key in found for word in (STRANGER["REMOTE_ADDR"], token))


@on_postgresql
def test_the_tasks_requests_are_counted_without_the_database(limits, make_app, clock):
    app = make_app()
    person = Person(app.test_client(), clock)
    person.arrive()
    before = len(stored(app.extensions[KEY]))
    statuses = [person.client.get("/task/state").status_code for _ in range(121)]
    assert statuses == [401] * 120 + [429]
    assert len(stored(app.extensions[KEY])) == before


def test_guesses_at_the_password_are_limited_by_address(limits, make_app, clock):
    app = make_app(admin_password_hash=HASH)
    answers = []
    for _ in range(6):
        answers.append(guess(app))
        clock.advance(seconds=1000)  # the database's own delay is over
    assert answers == [403] * 5 + [429]


@on_postgresql
def test_without_the_database_the_answer_is_calm_and_limits_hold(
    limits, make_app, clock, monkeypatch
):
    app = make_app(admin_password_hash=HASH)
    running = app.extensions[KEY]
    person = Person(app.test_client(), clock)
    person.arrive()
    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "connect", refuse)
        running.database.engine.dispose()
        form = {"csrf_token": person.csrf, "choice": "agree"}
        answer = person.client.post("/consent", data=form)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert [guess(app) for _ in range(6)] == [503] * 5 + [429]
    monkeypatch.setattr(limiter, "_Limiter__last_check_backend", 0.0)  # time to ask it again
    assert guess(app) == 403


@on_postgresql
def test_no_count_waits_for_the_disk(inside):
    query = text("SELECT relpersistence FROM pg_class WHERE relname = 'request_counts'")
    with inside.app.extensions[KEY].database.read() as session:
        assert session.scalars(query).one() in {"u", b"u"}  # unlogged
