"""The audit log: a chain that shows what was changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, select, update

from experiment_server.audit import record, verify
from experiment_server.models import Audit


@pytest.fixture
def log(running):
    """`log("pause")`: appends an entry."""

    def append(action: str, **detail) -> None:
        with running.database.write() as session:
            record(session, "researcher", action, detail, running.now())

    return append


def check(running) -> int:
    with running.database.read() as session:
        return verify(session)


def test_entries_follow_each_other(running, log, clock):
    assert check(running) == 0
    log("pause")
    clock.advance(seconds=1.5)
    log("export", kind="real", share=0.1, nested={"b": [1, None], "a": "é\n"}, **{"trials.csv": 3})
    assert check(running) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "nobody"},
        {"action": "resume"},
        {"detail": {"looked": False}},
        {"digest": "f" * 64},
        {"previous_digest": "f" * 64},
    ],
)
def test_a_changed_entry_is_found(running, log, change):
    for _ in range(3):
        log("accuracy", looked=True)
    with running.database.write() as session:
        session.execute(update(Audit).where(Audit.id == 2).values(**change))
    with pytest.raises(ValueError, match=r"audit entry 2 \("):
        check(running)


def test_a_changed_time_is_found(running, log, clock):
    log("accuracy")
    clock.advance(days=1)
    with running.database.write() as session:
        session.execute(update(Audit).values(at=clock()))
    with pytest.raises(ValueError, match=r"audit entry 1 .* was changed"):
        check(running)


def test_a_missing_entry_is_found(running, log):
    for action in ("login", "accuracy", "logout"):
        log(action)
    with running.database.write() as session:
        session.execute(delete(Audit).where(Audit.action == "accuracy"))
    with pytest.raises(ValueError, match=r"audit entry 3 \(logout.* one was taken out"):
        check(running)


def test_what_is_rolled_back_leaves_no_trace(running, log):
    log("login")
    with pytest.raises(ZeroDivisionError), running.database.write() as session:
        record(session, "researcher", "export", {}, running.now())
        raise ZeroDivisionError
    log("logout")
    assert check(running) == 2


def test_entries_written_at_once_stay_one_chain(running, log):
    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(lambda number: log("download", number=number), range(40)))
    assert check(running) == 40
    with running.database.read() as session:
        numbers = {entry.detail["number"] for entry in session.scalars(select(Audit))}
    assert numbers == set(range(40))
