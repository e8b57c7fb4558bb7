"""A rehearsal: the same files again, in human time, marked as machines'; nothing stays behind."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from experiment_server.bots import LIKE_PEOPLE, Habits
from experiment_server.bots.observers import read_observed
from experiment_server.bundle import Bundle
from experiment_server.config import Settings
from experiment_server.rehearsal import rehearse, rehearse_command
from stimuli.observers.table import Observation, dump_observations
from stimuli.schema import read_study

FILES = {"trials.csv", "participants.csv", "codebook.json"}
MESSY = replace(
    LIKE_PEOPLE,
    drop_out=0.2,
    withdraw=0.2,
    come_back_late=0.2,
    misread=0.3,
    careless=0.2,
    small_window=0.15,
    refresh=0.2,
    two_tabs=0.3,
)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary folders go, to see that none stays."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def out(tmp_path):
    return tmp_path / "export"


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_observations(path, study, share=0.9, **changes):
    """An observer `clip` that is always right in maco, and as often as `share` elsewhere."""
    rows = [
        Observation(
            observer="clip",
            condition=condition,
            network=trial.network,
            unit=trial.unit.name,
            class_label=trial.unit.label,
            base_image=trial.base_image.image,
            trial_id=trial.id,
            trial_kind=trial.kind,
            evidence=1.0,
            p_favored=1.0 if condition == "maco" else share,
        )
        for condition in study.conditions
        for trial in study.trials
    ]
    path.write_text(dump_observations(rows), encoding="utf-8")
    return path


def test_the_same_seed_gives_the_same_files_and_another_gives_others(bundle_folder, tmp_path):
    for name, seed in (("one", "a"), ("again", "a"), ("other", "b")):
        rehearse(bundle_folder, tmp_path / name, participants=8, habits=MESSY, seed=seed)
    assert set(content(tmp_path / "one")) == FILES
    assert content(tmp_path / "one") == content(tmp_path / "again")
    assert content(tmp_path / "one")["trials.csv"] != content(tmp_path / "other")["trials.csv"]
    names = [
        {row["participant"] for row in table(tmp_path / name / "participants.csv")}
        for name in ("one", "other")
    ]
    assert not names[0] & names[1]


def test_loading_images_changes_no_answer_and_no_time(bundle_folder, tmp_path):
    for name, images in (("with", True), ("without", False)):
        habits = replace(MESSY, images=images)
        rehearse(bundle_folder, tmp_path / name, participants=6, habits=habits)
    with_images, without = content(tmp_path / "with"), content(tmp_path / "without")
    assert with_images["trials.csv"] == without["trials.csv"]
    assert with_images["participants.csv"] == without["participants.csv"]


def test_the_export_holds_what_the_participants_did(bundle_folder, out):
    report = rehearse(bundle_folder, out, participants=16, habits=MESSY, seed="2")
    told = Counter({outcome: counts.total() for outcome, counts in report.outcomes.items()})
    told["in_progress"] = told.pop("dropped_out")
    found = Counter(row["outcome"] for row in table(out / "participants.csv"))
    assert found == told
    assert {"completed", "in_progress", "withdrew", "unsuitable_device"} <= set(found)
    people = table(out / "participants.csv")
    assert {row["quiz_attempts"] for row in people} >= {"0", "1", "2"}
    gone = {row["participant"] for row in people} - {
        row["participant"] for row in table(out / "trials.csv")
    }
    assert gone  # who withdrew with the data, and who left before the first trial


def test_conditions_are_dealt_evenly(bundle_folder, out):
    rehearse(bundle_folder, out, participants=12, habits=Habits(images=False))
    people = table(out / "participants.csv")
    assert Counter(row["condition"] for row in people) == {"olah": 4, "maco": 4, "control": 4}
    assert len({(row["condition"], row["list"]) for row in people}) == 12  # each list once


def test_times_are_in_human_time(bundle_folder, out):
    rehearse(bundle_folder, out, participants=8, habits=Habits(images=False))
    people = {row["participant"]: row for row in table(out / "participants.csv")}
    answered = Counter()
    for row in table(out / "trials.csv"):
        shown, responded = (
            datetime.fromisoformat(row[f"{key}_at"]) for key in ("shown", "responded")
        )
        assert (responded - shown).total_seconds() * 1000 == pytest.approx(
            float(row["rt_ms"]), abs=2
        )
        answered[row["participant"]] += float(row["rt_ms"]) / 1000
    for name, row in people.items():
        assert 5 < float(row["instruction_s"]) < 300
        rest_s = float(row["duration_s"]) - float(row["instruction_s"]) - answered[name]
        assert 10 < rest_s < 300  # the other pages


def test_who_is_away_for_long_may_lose_the_place(bundle_folder, out):
    habits = Habits(come_back_late=0.6, away_s=7200, images=False)
    settings = Settings.model_validate({"recruitment": {"target_per_condition": 3}})
    rehearse(bundle_folder, out, participants=16, habits=habits, settings=settings)
    late = Counter(row["late"] for row in table(out / "participants.csv"))
    assert late["1"] >= 1 and late["0"] >= 8


def test_the_codebook_says_that_they_are_machines(bundle_folder, out):
    rehearse(bundle_folder, out, participants=3, habits=MESSY, seed="s", remarks={"observer": "o"})
    codebook = json.loads((out / "codebook.json").read_text())
    assert codebook["participants"] == "machine"
    told = codebook["rehearsal"]
    assert told["note"].startswith("These are machine participants: no person took part.")
    assert (told["seed"], told["observer"], told["habits"]["lapse"]) == ("s", "o", 0.03)
    assert codebook["exported_at"].startswith("2000-01-01T")
    browsers = {row["browser"] for row in table(out / "participants.csv")}
    assert {"Bot 1"} <= browsers <= {"Bot 1", ""}


def test_the_studys_settings_hold_apart_from_prolific_and_pilots(bundle_folder, out):
    settings = Settings.model_validate(
        {
            "recruitment": {"target_per_condition": 2, "pilot": True},
            "task": {"confidence_levels": 5},
            "questions": {"gender": False},
            "prolific": {"signed_entry": "required", "audience": "https://study.example.org"},
        }
    )
    habits = Habits(images=False)
    report = rehearse(bundle_folder, out, participants=10, habits=habits, settings=settings)
    assert report.outcomes["completed"].total() == 6
    assert report.outcomes["turned_away"].total() == 4
    trials, people = table(out / "trials.csv"), table(out / "participants.csv")
    assert {row["confidence"] for row in trials} <= set("12345")
    assert {row["gender"] for row in people} == {""}


def test_if_something_goes_wrong_nothing_is_exported(bundle_folder, out, monkeypatch):
    monkeypatch.setattr(Bundle, "image_path", lambda self, name: Path("nowhere.png"))
    with pytest.raises(RuntimeError, match=r"errors, so nothing was exported; .*GET /images/"):
        rehearse(bundle_folder, out, participants=2, habits=Habits())
    assert not out.exists()


@pytest.fixture
def command(bundle_folder, tmp_path, monkeypatch):
    """`command("--force", ...)`: the command line, for the small bundle."""
    monkeypatch.setenv("STUDY", str(bundle_folder))
    monkeypatch.setenv("DATA", str(tmp_path / "instance"))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'lab.sqlite'}")
    monkeypatch.delenv("SETTINGS", raising=False)

    def run(*words):
        given = ["--participants", "6", "--no-images", *map(str, words)]
        return CliRunner().invoke(rehearse_command, given)

    return run


def test_the_command_leaves_the_labs_database_and_keys_alone(command, out, tmp_path):
    done = command("--out", out)
    assert done.exit_code == 0, done.output
    assert "completed: " in done.output
    assert f"\n{out}: the export of 6 machine participants\n" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {"export", "temporary"}


def test_an_earlier_rehearsal_is_replaced_only_by_force(command, out):
    assert command("--out", out).exit_code == 0
    before = content(out)
    done = command("--out", out, "--seed", "2")
    assert (done.exit_code, content(out)) == (1, before)
    assert f"Error: {out} holds an earlier rehearsal: --force replaces it" in done.output
    assert command("--out", out, "--seed", "2", "--force").exit_code == 0
    assert content(out)["trials.csv"] != before["trials.csv"]


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("notes.txt", "mine", "holds files that are no earlier export: choose another --out"),
        ("codebook.json", '{"study": "tiny", "participants": "real"}', "of real participants in"),
        ("codebook.json", '{"study": "b", "participants": "machine"}', "in the study 'b', which"),
        ("codebook.json", "[]", "codebook.json cannot be read: choose another --out"),
    ],
)
def test_what_is_not_a_rehearsal_of_this_study_is_never_replaced(
    command, out, file, text, sentence, monkeypatch
):
    out.mkdir()
    (out / file).write_text(text)
    monkeypatch.setattr("experiment_server.rehearsal.run_bots", None)  # nothing starts
    done = command("--out", out, "--force")
    assert done.exit_code == 1
    assert sentence in done.output.splitlines()[-1]
    assert content(out) == {file: text.encode()}


def test_participants_answer_as_the_observer_does(command, bundle_folder, out, tmp_path):
    path = write_observations(tmp_path / "observers.csv", read_study(bundle_folder), share=0.0)
    plain = [
        word for name in ("lapse", "careless", "drop-out", "withdraw") for word in (f"--{name}", 0)
    ]
    done = command("--out", out, "--observer", "clip", "--observations", path, *plain)
    assert done.exit_code == 0, done.output
    mains = [row for row in table(out / "trials.csv") if row["trial_kind"] == "main"]
    assert {(row["condition"], row["correct"]) for row in mains} == {
        ("maco", "1"),
        ("olah", "0"),
        ("control", "0"),
    }
    told = json.loads((out / "codebook.json").read_text())["rehearsal"]
    assert told["observer"] == "clip" and len(told["observations_sha256"]) == 64


@pytest.mark.parametrize(
    ("observer", "edit", "sentence"),
    [
        ("clop", lambda text: text, "has no observer 'clop'; it has clip"),
        ("clip", lambda text: text.replace(",olah,", ",alah,"), "says nothing of 4 of the 12 main"),
        ("clip", lambda text: text.replace("p_favored", "p"), "no column 'p_favored'"),
    ],
)
def test_observations_of_something_else_are_told(
    command, bundle_folder, tmp_path, out, observer, edit, sentence
):
    path = write_observations(tmp_path / "observers.csv", read_study(bundle_folder))
    path.write_text(edit(path.read_text()))
    done = command("--out", out, "--observer", observer, "--observations", path)
    assert done.exit_code == 2
    assert sentence in done.output.splitlines()[-1]
    assert not out.exists()


def test_an_observers_probabilities_are_read_by_condition_and_trial(bundle_folder, tmp_path):
    study = read_study(bundle_folder)
    found = read_observed(write_observations(tmp_path / "o.csv", study), "clip", study)
    assert found["maco", study.trials[0].id] == 1.0
    assert found["control", study.trials[0].id] == 0.9


def test_ctrl_c_leaves_nothing(bundle_folder, tmp_path, temporary, out):
    words = [sys.executable, "-m", "flask", "--app", "experiment_server", "rehearse"]
    environment = {**os.environ, "STUDY": str(bundle_folder), "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [*words, "--participants", "5000", "--out", str(out)],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite that runs in the background of a shell ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 120
    while not list(temporary.glob("rehearsal-*/study.sqlite-wal")) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.splitlines()[-1] == "Aborted!"
    assert "Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} == {"temporary"}
