"""Starting: what configuration, bundle and database must be, and what is said if not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from bundles import make_bundle
from pydantic import SecretStr
from sqlalchemy import delete, select, text
from stories import DEVICE
from werkzeug.security import generate_password_hash

from experiment_server import create_app
from experiment_server.bundle import Bundle
from experiment_server.config import ConfigError, read_config, read_settings
from experiment_server.database import Database, DatabaseError
from experiment_server.models import Identity, Participant

LONG = "x" * 32


def environment(tmp_path, bundle_folder, **more: str) -> dict[str, str]:
    return {"STUDY": str(bundle_folder), "DATA": str(tmp_path / "data"), **more}


def test_with_nothing_set_it_runs_locally_with_a_key_of_its_own(tmp_path, bundle_folder):
    config = read_config(environment(tmp_path, bundle_folder))
    key = tmp_path / "data" / "secret_key"
    assert len(key.read_text()) >= 32
    assert key.stat().st_mode & 0o077 == 0
    assert read_config(environment(tmp_path, bundle_folder)).secret_key == config.secret_key
    assert config.database_url.startswith("sqlite:///")
    assert key.read_text() not in repr(config)


def test_processes_that_start_together_agree_on_a_key(tmp_path, bundle_folder, monkeypatch):
    theirs = "k" * 43

    def come_second(draft, path):
        path.write_text(theirs)
        raise FileExistsError

    monkeypatch.setattr("experiment_server.config.os.link", come_second)
    config = read_config(environment(tmp_path, bundle_folder))
    assert config.secret_key.get_secret_value() == theirs
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret_key"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"LIVE": "1"}, "SECRET_KEY is not"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY has 5 characters"),
        ({"PROXIES": "one"}, "PROXIES is 'one'"),
        ({"SETTINGS": "nowhere.toml"}, "SETTINGS = nowhere.toml: cannot be read"),
        ({"DATA": "/dev/null/data"}, "DATA = /dev/null/data: the key secret_key cannot be kept"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path, bundle_folder, given, message):
    with pytest.raises(ConfigError, match=message):
        read_config(environment(tmp_path, bundle_folder, **given))


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[task]\ngap = 3", r"task: unknown key 'gap'; .* nearest: gap_ms"),
        ("[tusk]", r"settings.toml: unknown key 'tusk'; .* nearest: task"),
        ("[task]\ngap_ms = -1", r"task.gap_ms = -1: Input should be greater"),
        ("[recruitment]\ntarget_per_condition = 0", r"recruitment.target_per_condition"),
        ("[prolific.codes]\nwon = 'A'", r"prolific.codes.won"),
        ("[task", "not valid TOML"),
    ],
)
def test_settings_files_with_faults(tmp_path, toml, message):
    path = tmp_path / "settings.toml"
    path.write_text(toml)
    with pytest.raises(ConfigError, match=message):
        read_settings(path)


def test_a_condition_that_the_study_does_not_have(make_app):
    with pytest.raises(ConfigError, match="'moco' is none of the study's: olah, maco, control"):
        make_app({"recruitment": {"conditions": ["maco", "moco"]}})


def test_bundles_that_are_incomplete_or_changed(make_app, tmp_path):
    folder = make_bundle(tmp_path / "own", name="own")
    image = next((folder / "images").iterdir())
    content = image.read_bytes()
    image.write_bytes(content[:-1] + b"x")
    with pytest.raises(ValueError, match="SHA-256 is"):
        make_app(study=folder)
    image.unlink()
    with pytest.raises(ValueError, match="the image is missing"):
        make_app(study=folder)
    with pytest.raises(ValueError, match=r"there is no study\.json in it"):
        make_app(study=tmp_path / "nowhere")


def test_a_database_of_another_study(make_app, tmp_path):
    make_app()
    other = make_bundle(tmp_path / "other", name="other")
    with pytest.raises(DatabaseError, match="belongs to the study 'tiny'"):
        make_app(study=other)


def test_a_database_of_a_newer_program(make_app, running):
    with running.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        session.execute(text("UPDATE compatibility SET oldest_program = '9998'"))
    with pytest.raises(DatabaseError, match="version 9999, which this program does not know"):
        make_app()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_files_that_are_no_database(make_app, tmp_path):
    path = tmp_path / "notes.sqlite"
    path.write_text("These are notes. " * 100)
    with pytest.raises(DatabaseError, match=r"notes.sqlite cannot be opened"):
        make_app(database_url=f"sqlite:///{path}")
    with pytest.raises(DatabaseError, match="sqlite:///FILE or postgresql"):
        Database("mysql://somewhere/study")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_is_committed_is_on_disk(running):
    with running.database.read() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert session.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL
        assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_the_tables_are_those_of_the_models(running):
    """A model that was changed without a migration is found here."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from experiment_server.models import Row

    with running.database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Row.metadata) == []


@pytest.fixture
def command(app):
    return lambda *words: app.test_cli_runner().invoke(args=list(words))


def test_check_says_what_is_missing(command):
    answer = command("check")
    assert answer.exit_code == 1
    for topic in ("LIVE", "ADMIN_PASSWORD_HASH", "prolific.codes"):
        assert f"MISSING {topic}" in answer.output
    assert "ok      study: 'tiny'" in answer.output


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "MISSING SECRET_KEY: it is a local one"),
        ({"SECRET_KEY": LONG}, "ok      SECRET_KEY: set"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_check_knows_a_local_key_from_one_that_is_set(
    tmp_path, bundle_folder, database_url, given, sentence
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret_key").write_text("y" * 43)
    given = {"DATABASE_URL": database_url, **given}
    app = create_app(read_config(environment(tmp_path, bundle_folder, **given)))
    assert sentence in app.test_cli_runner().invoke(args=["check"]).output


def test_check_is_content_when_all_is_there(make_app):
    codes = ("completed", "declined_consent", "unsuitable_device", "screened_out", "failed_checks")
    app = make_app(
        {
            "recruitment": {"target_per_condition": 40},
            "prolific": {
                "codes": {name: f"CODE{at}" for at, name in enumerate(codes)},
                "audience": "https://study.example.org",
                "reward_minor": 150,
                "estimated_min": 8,
            },
        },
        live=True,
        admin_password_hash=SecretStr(generate_password_hash("a password")),
    )
    answer = app.test_cli_runner().invoke(args=["check"])
    assert answer.exit_code == 0, answer.output
    assert "MISSING" not in answer.output
    assert "Ready for real participants." in answer.output


@pytest.mark.parametrize("place", ["half", "half.partial"])
def test_a_build_that_did_not_end_is_told_from_no_bundle(tmp_path, place):
    (tmp_path / "half.partial").mkdir()
    with pytest.raises(ValueError, match=rf"STUDY = .*{place}: its build did not end; run the"):
        Bundle(tmp_path / place)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "DATABASE_URL is no address of a database: sqlite:///FILE or postgresql"),
        ("postgresql://u:secret@host:port/x", "DATABASE_URL is no address of a database"),
        ("mysql://u:secret@host/x", r"DATABASE_URL mysql://u:\*\*\*@host/x: sqlite:///FILE or"),
        ("sqlite+other:///x", r"DATABASE_URL sqlite\+other:///x: sqlite:///FILE or"),
        ("sqlite:////dev/null/x/y.sqlite", "cannot be opened: Not a directory"),
    ],
)
def test_addresses_that_are_no_database(url, message):
    with pytest.raises(DatabaseError, match=message) as error:
        Database(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_serve_says_that_a_port_is_taken(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = command("serve", "--port", port)
    assert answer.exit_code == 1
    assert f"Error: port {port} cannot be used (" in answer.output
    assert "http://" not in answer.output


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("serve --port 80000", "80000 is not in the range 1<=x<=65535"),
        ("serve --threads 0", "0 is not in the range x>=1"),
        ("link --url study.example.org", "study.example.org: an address begins with https://"),
        ("keys --out /dev/null/keys.txt", "/dev/null/keys.txt cannot be written"),
    ],
)
def test_wrong_options_are_named(command, line, sentence):
    answer = command(*line.split())
    assert isinstance(answer.exception, SystemExit)
    assert answer.exit_code != 0
    assert sentence in answer.output.splitlines()[-1]


def test_link_keeps_prolifics_placeholders(command):
    answer = command("link", "--url", "https://study.example.org/")
    assert answer.output.strip() == (
        "https://study.example.org/?PROLIFIC_PID={{%PROLIFIC_PID%}}"
        "&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    assert "give --url" in command("link").output


def test_a_link_to_try_leads_in(command, app):
    link = command("link", "--url", "http://127.0.0.1", "--try").output.strip()
    assert app.test_client().get(link.removeprefix("http://127.0.0.1")).status_code == 200


def test_keys_of_all_participants(command, person, tmp_path):
    someone = person()
    someone.arrive()
    someone.agree()
    out = tmp_path / "keys.txt"
    assert command("keys", "--out", str(out)).exit_code == 0
    [key] = out.read_text().split()
    assert someone.pid not in key


@pytest.mark.parametrize(("from_command", "code"), [("true", 1), ("false", 3)])
def test_who_starts_it_reads_one_line(
    monkeypatch, capsys, tmp_path, bundle_folder, from_command, code
):
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", from_command)
    monkeypatch.setenv("STUDY", str(tmp_path / "nowhere"))
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    with pytest.raises(SystemExit) as ended:
        create_app()
    assert ended.value.code == code
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: STUDY = {tmp_path}/nowhere: there is no study.json")


def test_another_secret_key_is_noticed(make_app, monkeypatch):
    make_app()
    other = SecretStr("another key of tests, of more than 32 characters")
    sentence = "is not the key that the database .* was begun with: nobody would be known again"
    with pytest.raises(ConfigError, match=f"SECRET_KEY {sentence}"):
        make_app(secret_key=other)
    with pytest.raises(ConfigError, match=f"instance/secret_key {sentence}"):
        make_app(secret_key=other, key_is_local=True)
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    monkeypatch.setattr(sys, "argv", ["flask", "check"])
    answer = make_app(secret_key=other).test_cli_runner().invoke(args=["check"])
    assert "MISSING SECRET_KEY: SECRET_KEY is not the key" in answer.output
    assert answer.exit_code == 1


def test_people_are_known_by_a_new_key_when_theirs_is_lost(make_app, person, monkeypatch):
    someone, forgotten = person(), person()
    for one in (someone, forgotten):
        one.arrive()
        one.agree()
        one.post("/study/device", report=DEVICE)
    other = SecretStr("another key of tests, of more than 32 characters")
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    monkeypatch.setattr(sys, "argv", ["flask", "rekey"])
    app = make_app(secret_key=other)
    with app.extensions["experiment"].database.write() as session:
        session.execute(delete(Identity).where(Identity.prolific_pid == forgotten.pid))
    answer = app.test_cli_runner().invoke(args=["rekey"])
    assert answer.output.startswith("known by the present key: 1; they come back")
    assert "since their Prolific ids were forgotten: 1\n" in answer.output
    monkeypatch.undo()
    app = make_app(secret_key=other)
    someone.move_to(app.test_client())
    assert someone.client.get("/study").status_code == 401  # the old cookie
    assert "welcome back" in someone.arrive().get_data(as_text=True).lower()
    assert "/study/instructions" in someone.agree().get_data(as_text=True)
    with app.extensions["experiment"].database.read() as session:
        assert len(session.scalars(select(Participant.id)).all()) == 2


@pytest.mark.parametrize("line", ["--help", "export --help", "rehearse --help", "prolific --help"])
def test_help_prints_where_there_is_no_study(line, tmp_path):
    done = flask(line, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: ")
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_bots_need_no_study_of_their_own(tmp_path):
    done = flask("bots --url http://127.0.0.1:1", tmp_path)
    assert done.stderr.startswith("Error: no server answers at http://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def test_an_option_that_names_a_command_is_none(tmp_path):
    done = flask("export --out bots", tmp_path)
    assert "Error: STUDY = " in done.stderr


def flask(line, folder):
    """The command line in a folder without a study."""
    words = [sys.executable, "-m", "flask", "--app", "experiment_server", *line.split()]
    outside = {"STUDY", "DATA", "SETTINGS", "DATABASE_URL", "SECRET_KEY"}
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
