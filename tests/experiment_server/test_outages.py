"""PostgreSQL cannot be reached: at the start, in mid-run, and when it is silent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from postgresql import free_port
from servers import serving, stored_outcomes, stored_responses
from sqlalchemy import text
from stories import Person
from underway import crowd

from experiment_server.backup import backup
from experiment_server.bots import Habits
from experiment_server.database import Database, DatabaseError
from experiment_server.security import limiter

PEOPLE = 8
AWAY_S = 2.0
LONGEST_S = 10.0
GUARDED = "host all guarded 127.0.0.1/32 scram-sha-256\n"


@pytest.fixture
def backend() -> str:
    return "postgresql"


@pytest.fixture(scope="module")
def postgresql(durable_postgresql):
    return durable_postgresql


@contextmanager
def silent_port():
    """A port at which somebody listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@contextmanager
def away(cluster, how):
    """The block runs without the database."""
    cluster.stop(how)
    try:
        yield
    finally:
        cluster.start()


@pytest.fixture
def guarded(postgresql):
    """A role whose password is asked for."""
    postgresql.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    rules = postgresql.folder / "data" / "pg_hba.conf"
    plain = rules.read_text()
    rules.write_text(GUARDED + plain)
    postgresql.execute("SELECT pg_reload_conf()")
    yield "guarded"
    rules.write_text(plain)
    postgresql.execute("SELECT pg_reload_conf()")
    postgresql.execute("DROP ROLE guarded")


def refusal(url):
    """What is said at the start, in one line, soon, and without the password."""
    database = Database(url)
    started = time.monotonic()
    with pytest.raises(DatabaseError) as refused:
        database.prepare()
    database.engine.dispose()
    assert time.monotonic() - started < LONGEST_S
    [line] = str(refused.value).splitlines()
    assert "secret" not in line
    assert "study:***@" in line or "guarded:***@" in line
    return line


def test_a_database_that_cannot_be_reached(postgresql, guarded):
    port = postgresql.port
    for url, cause in (
        (f"postgresql://study:secret@127.0.0.1:{free_port()}/x", "Connection refused"),
        ("postgresql://study:secret@nowhere.invalid/x", "nowhere.invalid"),
        (f"postgresql://{guarded}:secret@127.0.0.1:{port}/prepared", "password authentication"),
        (f"postgresql://study:secret@127.0.0.1:{port}/x", 'database "x" does not exist'),
    ):
        line = refusal(url)
        assert "cannot be opened: " in line
        assert cause in line


def test_a_host_that_is_silent():
    with silent_port() as port:
        assert "timeout" in refusal(f"postgresql://study:secret@127.0.0.1:{port}/x")


@pytest.mark.parametrize("words", ["check", "migrate", "restore", "export --out export"])
def test_commands_say_so_in_one_line(app, running, bundle_folder, tmp_path, words):
    path = backup(running, tmp_path)
    words = f"restore {path}" if words == "restore" else words
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "experiment_server", *words.split()],
        env=nowhere(bundle_folder, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: the database postgresql+psycopg://study:***@127.0.0.1")
    assert "Connection refused" in line


def nowhere(bundle_folder, tmp_path):
    """The environment of a server whose database cannot be reached."""
    url = f"postgresql://study:secret@127.0.0.1:{free_port()}/x"
    ours = {"STUDY": str(bundle_folder), "DATABASE_URL": url, "DATA": str(tmp_path)}
    return {**os.environ, **ours}


@pytest.mark.parametrize("server", ["gunicorn", "waitress"])
def test_a_server_that_cannot_begin_says_so_in_one_line(bundle_folder, tmp_path, server):
    words = {
        "gunicorn": ["--bind=127.0.0.1:0", "--no-control-socket", "experiment_server:create_app()"],
        "waitress": ["--listen=127.0.0.1:0", "--call", "experiment_server:create_app"],
    }[server]
    done = subprocess.run(
        [sys.executable, "-m", server, *words],
        env=nowhere(bundle_folder, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "the database postgresql+psycopg://study:***@127.0.0.1" in line
    assert "Connection refused" in line


def test_once_it_is_back_each_connection_fails_at_most_once(at_task, postgresql):
    someone = at_task()
    trial = someone.state()["trials"][0]
    with away(postgresql, signal.SIGQUIT):
        page = someone.client.get("/study")
        assert (page.status_code, page.mimetype) == (503, "text/html")
        said = someone.answer(trial)
        assert (said.status_code, said.get_json()["error"]) == (503, "busy")
        assert page.headers["Retry-After"] == said.headers["Retry-After"] == "2"
    codes = [someone.answer(trial).status_code for _ in range(10)]
    assert codes == [200] * 10  # the pool was renewed while it was away
    assert someone.state()["next"] == 1


def test_connections_that_were_ended_behind_our_back(at_task, running, postgresql):
    people = [at_task() for _ in range(4)]
    with ThreadPoolExecutor(4) as crowd:  # so that several connections are in the pool
        list(crowd.map(lambda one: one.client.get("/study"), people))
    assert running.database.engine.pool.checkedin() > 1
    postgresql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'study%'"
    )
    codes = [one.client.get("/study").status_code for one in people]
    assert codes == [503, 200, 200, 200]


def test_a_silent_database_keeps_no_request_long(make_app, at_task, postgresql, database_url):
    """Who waits for it does so once; while one request asks, the others are told at once."""
    app = make_app(database_url=f"{database_url}?connect_timeout=2")
    people = [at_task(app_=app) for _ in range(8)]
    app.extensions["experiment"].database.engine.dispose()

    def ask(someone):
        started = time.monotonic()
        assert someone.client.get("/study").status_code == 503
        return time.monotonic() - started

    postgresql.server.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(8) as crowd:
            first = sorted(crowd.map(ask, people))
            then = sorted(crowd.map(ask, people))
    finally:
        postgresql.server.send_signal(signal.SIGCONT)
    assert 1 < first[-1] < LONGEST_S
    assert then[-1] < LONGEST_S
    assert then[-2] < 1.5  # of those that were told at once, the slowest
    assert people[0].client.get("/study").status_code == 200


@contextmanager
def frozen(cluster):
    """The database's machine is paused, say: connections stay open, and nothing is answered."""
    everybody = [cluster.server.pid, *children(cluster.server.pid)]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)


def test_a_frozen_database_keeps_no_request_long(at_task, postgresql):
    someone = at_task()
    trial = someone.state()["trials"][0]
    with frozen(postgresql):
        started = time.monotonic()
        assert someone.answer(trial).status_code == 503
        assert time.monotonic() - started < LONGEST_S
    assert someone.answer(trial).status_code == 200
    assert someone.state()["next"] == 1


def test_nor_one_that_is_counted_in_it_first(limits, make_app, clock, postgresql, monkeypatch):
    visitor = Person(make_app().test_client(), clock)
    visitor.arrive()
    form = {"csrf_token": visitor.csrf, "choice": "agree"}
    with frozen(postgresql):
        for _ in range(2):
            started = time.monotonic()
            assert visitor.client.post("/consent", data=form).status_code == 503
            assert time.monotonic() - started < LONGEST_S
            # Time to ask whether it is back, which takes its time too.
            monkeypatch.setattr(limiter, "_Limiter__last_check_backend", 0.0)
    assert visitor.agree().status_code == 200


def children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_who_waits_too_long_for_another_is_told(app, person, running, database_url):
    someone = person()
    someone.arrive()
    other = Database(database_url)
    with other.engine.begin() as connection:
        connection.execute(text("LOCK TABLE participants IN ACCESS EXCLUSIVE MODE"))
        started = time.monotonic()
        assert someone.post("/consent", choice="agree").status_code == 503
        assert time.monotonic() - started < LONGEST_S
    other.engine.dispose()
    assert someone.agree().status_code == 200


def test_bots_outlast_outages(bundle_folder, database_url, tmp_path, postgresql):
    habits = Habits(pace=60.0, two_tabs=0.2, refresh=0.1, images=False)
    with (
        serving(bundle_folder, database_url, tmp_path, workers=2) as server,
        crowd(server.url, PEOPLE, habits, seed="outage") as bots,
    ):
        for count, how in ((2 * PEOPLE, signal.SIGINT), (4 * PEOPLE, signal.SIGQUIT)):
            bots.wait_for_responses(count)
            with away(postgresql, how):
                time.sleep(AWAY_S)
    assert bots.report.errors == []
    assert {what.split()[0] for what in bots.report.traffic.busy} == {"503"}
    assert bots.report.traffic.broken_connections == 0
    assert bots.report.traffic.summary()["all"]["max"] < LONGEST_S * 1000
    stored = stored_responses(database_url)
    assert set(stored.values()) == {1}
    assert set(stored) == set(bots.report.acknowledged)
    assert stored_outcomes(database_url) == {"completed": PEOPLE}
    assert "Traceback" not in server.log.read_text()
