"""Migrations: all or nothing, while people take part; and tables that are not as they say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bundles import make_bundle
from crowds import add
from pydantic import SecretStr
from servers import serving, stored_outcomes, stored_responses
from sqlalchemy import func, inspect, select, text
from underway import crowd

from experiment_server import schema
from experiment_server.backup import backup, restore
from experiment_server.bots import Habits
from experiment_server.database import Database, DatabaseError
from experiment_server.models import Participant, Response

sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
MIGRATIONS = schema.MIGRATIONS
NOW = schema.known()[0]
PEOPLE = 10
NEXT = "0004"
SCRIPT = '''"""A migration of tests"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{newest}"
branch_labels = None
depends_on = None
oldest_program = "{oldest_program}"


def upgrade() -> None:
{upgrade}
'''
NOTES = (
    'op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True),'
    ' sa.Column("participant_id", sa.Integer(), sa.ForeignKey("participants.id")))'
)
COLUMN = 'op.add_column("participants", sa.Column("note", sa.String(), nullable=True))'


def copy_release(folder: Path) -> Path:
    """The migrations of this release, in a folder of their own."""
    shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def add_migration(folder: Path, *upgrade: str, oldest_program: str = NOW) -> None:
    """Makes a release the next one."""
    text = SCRIPT.format(
        revision=NEXT,
        newest=NOW,
        oldest_program=oldest_program,
        upgrade="\n".join(f"    {line}" for line in upgrade),
    )
    (folder / "versions" / f"{NEXT}_next.py").write_text(text, encoding="utf-8")


@pytest.fixture
def release(tmp_path, monkeypatch):
    """`release("op. ...", oldest_program="0003")`: from now on the program is the next one."""

    def put_in_place(*upgrade, oldest_program=NOW):
        folder = copy_release(tmp_path / "release")
        add_migration(folder, *upgrade, oldest_program=oldest_program)
        monkeypatch.setattr(schema, "MIGRATIONS", folder)

    return put_in_place


@pytest.fixture
def database(running):
    return running.database


def state(database):
    """Version and columns."""
    with database.engine.connect() as connection:
        return schema.version(connection), schema._columns(connection)


def refusal(act):
    with pytest.raises(DatabaseError) as refused:
        act()
    [line] = str(refused.value).splitlines()
    return line


def test_a_migration_that_only_adds_is_no_hindrance_to_the_program_before(
    release, database, make_app, monkeypatch, person
):
    release(COLUMN)
    assert f"is of an older version ({NOW}): back it up and run" in refusal(database.prepare)
    database.migrate()
    database.prepare()
    monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS)
    app = make_app()  # the program before it, started anew
    someone = person(app_=app)
    someone.arrive()
    assert someone.agree().status_code == 200
    migrated = state(database)
    database.migrate()  # of the program before it, when that is put back
    assert state(database) == migrated


def test_a_migration_that_takes_away_ends_the_program_before(release, database, monkeypatch):
    release('op.drop_column("participants", "late")', oldest_program=NEXT)
    database.migrate()
    database.prepare()
    monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS)
    assert f"says it is of version {NEXT}, but lacks participants.late" in refusal(database.prepare)


def test_a_migration_that_asks_for_more_ends_the_program_before(release, database, monkeypatch):
    before = state(database)
    release(COLUMN, oldest_program=NEXT)
    line = refusal(lambda: database.migrate(serving=True))
    assert f"is as it was: servers of its version ({NOW}) could not go on; stop them" in line
    assert state(database) == before
    database.migrate()
    monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS)
    assert f"of version {NEXT}, which this program does not know" in refusal(database.prepare)
    assert f"of version {NEXT}, which this program does not know" in refusal(database.migrate)


def test_an_update_begins_with_a_backup_and_is_undone_by_it(
    release, database, running, database_url, tmp_path, clock
):
    """Also where the new version made a table that refers to an old one."""
    add(running, 2)
    release(COLUMN, NOTES)
    path = backup(running, tmp_path)
    database.migrate()
    with database.write() as session:
        session.execute(text("INSERT INTO notes (id, participant_id) VALUES (1, 1)"))
        session.execute(text("UPDATE participants SET outcome = 'returned'"))
    database.engine.dispose()
    restore(path, database_url, clock(), overwrite=True)
    database.prepare()
    with database.read() as session:
        assert session.scalars(select(Participant.outcome)).all() == ["completed"] * 2
        assert session.scalars(text("SELECT id FROM notes")).all() == []


@sqlite_only
def test_the_command_backs_up_what_is_of_an_older_version(bundle_folder, database_url, tmp_path):
    database = Database(database_url)
    with database.engine.begin() as connection:
        schema.upgrade(connection, "0002")
    database.engine.dispose()
    ours = {"STUDY": str(bundle_folder), "DATABASE_URL": database_url, "DATA": str(tmp_path)}
    for words, code in (["export", "--out", str(tmp_path / "export")], 1), (["backup"], 0):
        command = [sys.executable, "-m", "flask", "--app", "experiment_server", *words]
        done = subprocess.run(command, env={**os.environ, **ours}, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
    assert len(list((tmp_path / "backups").glob("study-*Z.sqlite"))) == 1


def test_each_migration_names_the_oldest_program_that_can_go_on():
    scripts = {script.revision: script.module for script in schema.scripts()}
    assert set(scripts) == set(schema.known())
    for revision, module in scripts.items():
        if revision > "0002":
            assert module.oldest_program in scripts
            assert module.oldest_program <= revision
    assert "\noldest_program = ${repr(up_revision)}\n" in (
        schema.MIGRATIONS / "script.py.mako"
    ).read_text(encoding="utf-8")


def test_a_migration_that_fails_leaves_nothing(release, database, running):
    add(running, 3)
    before = state(database)
    release(
        COLUMN,
        'op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True))',
        """op.execute("UPDATE participants SET note = 'x', stage = 'quiz'")""",
        'op.execute("SELECT no_such_column FROM participants")',
    )
    line = refusal(database.migrate)
    assert re.search("cannot be migrated, and is as it was: .*no_such_column", line)
    assert state(database) == before
    with database.read() as session:
        assert set(session.scalars(select(Participant.stage))) == {"end"}


@sqlite_only
def test_a_table_that_is_rebuilt_keeps_what_refers_to_it(release, database, running):
    add(running, 3)
    release(
        'with op.batch_alter_table("participants", recreate="always") as batch:',
        '    batch.add_column(sa.Column("note", sa.String(), nullable=True))',
    )
    database.migrate()
    with database.read() as session:
        assert session.scalars(select(func.count()).select_from(Response)).one() == 21
        assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    assert ("participants", "note") in state(database)[1]


@sqlite_only
def test_a_migration_that_leaves_orphans_is_undone(release, database, running):
    add(running, 3)
    release("op.execute('DELETE FROM participants WHERE id = 2')")
    assert "a migration left rows that refer to nothing" in refusal(database.migrate)
    with database.read() as session:
        assert session.scalars(select(func.count()).select_from(Participant)).one() == 3


@postgresql_only
def test_a_migration_waits_for_others_no_longer_than_people_can(release, database, running):
    add(running, 3)
    release(COLUMN)
    with database.read() as session:  # a backup, perhaps
        session.execute(select(Participant.id)).all()
        started = time.monotonic()
        line = refusal(database.migrate)
        assert time.monotonic() - started < 4
    assert line.endswith("as it was: canceling statement due to lock timeout; try again later")
    database.migrate()
    assert state(database)[0] == NEXT


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            ["UPDATE alembic_version SET version_num = '0001'"],
            "says it is of version 0001, but already has compatibility, already has"
            " request_counts, already has study_state.key_check",
        ),
        (
            ["DROP TABLE bonuses", "DROP TABLE compatibility"],
            f"says it is of version {NOW}, but lacks bonuses, lacks compatibility",
        ),
        (
            ["ALTER TABLE participants DROP COLUMN late"],
            f"says it is of version {NOW}, but lacks participants.late",
        ),
        (
            ["DELETE FROM alembic_version"],
            "has tables (admin_logins, audit, backups), but says of no version",
        ),
    ],
)
def test_tables_that_are_not_as_they_say(running, database, make_app, changes, fault):
    add(running, 3)
    with database.write() as session:
        for change in changes:
            session.execute(text(change))
    before = state(database)
    line = refusal(make_app)
    assert f"{database.place} {fault}" in line
    assert refusal(database.migrate) == line
    assert state(database) == before
    with database.read() as session:
        assert session.scalars(select(func.count()).select_from(Response)).one() == 21


def test_the_command_tries_whether_a_server_could_begin(app, make_app, monkeypatch, tmp_path):
    def migrate(app):
        return app.test_cli_runner().invoke(args=["migrate", "--serving"])

    assert migrate(app).output.endswith("is up to date\n")
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    monkeypatch.setattr(sys, "argv", ["flask", "migrate"])
    other = make_app(secret_key=SecretStr("another key of tests, of more than 32 characters"))
    answer = migrate(other)
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: SECRET_KEY is not the key")
    other = make_app(study=make_bundle(tmp_path / "other", name="other"))
    answer = migrate(other)
    assert answer.exit_code == 1
    assert "belongs to the study 'tiny'" in answer.output


def test_a_place_without_tables_is_filled(database):
    with database.engine.begin() as connection:
        for table in inspect(connection).get_table_names():
            cascade = "" if database.is_sqlite else " CASCADE"
            if table != "alembic_version":
                connection.execute(text(f"DROP TABLE {table}{cascade}"))
        connection.execute(text("DELETE FROM alembic_version"))
    database.prepare()
    assert state(database)[0] == NOW


def test_bots_notice_nothing_of_an_update(
    bundle_folder, database_url, backend, tmp_path, monkeypatch
):
    """Migrate, let an old worker die and come back, then put the new program in place and reload.

    Old and new workers serve the migrated database; nobody is refused, and nothing is lost.
    """
    count = 1 if backend == "sqlite" else 2
    release = copy_release(tmp_path / "release")
    monkeypatch.setenv("RELEASE", str(release))
    habits = Habits(pace=20.0, two_tabs=0.2, refresh=0.1, images=False)
    options = {"workers": count, "factory": "create_released_app"}
    with (
        serving(bundle_folder, database_url, tmp_path, **options) as server,
        crowd(server.url, PEOPLE, habits, seed="update") as bots,
    ):
        bots.wait_for_responses(PEOPLE + 1)
        migrate_to_next_release(database_url, tmp_path / "next", monkeypatch)
        os.kill(workers(server)[0], signal.SIGKILL)
        bots.wait_for(lambda: len(workers(server)) == count + 1)
        add_migration(release, COLUMN)
        server.process.send_signal(signal.SIGHUP)
        bots.wait_for(lambda: len(workers(server)) == 2 * count + 1)
        after_reload = len(bots.report.acknowledged)
        bots.thread.join()
        assert len(workers(server)) == 2 * count + 1
    assert bots.report.errors == []
    assert not bots.report.traffic.busy
    stored = stored_responses(database_url)
    assert set(stored.values()) == {1}
    assert set(stored) == set(bots.report.acknowledged)
    assert len(bots.report.acknowledged) > after_reload + PEOPLE
    assert stored_outcomes(database_url) == {"completed": PEOPLE}
    assert "Error" not in server.log.read_text()


def workers(server):
    """The processes that served or serve, the oldest first."""
    return [
        int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", server.log.read_text())
    ]


def migrate_to_next_release(database_url, folder, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(schema, "MIGRATIONS", copy_release(folder))
        add_migration(folder, COLUMN)
        database = Database(database_url)
        database.migrate(serving=True)
        database.engine.dispose()
