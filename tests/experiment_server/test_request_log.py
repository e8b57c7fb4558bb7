"""The log: enough to find a fault by, and nothing of those who took part."""

from __future__ import annotations

import json
import logging
import re

import pytest
from researchers import HASH, PASSWORD, Researcher
from sqlalchemy import event, select
from stories import RIGHT, Person

from experiment_server.config import ConfigError, read_config
from experiment_server.models import Identity, Participant
from experiment_server.request_log import JsonLines

ADDRESS = "203.0.113.77"
USER_AGENT = "Netscape/4.8 (of a very particular person)"
COMMENT = "I live at Grimmauld Place"
UUID = "123e4567-e89b-42d3-a456-426614174000"


@pytest.fixture
def app(make_app):
    return make_app({"practice": {"correct_needed": 0}}, admin_password_hash=HASH, json_log=True)


@pytest.fixture
def lines(capsys):
    """`lines()`: what was logged since it was last asked for."""

    def read() -> list[dict]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return read


def arrive(app, clock) -> Person:
    person = Person(app.test_client(), clock)
    person.client.environ_base.update(REMOTE_ADDR=ADDRESS, HTTP_USER_AGENT=USER_AGENT)
    person.arrive()
    return person


def take_part(person: Person) -> None:
    """A whole study, with what goes wrong on the way."""
    person.pass_quiz(RIGHT)
    person.get("/study/device")
    person.get(f"/task/{person.pid}")
    person.client.post("/task/responses", json={}, headers={"X-CSRFToken": "forged"})
    person.send("/task/responses", {"trial_index": person.pid, person.pid: 1})
    person.send("/task/preload", {"report": [person.pid]})
    while (state := person.state())["stage"] in {"practice", "main"}:
        person.client.get(f"/images/{state['trials'][0]['queries'][0]}?{person.pid}")
        for trial in state["trials"]:
            person.answer(trial, timing={"note": COMMENT})
    person.post("/study/questions", age_years="47", gender="woman", comments=COMMENT)
    person.post("/study/debrief")


def secrets(person: Person) -> list[str]:
    """Everything that tells who somebody is, or lets somebody else be them."""
    with person.client.session_transaction() as cookie:
        token = cookie["token"]
    sent = person.client.get_cookie("study").value
    return [*person.parameters.values(), token, sent, person.csrf, ADDRESS, USER_AGENT, COMMENT]


def test_whole_participants_leave_no_word_of_themselves(app, running, clock, capsys):
    people = [arrive(app, clock) for _ in range(3)]
    for person in people:
        take_part(person)
    people[0].get("/study/withdraw")
    people[0].post("/study/withdraw", delete="yes")
    told = [secret for person in people for secret in secrets(person)]
    with running.database.read() as session:
        told += session.scalars(select(Participant.pseudonym))
    text = capsys.readouterr().err
    assert text.count('"message": "request"') > 60
    assert [secret for secret in told if secret in text] == []


def test_a_refused_row_is_not_printed(app, running, clock, capsys):
    """PostgreSQL tells the whole row, SQLAlchemy all parameters."""
    person = arrive(app, clock)

    def spoil(mapper, connection, identity) -> None:
        identity.submission_id = None

    event.listen(Identity, "before_insert", spoil)
    try:
        answer = person.client.post("/consent", data={"csrf_token": person.csrf, "choice": "agree"})
    finally:
        event.remove(Identity, "before_insert", spoil)
    assert answer.status_code == 500
    text = capsys.readouterr().err
    [line] = [json.loads(one) for one in text.splitlines() if '"error"' in one]
    assert line["message"] == "POST /consent failed"
    assert line["error"][0].startswith("IntegrityError: ")
    assert any("entry.py" in place and "consent" in place for place in line["error"])
    assert [value for value in person.parameters.values() if value in text] == []


def test_a_researcher_leaves_no_password_and_no_address(app, capsys):
    visitor = Researcher(app)
    visitor.client.environ_base.update(REMOTE_ADDR=ADDRESS)
    visitor.log_in("guess of mine")
    visitor.log_in()
    visitor.get("/admin/")
    text = capsys.readouterr().err
    assert '"route": "/admin/login"' in text
    assert not any(word in text for word in ("guess of mine", PASSWORD, ADDRESS))


def test_a_request_has_one_line_with_what_is_needed(app, clock, lines):
    person = arrive(app, clock)
    answer = person.client.get("/images/nothing.png")
    assert answer.status_code == 401
    line = lines()[-1]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert (line["method"], line["route"], line["status"]) == ("GET", "/images/<name>", 401)
    assert (line["level"], line["message"]) == ("info", "request")
    assert 0 <= line["duration_ms"] < 10_000
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert isinstance(line["pid"], int)


def test_a_problem_has_the_id_of_its_request(app, clock, lines):
    person = arrive(app, clock)
    lines()
    answer = person.client.post("/consent", data={"csrf_token": "forged"})
    problem, request = lines()
    assert (problem["level"], problem["route"]) == ("warning", "/consent")
    assert problem["request_id"] == request["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("given", [UUID, "5f" * 12, f"{UUID}\t", "", UUID.upper()])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_id_is_taken_from_a_proxy_if_it_is_a_uuid(make_app, given):
    for proxies in (0, 1):
        client = make_app(proxies=proxies).test_client()
        found = client.get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found)
        assert (found == given) == (given == UUID and proxies == 1)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_on_a_laptop_requests_are_not_logged(make_app, capsys):
    make_app().test_client().get("/health")
    assert "duration_ms" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("Error handling request GET /?PROLIFIC_PID=5f1", "Error handling request GET /"),
        (f"Invalid request from ip={ADDRESS}: bad line GET /?5f1", "Invalid request"),
        ("Worker exiting (pid: 7)", "Worker exiting (pid: 7)"),
    ],
)
def test_gunicorns_words_lose_what_tells_of_somebody(words, kept):
    record = logging.LogRecord("gunicorn.error", logging.ERROR, "", 1, words, (), None)
    assert json.loads(JsonLines().format(record))["message"] == kept


def test_an_error_is_told_with_its_causes_and_without_further_lines():
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("refused\nDETAIL: Failing row contains (5f1)") from error
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "it failed", (), (None, error, None))
    told = json.loads(JsonLines().format(record))["error"]
    assert [line for line in told if not line.startswith("  ")] == [
        "ValueError: refused",
        "KeyError: 'first'",
    ]


def test_where_people_take_part_the_log_is_json(tmp_path):
    plain = {"DATA": str(tmp_path)}
    live = {**plain, "LIVE": "1", "SECRET_KEY": "x" * 32}
    assert [read_config(one).json_log for one in (plain, {**plain, "LOG": "json"}, live)] == [
        *(False, True, True),
    ]
    for wrong in ({**plain, "LOG": "xml"}, {**live, "LOG": "plain"}):
        with pytest.raises(ConfigError, match=r"LOG is '(xml|plain)': json, or without LIVE"):
            read_config(wrong)
