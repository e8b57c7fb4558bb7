"""Backups, rehearsed: made while people answer, then the database is wrecked and comes back."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from crowds import add, participants, responses
from postgresql import MissingError, running_cluster
from servers import serving, stored_outcomes, stored_responses
from sqlalchemy import func, insert, inspect, select, text, update
from stories import RIGHT
from underway import crowd

from experiment_server.audit import record, verify
from experiment_server.backup import backup, restore
from experiment_server.bots import Habits, new_report, run_bots
from experiment_server.database import Database, DatabaseError
from experiment_server.models import Audit, Backup, Identity, Participant, Response

PEOPLE = 6
RESPONSES = 7  # of a list of the small bundle, with one round of practice
sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def wreck(running, database_url):
    """Destroys the database as far as it can be."""

    def destroy() -> None:
        running.database.engine.dispose()
        if running.database.is_sqlite:
            path = Path(running.database.url.database)
            for stale in path.parent.glob(f"{path.name}-*"):
                stale.unlink()
            path.write_bytes(b"\xff" * 50_000)
            return
        database = Database(database_url)
        with database.engine.begin() as connection:
            connection.execute(text("TRUNCATE participants CASCADE"))
            connection.execute(text("DROP TABLE audit, responses"))
        database.engine.dispose()

    return destroy


class Writing:
    """One response after another is committed, in another thread, until the block ends."""

    def __init__(self, running) -> None:
        self.running = running
        self.acknowledged: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        person = participants(1)[0]
        row = responses(self.running, person)[0]
        with self.running.database.write() as session:
            session.execute(insert(Participant), [person])
        while not self._stop.is_set():
            number = len(self.acknowledged)
            with self.running.database.write() as session:
                session.execute(insert(Response), [{**row, "trial_index": number}])
            self.acknowledged.append(number)
            self._stop.wait(0.001)

    def __enter__(self) -> Writing:
        self._thread.start()
        self.wait_for(20)
        return self

    def wait_for(self, more: int) -> None:
        enough = len(self.acknowledged) + more
        while self._thread.is_alive() and len(self.acknowledged) < enough:
            self._thread.join(0.001)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_what_was_acknowledged_before_the_backup_survives(
    running, folder, wreck, database_url, clock
):
    with Writing(running) as writing:
        before = len(writing.acknowledged)
        path = backup(running, folder)
        writing.wait_for(5)
    assert len(writing.acknowledged) > before  # nobody had to wait
    wreck()
    restore(path, database_url, clock(), overwrite=True)
    restored = Database(database_url)
    restored.prepare()
    with restored.read() as session:
        kept = list(session.scalars(select(Response.trial_index).order_by(Response.trial_index)))
        assert verify(session) == 1
        [entry] = session.scalars(select(Audit))
    assert kept == writing.acknowledged[: len(kept)]
    assert len(kept) >= before
    assert (entry.action, entry.detail) == ("restore", {"file": path.name})
    with restored.write() as session:  # ids go on where they were
        [row] = responses(running, participants(1)[0])[:1]
        session.execute(insert(Response), [{**row, "trial_index": 10**6}])


def test_a_backup_is_sealed_private_and_recorded(running, folder):
    add(running, 2)
    path = backup(running, folder)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    seal = path.with_name(path.name + ".sha256")
    assert seal.read_text(encoding="utf-8") == f"{digest}  {path.name}\n"
    assert {file.stat().st_mode & 0o777 for file in (path, seal)} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(folder.iterdir()) == [path, seal]
    with running.database.read() as session:
        [row] = session.scalars(select(Backup))
        [entry] = session.scalars(select(Audit))
    assert (row.path, row.digest, row.at) == (str(path), digest, running.now())
    assert (entry.action, entry.detail) == ("backup", {"file": path.name, "sha256": digest})
    with pytest.raises(DatabaseError, match="a backup of this very moment"):
        backup(running, folder)


def test_a_database_in_place_is_not_overwritten_unasked(running, folder, database_url, clock):
    add(running, 3)
    path = backup(running, folder)
    with running.database.write() as session:
        session.execute(update(Participant).values(outcome="returned"))
    running.database.engine.dispose()
    with pytest.raises(DatabaseError, match="is not empty: give --overwrite"):
        restore(path, database_url, clock())
    restore(path, database_url, clock(), overwrite=True)
    with running.database.read() as session:
        assert set(session.scalars(select(Participant.outcome))) == {"completed"}
        assert session.execute(select(func.count()).select_from(Identity)).scalar_one() == 3
    running.database.engine.dispose()
    if running.database.is_sqlite:
        aside = Path(running.database.url.database).with_name("study.sqlite.replaced-1")
        with closing(sqlite3.connect(aside)) as kept:
            assert kept.execute("SELECT DISTINCT outcome FROM participants").fetchall() == [
                ("returned",)
            ]


def test_a_database_in_use_is_not_replaced(running, folder, database_url, clock):
    add(running)
    path = backup(running, folder)
    with (
        running.database.read() as session,
        pytest.raises(DatabaseError, match=r"in use.*: stop the server first"),
    ):
        session.execute(select(Participant.id)).all()
        restore(path, database_url, clock(), overwrite=True)


@sqlite_only
def test_a_new_place_needs_no_permission(running, folder, tmp_path, clock):
    add(running, 2)
    path = backup(running, folder)
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'new.sqlite'}"
    restore(path, url, clock())
    database = Database(url)
    database.prepare()
    with database.read() as session:
        assert session.execute(select(func.count()).select_from(Participant)).scalar_one() == 2
    database.engine.dispose()
    assert (tmp_path / "elsewhere" / "new.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_changed_backup_is_refused(running, folder, database_url, clock):
    add(running)
    path = backup(running, folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    running.database.engine.dispose()
    with pytest.raises(DatabaseError, match=r"SHA-256 is [0-9a-f]{64}, and was "):
        restore(path, database_url, clock(), overwrite=True)
    path.with_name(path.name + ".sha256").unlink()
    with pytest.raises(DatabaseError, match=r"the backup and its \.sha256 must both be there"):
        restore(path, database_url, clock(), overwrite=True)


def test_a_backup_of_a_newer_program_is_refused(running, folder, database_url, clock):
    with running.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    path = backup(running, folder)
    running.database.engine.dispose()
    with pytest.raises(DatabaseError, match="schema version 9999, which this program does not"):
        restore(path, database_url, clock(), overwrite=True)


def test_the_other_kind_of_database_is_refused(running, folder, tmp_path, clock):
    path = backup(running, folder)
    other = (
        "postgresql://study@127.0.0.1:1/none"
        if running.database.is_sqlite
        else f"sqlite:///{tmp_path / 'other.sqlite'}"
    )
    with pytest.raises(DatabaseError, match=r"a backup for .* ends in"):
        restore(path, other, clock())


def test_a_backup_whose_log_was_changed_is_refused(running, folder, database_url, clock):
    record_odd_things(running)
    with running.database.write() as session:
        session.execute(update(Audit).where(Audit.id == 2).values(actor="nobody"))
    path = backup(running, folder)
    with running.database.write() as session:
        session.execute(update(Participant).values(outcome="returned"))
    running.database.engine.dispose()
    with pytest.raises(DatabaseError, match=r"audit entry 2 .* was changed .*nothing was restored"):
        restore(path, database_url, clock(), overwrite=True)
    with running.database.read() as session:
        assert set(session.scalars(select(Participant.outcome))) == {"returned"}
    running.database.engine.dispose()
    restore(path, database_url, clock(), overwrite=True, any_log=True)
    with running.database.read() as session:
        assert set(session.scalars(select(Participant.outcome))) == {"completed"}


def test_the_log_of_a_backup_is_read_as_it_was_written(running, folder, database_url, clock):
    record_odd_things(running)
    path = backup(running, folder)
    running.database.engine.dispose()
    assert restore(path, database_url, clock(), overwrite=True) == 3
    with running.database.read() as session:
        assert verify(session) == 4  # and that it was restored


def record_odd_things(running):
    add(running, 3)
    with running.database.write() as session:
        for said in ("plain", "tab\t, line\nand back\\slash \\n \\. \\N", "É, \U0001d538, \0"):
            record(session, "researcher\t", "said", {said: [said, 0.1, None]}, running.now())


@sqlite_only
def test_a_damaged_database_gives_no_backup(running, folder):
    add(running, 400)
    running.database.engine.dispose()
    path = Path(running.database.url.database)
    content = bytearray(path.read_bytes())
    content[20_000:60_000] = b"\xff" * 40_000
    path.write_bytes(content)
    with pytest.raises(DatabaseError, match=r"damaged|cannot be copied.*malformed"):
        backup(running, folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_without_pg_dump_the_error_says_so(running, folder, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DatabaseError, match="pg_dump is not on PATH: install PostgreSQL's client"):
        backup(running, folder)
    assert list(folder.iterdir()) == []


def test_a_fresh_machine(app, bundle_folder, database_url, fresh_url, make_app, person, tmp_path):
    """The machine is gone. Another has the settings, the bundle, the key, and the last backup."""
    someone = person()
    someone.pass_quiz(RIGHT)
    trials = someone.state()["trials"]
    assert someone.answer(trials[0]).status_code == 200
    habits = Habits(pace=40.0, two_tabs=0.2, refresh=0.1, images=False)
    with (
        serving(bundle_folder, database_url, tmp_path) as server,
        crowd(server.url, PEOPLE, habits, seed="fresh") as bots,
    ):
        bots.wait_for_responses(2 * PEOPLE)
        before = set(bots.report.acknowledged)
        said = app.test_cli_runner().invoke(args=["backup", "--out", str(tmp_path / "elsewhere")])
        assert bots.thread.is_alive()
    assert bots.report.errors == []
    assert not bots.report.traffic.busy
    path = Path(said.output.partition(":")[0])
    assert path.parent == tmp_path / "elsewhere"

    (tmp_path / "fresh").mkdir()
    environment = {**server.environment, "DATABASE_URL": fresh_url, "DATA": str(tmp_path / "fresh")}
    other_key = {**environment, "SECRET_KEY": "another key, of more than 32 characters"}
    wrong = command(other_key, "restore", str(path))
    assert wrong.returncode == 1
    assert "restored from" in wrong.stdout
    assert wrong.stderr.startswith("Error: SECRET_KEY is not the key that the database ")
    right = command(environment, "restore", "--overwrite", str(path))
    assert right.stdout == f"restored from {path}: 0 audit entries, none changed\n", right.stderr
    restored = stored_responses(fresh_url)
    assert before <= set(restored)
    theirs = {one for one in restored if one.prolific_pid != someone.pid}
    assert theirs < set(bots.report.acknowledged)

    fresh = make_app(database_url=fresh_url, data=tmp_path / "fresh")
    someone.move_to(fresh.test_client())
    assert someone.get("/study").status_code == 200
    assert someone.state()["trials"] == trials[1:]
    again = new_report(PEOPLE, seed="fresh")  # the same people, by the same links
    with serving(bundle_folder, fresh_url, tmp_path / "fresh") as server:
        run_bots(server.url, PEOPLE, habits=habits, report=again)
    assert again.errors == []
    assert set(stored_responses(fresh_url).values()) == {1}
    assert stored_outcomes(fresh_url) == {"completed": PEOPLE, "in_progress": 1}
    done = fresh.test_cli_runner().invoke(args=["export", "--out", str(tmp_path / "export")])
    assert done.exit_code == 0, done.output
    fresh.extensions["experiment"].database.engine.dispose()
    rows = (tmp_path / "export" / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) >= 1 + PEOPLE * RESPONSES


@pytest.fixture
def fresh_url(backend, request, tmp_path, require_postgresql):
    """A database of another machine, with nothing in it."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'fresh' / 'study.sqlite'}"
        return
    try:
        with running_cluster() as cluster:
            yield cluster.create("study")
    except MissingError as error:
        require_postgresql(error)


def command(environment, *words):
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "experiment_server", *words],
        env=environment,
        cwd=Path(environment["DATA"]).parent,
        capture_output=True,
        text=True,
    )


def test_the_commands(app, running, folder, tmp_path):
    add(running, 2)
    runner = app.test_cli_runner()
    done = runner.invoke(args=["backup"])
    assert done.exit_code == 0, done.output
    [path] = (tmp_path / "instance" / "backups").glob("study-*Z.*[ep]")
    done = runner.invoke(args=["restore", str(path)])
    assert (done.exit_code, "give --overwrite" in done.output) == (1, True)
    done = runner.invoke(args=["restore", str(path), "--overwrite"])
    assert done.exit_code == 0, done.output
    with running.database.read() as session:
        assert session.execute(select(func.count()).select_from(Participant)).scalar_one() == 2
        assert "alembic_version" in inspect(session.connection()).get_table_names()
