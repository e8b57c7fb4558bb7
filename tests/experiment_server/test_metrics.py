"""What Prometheus reads: the numbers, who may see them, and that they are about nobody alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from crowds import ARRIVED, add
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from stories import Person
from test_request_log import RIGHT

from experiment_server.backup import backup

TOKEN = "a token for Prometheus"
Read = Callable[..., float]


@pytest.fixture
def app(make_app):
    settings = {"recruitment": {"target_per_condition": 5}, "practice": {"correct_needed": 0}}
    return make_app(settings, metrics_token=SecretStr(TOKEN))


@pytest.fixture
def page(app) -> Callable[[], str]:
    """`page()`: what Prometheus is given."""

    def ask() -> str:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        answer = app.test_client().get("/metrics", headers=bearer)
        assert answer.status_code == 200
        return answer.get_data(as_text=True)

    return ask


@pytest.fixture
def read(page) -> Read:
    """`read("recruiting")`, `read("participants", condition="maco", ...)`: one number, or 0."""

    def look(name: str, **labels: str) -> float:
        samples = [
            one for family in text_string_to_metric_families(page()) for one in family.samples
        ]
        found = [
            one.value
            for one in samples
            if one.name == f"experiment_{name}" and labels.items() <= one.labels.items()
        ]
        return sum(found)

    return look


def test_closed_without_a_token_of_ones_own(make_app):
    closed = make_app().test_client()
    for bearer in ("", "Bearer ", "Bearer None", f"Bearer {TOKEN}"):
        assert closed.get("/metrics", headers={"Authorization": bearer}).status_code == 404


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, "Bearer é"])
def test_closed_to_who_has_not_the_token(app, given):
    headers = {"Authorization": given} if given else {}
    answer = app.test_client().get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert "experiment_" not in answer.get_data(as_text=True)


def test_requests_and_responses_are_counted(app, clock, read):
    before = {kind: read("responses_total", kind=kind) for kind in ("stored", "duplicate")}
    refused = read("requests_total", endpoint="task.respond", method="POST", status="409")
    person = Person(app.test_client(), clock)
    person.pass_quiz(RIGHT)
    first, second = person.state()["trials"]
    for trial in (first, first, second):
        assert person.answer(trial).status_code == 200
    assert person.answer({**first, "trial_index": 99}).status_code == 409
    assert read("responses_total", kind="stored") == before["stored"] + 2
    assert read("responses_total", kind="duplicate") == before["duplicate"] + 1
    now = read("requests_total", endpoint="task.respond", method="POST", status="409")
    assert now == refused + 1
    assert read("request_seconds_count", endpoint="task.respond") >= 4
    assert read("request_seconds_bucket", endpoint="task.respond", le="+Inf") >= 4


def test_inventions_of_visitors_make_no_new_series(app, page, read):
    for path in ("/5f0000000000000000000077", "/?PROLIFIC_PID=5f0000000000000000000077"):
        app.test_client().open(path, method="KIDNAP")
    assert read("requests_total", method="other") >= 2
    text = page()
    assert "KIDNAP" not in text
    assert "5f0000000000000000000077" not in text


def test_the_study_is_told_as_it_is(app, running, clock, page, read):
    add(running, 2)
    add(running, 1, first=5, outcome="withdrew", condition="olah")
    there = {"outcome": "in_progress", "stage": "main", "finished_at": None}
    add(running, 1, first=6, condition="control", **there)
    add(running, 1, first=7, kind="pilot")
    clock.time = ARRIVED + timedelta(minutes=10)
    assert read("participants", condition="maco", outcome="completed") == 2
    assert read("participants", condition="olah", outcome="withdrew") == 1
    assert read("participants") == 4
    assert read("participants_at_page", page="main") == 1
    assert (read("places_held", condition="maco"), read("places_held")) == (2, 3)
    assert (read("places"), read("recruiting"), read("database_up")) == (5, 1, 1)
    assert 0 < read("last_response_age_seconds") < 600
    assert "last_backup" not in page()
    names = [f"{number:024x}" for number in range(1, 8)] + [f"p{n:012x}" for n in range(1, 8)]
    assert not any(name in page() for name in names)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_age_of_the_last_backup_and_the_room_for_the_next(running, tmp_path, clock, read):
    backup(running, running.config.data / "backups")
    clock.advance(hours=2)
    assert read("last_backup_age_seconds") == 7200
    assert read("disk_free_bytes") > 1e6


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_without_the_database_the_rest_is_told(app, running, read, monkeypatch):
    def refuse(**to: object) -> None:
        raise psycopg.OperationalError("connection refused")

    errors = read("database_errors_total")
    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "connect", refuse)
        running.database.engine.dispose()
        assert read("database_up") == 0
        assert read("requests_total", endpoint="metrics.report", status="200") >= 1
    assert read("database_up") == 1
    assert read("database_errors_total") > errors
