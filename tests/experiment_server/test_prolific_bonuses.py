"""The bonus ledger: nobody is paid twice, whatever breaks in between."""

from __future__ import annotations

import httpx
import pytest
from fake_prolific import TOKEN, FakeProlific
from sqlalchemy import select

from experiment_server.audit import verify
from experiment_server.models import Audit, Bonus, Identity
from experiment_server.prolific import ProlificClient, ProlificError
from experiment_server.prolific.bonuses import (
    parse_amount,
    plan_bonuses,
    read_amounts,
    resolve_bonuses,
    send_bonuses,
)


class CrashError(BaseException):
    """The process dies here."""


@pytest.fixture
def fake() -> FakeProlific:
    return FakeProlific()


@pytest.fixture
def client(fake):
    with ProlificClient(TOKEN, transport=fake.transport, sleep=lambda s: None) as one:
        yield one


@pytest.fixture
def plan(running):
    def enter(amounts):
        with running.database.write() as session:
            plan_bonuses(session, amounts, "all right", running.now())

    return enter


def states(running) -> list[str]:
    with running.database.read() as session:
        return list(session.scalars(select(Bonus.state).order_by(Bonus.id)))


def test_planned_then_paid_once(running, fake, client, plan):
    people = [fake.take_part(running, "completed") for _ in range(3)]
    plan({person.pseudonym: 100 + at for at, person in enumerate(people)})
    assert states(running) == ["planned"] * 3
    assert fake.requests == []
    assert send_bonuses(running, client) == 3
    assert send_bonuses(running, client) == 0
    assert states(running) == ["paid"] * 3
    assert sorted(fake.paid_minor.values()) == [100, 101, 102]
    with running.database.read() as session:
        assert verify(session) > 0
        details = [str(entry.detail) for entry in session.scalars(select(Audit))]
        raw = session.scalars(select(Identity.prolific_pid)).all()
    assert not any(pid in detail for pid in raw for detail in details)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_more_than_200_go_in_portions(running, fake, client, plan):
    people = [fake.take_part(running, "completed") for _ in range(201)]
    plan({person.pseudonym: 50 for person in people})
    assert send_bonuses(running, client) == 201
    assert sorted(len(batch) for batch in fake.batches.values()) == [1, 200]
    assert set(fake.paid_minor.values()) == {50}


@pytest.mark.parametrize("paid", [True, False])
def test_a_crash_at_the_payment_leaves_it_to_a_person(
    running, fake, client, plan, monkeypatch, paid
):
    person = fake.take_part(running, "completed")
    plan({person.pseudonym: 150})
    pay = client.pay_bonuses

    def crash(batch_id):
        if paid:
            pay(batch_id)
        raise CrashError

    monkeypatch.setattr(client, "pay_bonuses", crash)
    with pytest.raises(CrashError):
        send_bonuses(running, client)
    monkeypatch.undo()
    assert states(running) == ["sending"]
    assert send_bonuses(running, client) == 0
    with running.database.write() as session:
        resolve_bonuses(session, [person.pseudonym], paid=paid, now=running.now())
    assert send_bonuses(running, client) == (0 if paid else 1)
    assert states(running) == ["paid"]
    assert list(fake.paid_minor.values()) == [150]


def test_the_mark_is_on_disk_before_the_first_call(running, fake, client, plan, monkeypatch):
    person = fake.take_part(running, "completed")
    plan({person.pseudonym: 150})
    seen = []
    set_up = client.set_up_bonuses

    def look(*args):
        seen.extend(states(running))
        return set_up(*args)

    monkeypatch.setattr(client, "set_up_bonuses", look)
    send_bonuses(running, client)
    assert seen == ["sending"]


@pytest.mark.parametrize("fault", [httpx.Response(500), httpx.ReadTimeout("slow")])
def test_an_unclear_answer_to_the_payment_is_left_to_a_person(
    running, fake, client, plan, monkeypatch, fault
):
    person = fake.take_part(running, "completed")
    plan({person.pseudonym: 150})
    set_up = client.set_up_bonuses

    def then_fail(*args):
        batch = set_up(*args)
        fake.faults.append(fault)
        return batch

    monkeypatch.setattr(client, "set_up_bonuses", then_fail)
    with pytest.raises(ProlificError, match="/pay/"):
        send_bonuses(running, client)
    assert states(running) == ["sending"]
    with running.database.read() as session:
        assert session.scalars(select(Bonus.bulk_id)).one() in fake.batches


def test_a_refused_set_up_pays_nothing_and_stays_planned(running, fake, client, plan):
    person = fake.take_part(running, "completed")
    plan({person.pseudonym: 150})
    fake.submissions.clear()
    with pytest.raises(ProlificError, match="not in this study"):
        send_bonuses(running, client)
    assert states(running) == ["planned"]
    assert not fake.paid_minor


@pytest.mark.parametrize(
    "answer",
    [
        {"id": "b", "amount": 15000, "total_amount": 21000},
        {"id": "b", "amount": 1.5, "total_amount": 2.1},
        {"id": "b", "amount": None, "total_amount": 21000},
        {"id": "b"},
        {"amount": 150},
    ],
)
def test_pounds_taken_for_pence_are_not_paid(running, fake, client, plan, answer):
    person = fake.take_part(running, "completed")
    plan({person.pseudonym: 150})
    fake.faults.append(httpx.Response(201, json=answer))
    with pytest.raises(ProlificError):
        send_bonuses(running, client)
    assert states(running) == ["planned"]
    assert [path for _, path in fake.requests] == ["/api/v1/submissions/bonus-payments/"]


def test_a_plan_can_be_changed_until_it_is_sent(running, fake, client, plan):
    person = fake.take_part(running, "completed")
    plan({person.pseudonym: 150})
    plan({person.pseudonym: 200})
    send_bonuses(running, client)
    assert list(fake.paid_minor.values()) == [200]
    with pytest.raises(ValueError, match=r"already \(paid\)"):
        plan({person.pseudonym: 100})


def test_only_who_can_be_paid_is_planned(running, fake, plan):
    good = fake.take_part(running, "completed")
    preview = fake.take_part(running, "completed", kind="preview")
    nameless = fake.take_part(running, "completed")
    with running.database.write() as session:
        session.delete(session.get_one(Identity, nameless.id))
    for pseudonym in ("nobody", preview.pseudonym, nameless.pseudonym):
        with pytest.raises(ValueError, match=pseudonym):
            plan({good.pseudonym: 100, pseudonym: 100})
    assert states(running) == []


def test_only_what_is_left_as_sending_is_resolved(running, fake, plan):
    person = fake.take_part(running, "completed")
    plan({person.pseudonym: 150})
    with running.database.write() as session, pytest.raises(ValueError, match="sending"):
        resolve_bonuses(session, [person.pseudonym], paid=True, now=running.now())
    assert states(running) == ["planned"]


@pytest.mark.parametrize(
    ("text", "minor"), [("1.50", 150), ("1.5", 150), (" 2 ", 200), ("0.01", 1)]
)
def test_amounts_are_decimal(text, minor):
    assert parse_amount(text, 2000) == minor


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.505", "1,50", "£1", "nan", "inf", "1e3", "²", "20.01", "150p"]
)
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError):
        parse_amount(text, 2000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("participant,amount_minor\np1,150\n", "columns"),
        ("", "columns"),
        ("participant,amount\np1,1.50\np1,1.50\n", r":3: p1 is there twice"),
        ("participant,amount\np1,lots\n", r":2: 'lots' is no amount"),
        ("participant,amount\np1\n", r":2: '' is no amount"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path, content, message):
    path = tmp_path / "bonuses.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_amounts(path, 2000)
