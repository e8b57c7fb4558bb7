"""The commands: what a researcher types, reads, and must confirm."""

from __future__ import annotations

import functools

import httpx
import pytest
from fake_prolific import TOKEN, FakeProlific
from pydantic import SecretStr
from sqlalchemy import select

from experiment_server import prolific_commands
from experiment_server.audit import verify
from experiment_server.experiment import KEY
from experiment_server.models import Audit, Participant
from experiment_server.prolific import ProlificClient

CODES = {"completed": "DONE", "screened_out": "SCREEN"}


@pytest.fixture
def fake(monkeypatch) -> FakeProlific:
    one = FakeProlific()
    client = functools.partial(ProlificClient, transport=one.transport, sleep=lambda s: None)
    monkeypatch.setattr(prolific_commands, "ProlificClient", client)
    return one


@pytest.fixture
def app(make_app):
    settings = {"prolific": {"codes": CODES, "study_ids": ["5f0000000000000000000001"]}}
    return make_app(settings, prolific_token=SecretStr(TOKEN))


@pytest.fixture
def type_in(app):
    """`type_in("prolific sync")` -> exit code and what is printed."""

    def run(line: str) -> tuple[int, str]:
        result = app.test_cli_runner().invoke(args=line.split())
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.output

    return run


def actions(running) -> list[str]:
    with running.database.read() as session:
        verify(session)
        return list(session.scalars(select(Audit.action).order_by(Audit.id)))


def test_sync_frees_places_and_lists_what_does_not_match(running, fake, type_in):
    fine = [fake.take_part(running, "completed", "APPROVED", "DONE") for _ in range(21)]
    returned = fake.take_part(running, status="RETURNED")
    timed_out = fake.take_part(running, status="TIMED-OUT")
    still_at_it = fake.take_part(running, status="ACTIVE")
    early = fake.take_part(running, status="AWAITING REVIEW", code="NOCODE")
    forgetful = fake.take_part(running, "completed", "ACTIVE")
    other = fake.take_part(running, "failed_quiz", "AWAITING REVIEW", "DONE")
    vanished = fake.take_part(running, "completed", "AWAITING REVIEW", "DONE")
    del fake.submissions[fake.submission_of(running, vanished)]
    stranger = fake.submit()
    exit_code, output = type_in("prolific sync")
    assert exit_code == 0
    lines = output.splitlines()
    assert "21 APPROVED" in lines[0]
    assert set(lines[1:]) == {
        f"place freed: {returned.pseudonym}",
        f"place freed: {timed_out.pseudonym}",
        f"submitted without our data: submission {stranger} (AWAITING REVIEW)",
        "submitted without our data: submission"
        f" {fake.submission_of(running, early)} (AWAITING REVIEW)",
        f"completed here, but not submitted: {forgetful.pseudonym} (ACTIVE)",
        f"completed here, but not submitted: {vanished.pseudonym} (no submission)",
        f"entered another code than given: {other.pseudonym} (DONE)",
    }
    with running.database.read() as session:
        outcomes = {one.pseudonym: one.outcome for one in session.scalars(select(Participant))}
    assert outcomes[returned.pseudonym] == "returned"
    assert outcomes[timed_out.pseudonym] == "timed_out"
    assert outcomes[still_at_it.pseudonym] == "in_progress"
    assert all(outcomes[one.pseudonym] == "completed" for one in fine)
    assert actions(running) == ["prolific sync"]


def test_sync_twice_frees_once(running, fake, type_in):
    fake.take_part(running, status="RETURNED")
    assert "place freed" in type_in("prolific sync")[1]
    assert "place freed" not in type_in("prolific sync")[1]


def test_only_who_did_the_whole_study_is_approved_and_only_when_confirmed(running, fake, type_in):
    done = fake.take_part(running, "completed", "AWAITING REVIEW", "DONE")
    unfinished = fake.take_part(running, "in_progress", "AWAITING REVIEW", "DONE")
    fake.take_part(running, "withdrew", "AWAITING REVIEW", "DONE")
    fake.submit()
    assert "1 submissions would be approved" in type_in("prolific approve")[1]
    assert {row["status"] for row in fake.submissions.values()} == {"AWAITING REVIEW"}
    assert type_in("prolific approve --confirm") == (0, "1 submissions approved\n")
    statuses = {name: row["status"] for name, row in fake.submissions.items()}
    assert statuses[fake.submission_of(running, done)] == "APPROVED"
    assert statuses[fake.submission_of(running, unfinished)] == "AWAITING REVIEW"
    assert type_in("prolific approve --confirm")[1] == "0 submissions approved\n"
    assert actions(running) == ["submissions approved"]


def test_codes_that_only_the_researcher_enters(running, fake, type_in):
    done = fake.take_part(running, "completed")
    failed = fake.take_part(running, "failed_quiz")
    at_it = fake.take_part(running)
    fake.take_part(running, "completed", "APPROVED", "DONE")
    assert "2 submissions would be completed" in type_in("prolific complete")[1]
    assert "2 submissions completed" in type_in("prolific complete --confirm")[1]
    rows = [fake.submissions[fake.submission_of(running, one)] for one in (done, failed, at_it)]
    assert [row["study_code"] for row in rows] == ["DONE", "SCREEN", None]
    assert [row["status"] for row in rows] == ["AWAITING REVIEW", "AWAITING REVIEW", "ACTIVE"]
    with running.database.read() as session:
        [entry] = session.scalars(select(Audit))
    assert entry.action == "submissions completed"
    assert entry.detail == {"participants": sorted([done.pseudonym, failed.pseudonym])}


def test_bonuses_from_plan_to_paid(running, fake, type_in, tmp_path):
    people = [fake.take_part(running, "completed", "APPROVED") for _ in range(3)]
    fake.take_part(running)
    path = tmp_path / "bonuses.csv"
    path.write_text(f"participant,amount\n{people[0].pseudonym},2.50\n", encoding="utf-8")
    assert type_in(f"prolific bonus plan {path}")[1] == "1 planned, 2.50 in all, without fees\n"
    assert "2 planned, 2.00 in all" in type_in("prolific bonus plan --amount 1.00")[1]
    exit_code, output = type_in("prolific bonus send")
    assert exit_code != 0
    assert "planned: 3, 4.50" in output
    assert "--confirm" in output
    assert not fake.paid_minor
    assert "3 paid" in type_in("prolific bonus send --confirm")[1]
    assert sorted(fake.paid_minor.values()) == [100, 100, 250]
    assert "0 paid" in type_in("prolific bonus send --confirm")[1]
    shown = type_in("prolific bonus show")[1]
    assert "paid: 3, 4.50" in shown
    assert all(one.pseudonym in shown for one in people)
    assert sorted(fake.paid_minor.values()) == [100, 100, 250]


def test_a_payment_without_an_answer_is_resolved_by_hand(running, fake, type_in, monkeypatch):
    person = fake.take_part(running, "completed", "APPROVED")
    type_in("prolific bonus plan --amount 1.00")

    def lost(self, batch_id):
        fake.faults.append(httpx.ReadTimeout("slow"))
        self.call("POST", f"/api/v1/bulk-bonus-payments/{batch_id}/pay/", "never")

    monkeypatch.setattr(ProlificClient, "pay_bonuses", lost)
    exit_code, output = type_in("prolific bonus send --confirm")
    assert exit_code == 1
    assert "no answer" in output
    monkeypatch.undo()
    assert "sending: 1, 1.00" in type_in("prolific bonus show")[1]
    assert type_in(f"prolific bonus resolve --paid {person.pseudonym}") == (0, "1 paid\n")
    assert "paid: 1, 1.00" in type_in("prolific bonus show")[1]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("prolific bonus plan", "either a FILE or --amount"),
        ("prolific bonus plan --amount 25.00", "above the limit of 20.00"),
        ("prolific bonus plan --amount lots", "'lots' is no amount"),
        ("prolific bonus resolve --paid nobody", "nobody has no bonus"),
        ("prolific bonus resolve nobody", "--paid"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(fake, type_in, line, message):
    exit_code, output = type_in(line)
    assert exit_code != 0
    assert message in output
    assert "Traceback" not in output


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "line", ["prolific sync", "prolific approve", "prolific bonus send --confirm"]
)
def test_without_a_token_or_a_study_the_command_says_so(make_app, fake, line):
    bare = make_app()
    result = bare.test_cli_runner().invoke(args=line.split())
    assert result.exit_code == 1
    assert "PROLIFIC_TOKEN is not set" in result.output
    assert bare.extensions[KEY].config.prolific_token is None
    with_token = make_app(prolific_token=SecretStr(TOKEN))
    if "bonus" not in line:
        assert "prolific.study_ids" in with_token.test_cli_runner().invoke(args=line.split()).output


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_wrong_token_is_one_line(make_app, fake):
    settings = {"prolific": {"study_ids": ["5f0000000000000000000001"]}}
    wrong = make_app(settings, prolific_token=SecretStr("wrong"))
    result = wrong.test_cli_runner().invoke(args=["prolific", "sync"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: GET /api/v1/submissions/: 401")
    assert "wrong" not in result.output
