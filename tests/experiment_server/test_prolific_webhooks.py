"""Prolific's events: only true ones are taken, each once, and their order does not matter."""

from __future__ import annotations

import itertools
import json
import threading

import pytest
from fake_prolific import STUDY, WEBHOOK_SECRET, FakeProlific
from pydantic import SecretStr
from sqlalchemy import func, select
from stories import prolific_id

from experiment_server.assignment import places_held
from experiment_server.audit import verify
from experiment_server.experiment import KEY
from experiment_server.models import Audit, Participant, ProlificEvent


@pytest.fixture
def fake() -> FakeProlific:
    return FakeProlific()


@pytest.fixture
def app(make_app):
    return make_app(prolific_webhook_secret=SecretStr(WEBHOOK_SECRET))


@pytest.fixture
def post(app, fake, clock):
    """`post(submission, status, ...)`: an event arrives, signed as it should be."""
    numbers = itertools.count()

    def send(submission: str, status: str, event_id: str | None = None, **options):
        body = {
            "resource_id": submission,
            "event_type": "submission.status.change",
            "participant_id": prolific_id(),
            "status": status,
        }
        event_id = event_id or f"event-{next(numbers)}"
        event = fake.event(clock().timestamp(), body, event_id, **options)
        return app.test_client().post("/prolific/webhook", **event)

    return send


def outcome_of(running, participant) -> str:
    with running.database.read() as session:
        return session.get_one(Participant, participant.id).outcome


def count(running, table) -> int:
    with running.database.read() as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("RETURNED", "returned"),
        ("TIMED-OUT", "timed_out"),
        ("TIMED_OUT", "timed_out"),
        ("REJECTED", "returned"),
        ("SCREENED OUT", "returned"),
        ("ACTIVE", "in_progress"),
        ("AWAITING REVIEW", "in_progress"),
        ("APPROVED", "in_progress"),
        ("A STATUS OF TOMORROW", "in_progress"),
    ],
)
def test_who_left_on_prolific_gives_the_place_back(running, fake, post, status, outcome):
    participant = fake.take_part(running)
    answer = post(fake.submission_of(running, participant), status)
    assert answer.status_code == 200
    assert outcome_of(running, participant) == outcome
    with running.database.read() as session:
        held = places_held(session, running, "real")["maco"]
        entry = session.scalars(select(Audit).order_by(Audit.id.desc())).first()
        verify(session)
    assert held == (1 if outcome == "in_progress" else 0)
    assert (entry.actor, entry.detail["participant"]) == ("prolific", participant.pseudonym)
    assert entry.detail["effect"] == ("none" if outcome == "in_progress" else "place freed")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("RETURNED", "returned"),
        ("TIMED-OUT", "completed"),
        ("REJECTED", "completed"),
        ("SCREENED OUT", "completed"),
        ("APPROVED", "completed"),
    ],
)
def test_who_completed_stays_so_unless_returned(running, fake, post, status, outcome):
    participant = fake.take_part(running, "completed")
    post(fake.submission_of(running, participant), status)
    assert outcome_of(running, participant) == outcome


@pytest.mark.parametrize("outcome", ["failed_quiz", "withdrew", "declined_consent"])
def test_other_endings_stand(running, fake, post, outcome):
    participant = fake.take_part(running, outcome)
    post(fake.submission_of(running, participant), "RETURNED")
    assert outcome_of(running, participant) == outcome


STORIES = [
    (["ACTIVE", "RETURNED"], "returned"),
    (["ACTIVE", "TIMED-OUT"], "timed_out"),
    (["ACTIVE", "AWAITING REVIEW", "RETURNED"], "returned"),
    (["ACTIVE", "AWAITING REVIEW", "REJECTED"], "returned"),
]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("statuses", "outcome"), STORIES)
def test_events_in_any_order_end_the_same(running, fake, post, statuses, outcome):
    for order in itertools.permutations(statuses):
        participant = fake.take_part(running)
        for status in order:
            post(fake.submission_of(running, participant), status)
        assert outcome_of(running, participant) == outcome, order


def test_a_time_out_that_comes_late_sends_nobody_away(running, fake, post):
    participant = fake.take_part(running)
    submission = fake.submission_of(running, participant)
    post(submission, "AWAITING REVIEW")
    post(submission, "TIMED-OUT")
    assert outcome_of(running, participant) == "in_progress"


def test_a_freed_place_is_not_taken_back(running, fake, post):
    participant = fake.take_part(running)
    submission = fake.submission_of(running, participant)
    for status in ("RETURNED", "AWAITING REVIEW", "ACTIVE"):
        post(submission, status)
    assert outcome_of(running, participant) == "returned"


def test_an_event_is_taken_once(running, fake, post):
    participant = fake.take_part(running)
    submission = fake.submission_of(running, participant)
    first = post(submission, "ACTIVE", event_id="the same")
    again = post(submission, "RETURNED", event_id="the same")
    assert (first.get_json(), again.get_json()) == ({"taken": True}, {"taken": False})
    assert again.status_code == 200
    assert outcome_of(running, participant) == "in_progress"
    assert (count(running, ProlificEvent), count(running, Audit)) == (1, 1)


def test_an_event_that_comes_many_times_at_once_is_taken_once(running, fake, post):
    participant = fake.take_part(running)
    submission = fake.submission_of(running, participant)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(post(submission, "RETURNED", "the same")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.get_json()["taken"] for answer in answers) == [False] * 7 + [True]
    assert count(running, ProlificEvent) == 1


def test_the_participant_loses_the_study_at_once(running, fake, person, post):
    someone = person()
    someone.arrive()
    someone.agree()
    post(someone.parameters["SESSION_ID"], "RETURNED")
    page = someone.get("/study")
    assert page.status_code == 200
    with running.database.read() as session:
        assert session.scalars(select(Participant.outcome)).one() == "returned"


def test_the_place_is_found_without_the_raw_ids(make_app, fake, clock):
    settings = {"prolific": {"study_ids": [STUDY]}}
    app = make_app(settings, prolific_webhook_secret=SecretStr(WEBHOOK_SECRET))
    running = app.extensions[KEY]
    participant = fake.take_part(running)
    submission = fake.submission_of(running, participant)
    with running.database.write() as session:
        session.execute(Participant.metadata.tables["identities"].delete())
    body = {
        "resource_id": submission,
        "event_type": "submission.status.change",
        "status": "RETURNED",
    }
    app.test_client().post("/prolific/webhook", **fake.event(clock().timestamp(), body, "e"))
    assert outcome_of(running, participant) == "returned"


def test_strangers_and_other_events_are_entered_and_do_nothing(app, running, fake, post, clock):
    participant = fake.take_part(running)
    assert post(prolific_id(), "RETURNED").status_code == 200
    body = {"resource_id": STUDY, "event_type": "study.status.change", "status": "PAUSED"}
    event = fake.event(clock().timestamp(), body, "of the study")
    assert app.test_client().post("/prolific/webhook", **event).status_code == 200
    assert outcome_of(running, participant) == "in_progress"
    assert (count(running, ProlificEvent), count(running, Audit)) == (2, 2)


def test_no_raw_id_is_kept(running, fake, post):
    participant = fake.take_part(running)
    submission = fake.submission_of(running, participant)
    post(submission, "RETURNED")
    with running.database.read() as session:
        event = session.scalars(select(ProlificEvent)).one()
        entry = session.scalars(select(Audit)).one()
    assert submission not in f"{event.submission_key} {event.event_id} {json.dumps(entry.detail)}"


def altered(name, value):
    def change(event):
        event["headers"][name] = value
        return event

    return change


def with_body(event):
    event["data"] = event["data"].replace(b"RETURNED", b"APPROVED")
    return event


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        altered("X-Prolific-Request-Signature", ""),
        altered("X-Prolific-Request-Signature", "AAAA"),
        altered("X-Prolific-Request-Signature", "\xff"),
        altered("X-Prolific-Request-Timestamp", ""),
        altered("X-Prolific-Request-Timestamp", "nan"),
        altered("X-Prolific-Request-Timestamp", "1e400"),
        with_body,
    ],
)
def test_what_prolific_did_not_sign_is_refused(app, running, fake, clock, change):
    participant = fake.take_part(running)
    body = {
        "resource_id": fake.submission_of(running, participant),
        "event_type": "submission.status.change",
        "status": "RETURNED",
    }
    event = change(fake.event(clock().timestamp(), body, "e"))
    assert app.test_client().post("/prolific/webhook", **event).status_code == 401
    assert outcome_of(running, participant) == "in_progress"
    assert (count(running, ProlificEvent), count(running, Audit)) == (0, 0)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_another_secret_is_refused(running, fake, post):
    participant = fake.take_part(running)
    submission = fake.submission_of(running, participant)
    assert post(submission, "RETURNED", secret="a guess").status_code == 401


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("age_s", "status"), [(299, 200), (301, 401), (-299, 200), (-301, 401)])
def test_a_replayed_request_is_refused(app, fake, clock, age_s, status):
    event = fake.event(clock().timestamp() - age_s, {"event_type": "x"}, "e")
    assert app.test_client().post("/prolific/webhook", **event).status_code == status


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"event_type": 1}',
        b'{"event_type": "submission.status.change"}',
        b'{"event_type": "submission.status.change", "resource_id": 1, "status": "RETURNED"}',
        b'{"event_type": "submission.status.change", "resource_id": "\\u0000", "status": "A"}',
        b'{"event_type": "\\ud800"}',
    ],
)
def test_nonsense_is_a_bad_request(app, running, fake, clock, body):
    event = fake.event(clock().timestamp(), body, "e")
    answer = app.test_client().post("/prolific/webhook", **event)
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "invalid"
    assert count(running, ProlificEvent) == 0


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_without_a_secret_there_is_no_such_address(make_app, fake, clock):
    event = fake.event(clock().timestamp(), {"event_type": "x"}, "e", secret="")
    assert make_app().test_client().post("/prolific/webhook", **event).status_code == 404
