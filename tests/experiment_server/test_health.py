"""What monitors are told."""

from __future__ import annotations

import socket
import time

import psycopg
import pytest
from sqlalchemy import text, update

from experiment_server.models import StudyState

SHORT_S = 3.0  # `about a second`, on a busy machine


def ask(app, address: str) -> tuple[int, str]:
    answer = app.test_client().get(address)
    return answer.status_code, answer.get_json()["status"]


def change(running, statement) -> None:
    with running.database.write() as session:
        session.execute(statement)


@pytest.fixture
def hole():
    """The port of a host that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_server_that_can_serve_is_live_and_ready(app):
    assert ask(app, "/health") == (200, "ok")
    assert ask(app, "/ready") == (200, "ok")


def test_not_ready_with_the_tables_of_another_version(app, running):
    change(running, text("UPDATE alembic_version SET version_num = '0001'"))
    assert ask(app, "/ready") == (503, "schema")
    change(running, text("UPDATE alembic_version SET version_num = '9999'"))
    assert ask(app, "/ready") == (200, "ok")  # newer, and this program can go on with it
    change(running, text("UPDATE compatibility SET oldest_program = '9999'"))
    assert ask(app, "/ready") == (503, "schema")


def test_not_ready_with_the_database_of_another_study(app, running):
    change(running, update(StudyState).values(digest="0" * 64))
    assert ask(app, "/ready") == (503, "study")
    change(running, text("DELETE FROM study_state"))
    assert ask(app, "/ready") == (503, "study")


def test_alive_but_not_ready_without_the_tables(app, running, backend):
    change(running, text("DROP TABLE study_state"))
    assert ask(app, "/ready") == (503, "database" if backend == "sqlite" else "schema")
    assert ask(app, "/health") == (200, "ok")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_database_that_is_silent_keeps_nobody_waiting(app, running, hole, monkeypatch):
    connect = psycopg.Connection.connect.__func__
    elsewhere = classmethod(lambda kind, **to: connect(kind, **{**to, "port": hole}))
    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "connect", elsewhere)
        running.database.engine.dispose()
        began_s = time.monotonic()
        assert ask(app, "/ready") == (503, "database")
        assert time.monotonic() - began_s < SHORT_S
        assert ask(app, "/health") == (200, "ok")


def test_nothing_of_the_study_is_told(app, running):
    for address in ("/health", "/ready"):
        assert app.test_client().get(address).get_data(as_text=True) == '{"status":"ok"}\n'
