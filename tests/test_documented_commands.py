"""Every command of README.md and docs/ is understood, and the path of a study is walked by them."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from pathlib import Path

import click
import pytest
from bundles import make_bundle
from click.testing import CliRunner
from documented import ROOT, Command, commands
from flask.cli import FlaskGroup

import analysis
import experiment_server

COMMANDS = commands()
RUN = [one for one in COMMANDS if one.program == "flask" or one.program.startswith("python -m")]


def entry(module: str) -> click.Command:
    """The command behind `python -m module`."""
    found = importlib.import_module(module)
    if not isinstance(getattr(found, "main", None), click.Command):
        found = importlib.import_module(f"{module}.__main__")
    return found.main


def program(command: Command) -> click.Command:
    if command.program == "flask":
        return FlaskGroup(create_app=experiment_server.create_app)
    return entry(command.program.removeprefix("python -m "))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder in which the files that the pages name are there."""
    folder = tmp_path_factory.mktemp("documented")
    make_bundle(folder / "studies" / "mine")
    for name in ("fel2023", "demo"):
        shutil.copytree(folder / "studies" / "mine", folder / "studies" / name)
    shutil.copy(ROOT / "stimuli" / "studies" / "demo.toml", folder / "my_study.toml")
    shutil.copytree(ROOT / "stimuli" / "studies", folder / "stimuli" / "studies")
    for name in ("DIR", "photographs"):
        (folder / name).mkdir()
    for name in ("FILE", "bonuses.csv", "observers.csv"):
        (folder / name).touch()
    return folder


@pytest.fixture
def there(files, tmp_path, monkeypatch) -> None:
    """The folder of files is the current one, and a server would serve its study."""
    monkeypatch.chdir(files)
    monkeypatch.setenv("STUDY", str(files / "studies" / "mine"))
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "false")  # flask's commands set it for good
    for name in ("DATABASE_URL", "SETTINGS", "LIVE", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def understand(command: click.Command, words: list[str], parent: click.Context | None) -> None:
    """Parse as click does, down to the last subcommand, without running anything."""
    # Left, the context takes back what it has set up, such as Flask's current application.
    with command.make_context(command.name or "", list(words), parent=parent) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            _, inner, left = command.resolve_command(context, rest)
            assert inner is not None
            understand(inner, left, context)


@pytest.mark.parametrize("command", RUN, ids=lambda one: f"{one.page}: {one.text}")
def test_every_command_is_understood(command, there, monkeypatch):
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "y")
    for name, value in command.environment.items():
        monkeypatch.setenv(name, value)
    try:
        understand(program(command), command.arguments, None)
    except click.MissingParameter:
        assert command.is_mention
    except click.exceptions.Exit:
        assert "--help" in command.arguments


@pytest.mark.parametrize("command", [one for one in COMMANDS if one not in RUN], ids=str)
def test_every_other_command_names_what_is_there(command):
    if command.program == "make":
        target = command.words[1]
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    else:
        assert (ROOT / command.words[1]).is_file()


def test_an_option_that_is_not_there_is_noticed(there):
    wrong = Command("a page", "python -m analysis export/ --outt report/")
    with pytest.raises(click.NoSuchOption):
        understand(program(wrong), wrong.arguments, None)
    with pytest.raises(click.UsageError):
        understand(program(Command("", "flask --app x exprot --out a")), ["exprot"], None)


def first(beginning: str) -> str:
    """The first command on a line of its own that begins so."""
    return next(
        one.text for one in COMMANDS if not one.is_mention and one.text.startswith(beginning)
    )


def run(beginning: str, *changes: tuple[str, str]) -> str:
    """Run the first command of the pages that begins so, made smaller; what it prints."""
    text = first(beginning)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    command = Command("", text)
    done = CliRunner().invoke(program(command), command.arguments)
    assert done.exit_code == 0, f"{text}\n{done.output}\n{done.exception!r}"
    return done.output


SMALLER = [
    ("classes = [0, 1, 2, 3, 4, 5, 6, 7]", "classes = [0, 1]"),
    ("practice = [8, 9]", "practice = [8]"),
    ("steps = 32", "steps = 2"),
    ("steps = 64", "steps = 2"),
    ("trials = 6", "trials = 2"),
    ("trials = 3", "trials = 1"),
]


def test_the_path_of_a_study(there, tmp_path, monkeypatch):
    """As docs/tutorial.md goes it: two classes, pictures of two steps, few participants."""
    text = Path("my_study.toml").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDY", str(tmp_path / "studies" / "mine"))
    for old, new in SMALLER:
        assert old in text
        text = text.replace(old, new)
    Path("my_study.toml").write_text(text, encoding="utf-8")
    run(
        "python -m stimuli.build my_study.toml",
        (" --images photographs/", ""),
        (" --device cuda", " --device cpu"),
    )
    assert "predicted accuracy in 18 main trials" in run("python -m stimuli.observers studies/mine")
    told = run(
        "python -m analysis.power --bundle studies/mine",
        ("--participants 80 120 174", "--participants 24 --simulations 2 --jobs 1"),
    )
    assert "maco - control" in told
    flask = "flask --app experiment_server"
    run(f"{flask} rehearse", ("--participants 60", "--participants 24"))
    told = run("python -m analysis rehearsal/")
    assert "rehearsal-report/report.html" in told and "machine participants" in told
    results = json.loads(Path("rehearsal-report/results.json").read_text(encoding="utf-8"))
    assert results["kept"]["participants"] > 12
    assert CliRunner().invoke(program(Command("", f"{flask} check")), ["check"]).exit_code == 1
    run(f"{flask} export")
    assert "there are no rows" in refused("python -m analysis export/ --bundle studies/mine")


def refused(beginning: str) -> str:
    """The one line with which a command of the pages ends that cannot do its work."""
    command = Command("", first(beginning))
    done = CliRunner().invoke(program(command), command.arguments)
    assert done.exit_code != 0
    assert "Traceback" not in done.output
    return done.output


def test_the_demo_export_is_analysed(tmp_path):
    folder = Path(analysis.__file__).parent / "demo"
    words = [str(folder), "--out", str(tmp_path / "report")]
    done = CliRunner().invoke(entry("analysis"), words)
    assert done.exit_code == 0 and "maco" in done.output
