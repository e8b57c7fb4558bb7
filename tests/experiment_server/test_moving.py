"""A study moves from SQLite to PostgreSQL while people take part in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from crowds import add, participants
from servers import serving, stored_outcomes, stored_responses
from sqlalchemy import func, inspect, select, text, update
from stories import RIGHT, Person
from underway import crowd

from experiment_server import moving
from experiment_server.audit import verify
from experiment_server.backup import backup
from experiment_server.bots import Habits
from experiment_server.database import Database, DatabaseError
from experiment_server.models import AdminLogin, Audit, Bonus, Participant, ProlificEvent, Response
from experiment_server.moving import move

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
PEOPLE = 8
_numbers = itertools.count()


@pytest.fixture
def new_url(postgresql) -> Iterator[str]:
    """An empty PostgreSQL database."""
    name = f"moved{next(_numbers)}"
    yield postgresql.create(name)
    postgresql.drop(name)


def tables_at(url):
    database = Database(url)
    try:
        return set(inspect(database.engine).get_table_names())
    finally:
        database.engine.dispose()


def count(running, row=Participant):
    with running.database.read() as session:
        return session.execute(select(func.count()).select_from(row)).scalar_one()


def test_people_go_on_at_the_very_trial(person, running, make_app, new_url):
    at_practice, at_task, new = person(), person(), person()
    for someone in (at_practice, at_task):
        someone.pass_quiz(RIGHT)
    before = at_practice.state()
    assert at_practice.answer(before["trials"][0]).status_code == 200
    trials = running.bundle.trials
    for trial in at_task.state()["trials"]:
        at_task.answer(trial, trials[trial["trial_id"]].favored_side)
    under_way = at_task.response(at_task.state()["trials"][0])
    new.arrive()
    rows = move(running, new_url)
    assert (rows["participants"], rows["responses"], rows["logins"]) == (2, 3, 2)

    app = make_app(database_url=new_url)
    for someone in (at_practice, at_task, new):
        someone.move_to(app.test_client())
    state = at_practice.state()
    assert (state["stage"], state["next"]) == ("practice", 1)
    assert state["trials"] == before["trials"][1:]
    at_practice.get("/study")
    assert at_practice.answer(state["trials"][0]).status_code == 200
    at_task.get("/study")
    assert at_task.send("/task/responses", under_way).get_json()["duplicate"] is False
    assert at_task.send("/task/responses", under_way).get_json()["duplicate"] is True
    assert new.agree().status_code == 200  # who only arrived has an id of their own
    again = at_task.client.get("/", query_string=at_task.parameters)  # the link, once more
    assert again.location == "/study"
    moved = app.extensions["experiment"]
    assert count(moved) == 3
    moved.database.engine.dispose()


def test_everything_comes_along(running, make_app, new_url, clock):
    add(running, 30)
    add(running, 2, first=31, kind="preview", condition=None, list_index=None)
    odd = {
        "comments": 'É\\u0000 "\n\t\\ \U0001d538',
        "age_years": 31,
        "number": 1e-300,
        "true": True,
    }
    with running.database.write() as session:
        session.execute(update(Participant).where(Participant.id == 7).values(answers=odd))
        session.execute(update(Response).where(Response.id == 5).values(rt_ms=0.1 + 0.2))
        for name in ("Zebra", "apple", "Äpfel", "a-b", "ab"):
            session.add(ProlificEvent(event_id=name, received_at=clock(), type="x"))
        session.add(AdminLogin(token_digest="t", created_at=clock(), last_seen_at=clock()))
        session.add(
            Bonus(participant_id=3, amount_minor=50, reason="é", state="paid", planned_at=clock())
        )
    path = backup(running, running.config.data)
    rows = move(running, new_url)
    assert rows["participants"] == 32
    assert (rows["prolific_events"], rows["audit"], rows["backups"]) == (5, 1, 1)

    moved = make_app(database_url=new_url).extensions["experiment"]
    with moved.database.read() as session:
        assert session.get_one(Participant, 7).answers == odd
        assert session.get_one(Response, 5).rt_ms == 0.1 + 0.2
        first = session.scalars(select(Response).order_by(Response.id).limit(1)).one()
        assert first.shown_at.microsecond == 123456
        assert verify(session) == 2
        last = session.scalars(select(Audit).order_by(Audit.id)).all()[-1]
        assert (last.action, last.detail) == ("move", {"from": running.database.place})
    with moved.database.write() as session:
        someone = participants(1, 40)[0] | {"id": None}
        session.add(Participant(**someone))
        session.flush()
        assert session.scalars(select(func.max(Participant.id))).one() == 33
    assert path.is_file()
    moved.database.engine.dispose()


def test_the_old_database_is_closed(running, make_app, person, new_url):
    someone = person()
    someone.pass_quiz(RIGHT)
    state = someone.state()
    move(running, new_url)
    answer = someone.answer(state["trials"][0])  # at a server that was forgotten
    assert (answer.status_code, answer.get_json()["error"]) == (503, "busy")
    assert answer.headers["Retry-After"]
    assert someone.client.get("/study").status_code == 503
    with pytest.raises(DatabaseError) as refused:
        make_app()
    assert f"is closed: its study was moved to {Database(new_url).place}" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def unchanged(running, new_url):
    assert count(running) == 3
    assert tables_at(new_url) == set()


def test_a_copy_that_is_not_exact_is_thrown_away(running, new_url, monkeypatch):
    add(running, 3)
    exact = moving._copy

    def inexact(change):
        def copy(table, source, target):
            rows = exact(table, source, target)
            if table.name == "responses":
                target.execute(text(change))
            return rows

        return copy

    for change, problem in (
        ("UPDATE responses SET rt_ms = rt_ms + 1e-12 WHERE id = 2", "row 2 .* otherwise in rt_ms"),
        ("UPDATE responses SET shown_at = shown_at + interval '1 us'", "otherwise in shown_at"),
        ("UPDATE responses SET timing = '{}' WHERE id = 9", "row 9 of responses .* in timing"),
        ("UPDATE responses SET response_side = 'right'", "row 1 .* otherwise in response_side"),
        ("DELETE FROM responses WHERE id = 21", "row 21 of responses is missing"),
        ("DELETE FROM responses WHERE id = 1", "otherwise in id, trial_index"),
        (
            "INSERT INTO responses SELECT 99, participant_id, 99, trial_id, response_side, correct,"
            " rt_ms, confidence, shown_at, responded_at, received_at, timing FROM responses"
            " WHERE id = 1",
            "row 22 of responses was not there before",
        ),
    ):
        monkeypatch.setattr(moving, "_copy", inexact(change))
        with pytest.raises(DatabaseError, match=f"is not exact, and was thrown away: .*{problem}"):
            move(running, new_url)
        unchanged(running, new_url)
    monkeypatch.undo()
    assert move(running, new_url)["responses"] == 21


def test_a_log_that_was_changed_is_not_moved(running, new_url):
    add(running, 3)
    backup(running, running.config.data)
    with running.database.write() as session:
        session.execute(update(Audit).values(actor="nobody"))
    with pytest.raises(DatabaseError, match=r"audit entry 1 .* was changed .*: nothing was moved"):
        move(running, new_url)
    unchanged(running, new_url)


def test_what_cannot_be_moved_is_told_in_one_line(app, running, new_url, postgresql):
    add(running, 3)
    elsewhere = postgresql.url("prepared")
    nowhere = "postgresql://study:secret@127.0.0.1:1/none"
    for url, problem in (
        (elsewhere, "prepared is not empty: give the study a database of its own"),
        (nowhere, r"study:\*\*\*@127.0.0.1:1/none cannot be filled: connection failed: .*refused"),
        ("sqlite:///other.sqlite", "a study moves from SQLite to postgresql://"),
        ("mysql://x", "sqlite:///FILE or postgresql"),
    ):
        with pytest.raises(DatabaseError, match=problem) as refused:
            move(running, url)
        assert len(str(refused.value).splitlines()) == 1
        assert "secret" not in str(refused.value)
        answer = app.test_cli_runner().invoke(args=["move", "--to", url])
        assert answer.exit_code == 1
        assert answer.output == f"Error: {refused.value}\n"
    with running.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    with pytest.raises(DatabaseError, match="is of version 0002, and this program of 0003"):
        move(running, new_url)
    unchanged(running, new_url)


def test_text_that_postgresql_cannot_hold(running, new_url):
    add(running, 3)
    with running.database.write() as session:
        session.execute(update(Response).values(trial_id="a\0b"))
    with pytest.raises(DatabaseError, match=r"cannot be filled: .*NUL"):
        move(running, new_url)
    unchanged(running, new_url)


def test_the_command_prints_what_was_moved(app, running, new_url, monkeypatch):
    add(running, 3)
    monkeypatch.setenv("NEW_DATABASE_URL", new_url)
    answer = app.test_cli_runner().invoke(args=["move"])
    assert answer.exit_code == 0, answer.output
    assert "        3  participants\n" in answer.output
    assert "       21  responses\n" in answer.output
    assert answer.output.splitlines()[-1].startswith("       29  rows, each the same in postgresql")


def test_bots_are_moved_under_way(bundle_folder, database_url, new_url, tmp_path, app, running):
    """The old server runs on while its study is moved; nothing that it acknowledged is lost."""
    habits = Habits(pace=60.0, two_tabs=0.2, refresh=0.1, images=False)
    with (
        serving(bundle_folder, database_url, tmp_path) as server,
        crowd(server.url, PEOPLE, habits, seed="move") as bots,
    ):
        bots.wait_for_responses(2 * PEOPLE)
        rows = move(running, new_url)
        assert bots.thread.is_alive()
        assert 2 * PEOPLE <= rows["responses"] < 7 * PEOPLE
        # The old server sends them away, and keeps nothing.
        bots.wait_for(lambda: bots.report.traffic.busy)
        server.stop()
        server.environment["DATABASE_URL"] = new_url
        server.start()
    assert bots.report.errors == []
    stored = stored_responses(new_url)
    assert set(stored.values()) == {1}
    assert set(stored) == set(bots.report.acknowledged)
    assert stored_outcomes(new_url) == {"completed": PEOPLE}


def test_who_arrives_meanwhile_waits_or_is_sent_away(running, new_url, make_app, clock, tmp_path):
    """While it is copied, nothing can be written to the old database."""
    add(running, 3)
    seen = []
    exact = moving._copy
    other = make_app()
    other_running = other.extensions["experiment"]
    with other_running.database.engine.connect() as connection:
        connection.connection.execute("PRAGMA busy_timeout = 10")
    someone = Person(other.test_client(), clock)

    def copy(table, source, target):
        if table.name == "responses":
            someone.arrive()
            seen.append(someone.agree().status_code)
        return exact(table, source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "_copy", copy)
        assert move(running, new_url)["participants"] == 3
    assert seen == [503]
