"""python -m analysis as a user types it: a report, or one clear line."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from bundles import make_bundle
from click.testing import CliRunner, Result
from exports import make_export, simulate, write_table
from pictured import make_bundle_and_export

from analysis.__main__ import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(result: Result) -> str:
    """The one line of an error; a traceback is no line."""
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.output
    return lines[0]


def bytes_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def export(tmp_path_factory) -> Path:
    return make_export(tmp_path_factory.mktemp("command") / "export")


def test_an_export_becomes_a_report_and_a_screen_of_results(export, tmp_path):
    out = tmp_path / "new" / "report"
    result = run(export, "--out", out, "--bootstrap", 2)
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.parent.iterdir()} == {"report"}
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert found["bootstrap_draws"] == 2
    assert (
        found["export"]["files"]["trials.csv"]
        == hashlib.sha256((export / "trials.csv").read_bytes()).hexdigest()
    )
    shown = result.stdout.splitlines()
    assert str(out / "report.html") in shown
    assert any(line.startswith("maco") and "%" in line for line in shown)
    assert any(line.startswith("control - maco") and "< .001" in line for line in shown)
    assert len(shown) < 30


def test_the_screen_says_that_participants_are_machines(tmp_path):
    folder = make_export(tmp_path / "export", participants=6)
    codebook = json.loads((folder / "codebook.json").read_text(encoding="utf-8"))
    codebook["participants"] = "machine"
    (folder / "codebook.json").write_text(json.dumps(codebook), encoding="utf-8")
    result = run(folder, "--out", tmp_path / "report")
    assert result.exit_code == 0, result.output
    assert "These are machine participants, not people" in result.stdout
    assert "6 machine participants, 144 main trials" in result.stdout


def test_bots_in_place_of_browsers_are_machines(tmp_path):
    def call_bots(trials, people):
        for row in people:
            row["browser"] = "Bot 1"

    folder = make_export(tmp_path / "export", call_bots, participants=6)
    result = run(folder, "--out", tmp_path / "report")
    assert "6 machine participants, 144 main trials" in result.stdout
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    box = page.split('id="cautions"')[1]
    assert "These are machine participants" in box.split("<li>")[1]


def test_the_same_command_gives_the_same_bytes_and_replaces_its_own_report(export, tmp_path):
    for name in ("first", "second", "second"):
        assert run(export, "--out", tmp_path / name, "--seed", 3).exit_code == 0
    assert bytes_of(tmp_path / "first") == bytes_of(tmp_path / "second")


def test_a_tidy_table_is_read_by_its_own_names(tmp_path):
    trials, _ = simulate()
    rows = [
        {"who": row["participant"], "visualization": row["condition"], "right": row["correct"]}
        for row in trials
    ]
    path = write_table(tmp_path / "tidy.csv", rows)
    mapping = ("--tidy", "participant=who", "condition=visualization", "correct=right")
    result = run(path, "--out", tmp_path / "report", *mapping)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert list(found["exclusions"]["rules"]) == ["below_chance"]
    assert found["export"]["remarks"] == [
        "The rule incomplete was not applied: the data have no column outcome.",
        "The rule duplicate was not applied: the data have no column trial_id.",
    ]


def test_a_published_table_of_zimmermann_is_read(tmp_path):
    trials, _ = simulate()
    rows = [
        {"mode": row["condition"], "task_id": row["participant"], "response_index": 0}
        | {"correct": row["correct"], "rt": row["rt_ms"], "layer": row["network"]}
        | {"kernel_size": 3, "channel": row["unit"], "batch": number}
        for number, row in enumerate(trials)
    ]
    path = write_table(tmp_path / "df_trials.csv", rows)
    result = run(path, "--zimmermann", "--out", tmp_path / "report")
    assert result.exit_code == 0, result.output
    assert (
        "network"
        not in json.loads((tmp_path / "report" / "results.json").read_bytes())["kept"]["factors"]
    )


@pytest.fixture(scope="module")
def with_bundle(tmp_path_factory) -> tuple[Path, Path]:
    return make_bundle_and_export(tmp_path_factory.mktemp("of the bundle"))


def test_a_bundle_adds_activations_and_images(with_bundle, tmp_path):
    bundle, export = with_bundle
    result = run(export, "--bundle", bundle, "--out", tmp_path / "report")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert "activation_correlation" in found["kept"]["descriptives"]
    assert "bundle/study.json" in found["export"]["files"]
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Activations and object-blind baselines</h2>" in page
    assert "The task</h2>" in page and "Units</h2>" in page


def test_the_bundle_of_another_study_is_refused(export, with_bundle, tmp_path):
    bundle, own = with_bundle
    result = run(export, "--bundle", bundle, "--out", tmp_path / "report")
    assert "has no trial 'main-ResNet-" in refused(result)
    other = make_bundle(tmp_path / "other", name="other")
    result = run(own, "--bundle", other, "--out", tmp_path / "report")
    assert "is the bundle of 'other', the export is of 'tiny'" in refused(result)
    assert not (tmp_path / "report").exists()


def test_a_bundle_that_was_changed_since_the_study_is_refused(with_bundle, tmp_path):
    bundle, export = with_bundle
    codebook = json.loads((export / "codebook.json").read_text(encoding="utf-8"))
    changed = tmp_path / "export"
    changed.mkdir()
    for path in export.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    codebook["study_digest"] = "f" * 64
    (changed / "codebook.json").write_text(json.dumps(codebook), encoding="utf-8")
    result = run(changed, "--bundle", bundle, "--out", tmp_path / "report")
    assert "is not the file the export was made with" in refused(result)


def copy(bundle: Path, folder: Path) -> Path:
    return Path(shutil.copytree(bundle, folder))


def an_image(bundle: Path) -> Path:
    return sorted((bundle / "images").iterdir())[0]


def test_a_bundle_with_a_missing_or_changed_image_is_refused_in_a_line(
    with_bundle, tmp_path, monkeypatch
):
    monkeypatch.setattr("analysis.__main__.analyse", None)
    bundle, export = with_bundle
    broken = copy(bundle, tmp_path / "bundle")
    an_image(broken).write_bytes(b"no image")
    told = refused(run(export, "--bundle", broken, "--out", tmp_path / "report"))
    assert an_image(broken).name in told and "SHA-256" in told
    an_image(broken).unlink()
    told = refused(run(export, "--bundle", broken, "--out", tmp_path / "report"))
    assert "the image is missing" in told
    assert not (tmp_path / "report").exists()


def test_a_bundle_without_its_images_gives_the_numbers_and_says_so(with_bundle, tmp_path):
    bundle, export = with_bundle
    alone = tmp_path / "bundle"
    alone.mkdir()
    (alone / "study.json").write_bytes((bundle / "study.json").read_bytes())
    assert run(export, "--bundle", alone, "--out", tmp_path / "report").exit_code == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "The bundle came without images/" in page
    assert "Activations and object-blind baselines</h2>" in page
    assert "The task" not in page and "Units" not in page


def test_a_condition_that_the_bundle_has_not_is_refused_in_a_line(with_bundle, tmp_path):
    bundle, export = with_bundle
    trials = export.joinpath("trials.csv").read_text(encoding="utf-8")
    people = export.joinpath("participants.csv").read_text(encoding="utf-8")
    other = tmp_path / "export"
    other.mkdir()
    (other / "trials.csv").write_text(trials.replace(",olah,", ",lucid,"), encoding="utf-8")
    (other / "participants.csv").write_text(people.replace(",olah,", ",lucid,"), encoding="utf-8")
    told = refused(run(other, "--bundle", bundle, "--out", tmp_path / "report"))
    assert "the bundle has no condition 'lucid' of the export; it has olah, maco, control" in told


def empty(trials, people):
    trials.clear()


def lone(trials, people):
    for row in trials + people:
        row["condition"] = "maco"


def practice(trials, people):
    for row in trials:
        row["trial_kind"] = "practice"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (empty, "trials.csv: there are no rows"),
        (lone, "the only condition is 'maco', so there is nothing to compare"),
        (practice, "there are no main trials"),
    ],
)
def test_an_export_that_cannot_be_analysed_is_refused_in_a_line(change, told, tmp_path):
    folder = make_export(tmp_path / "export", change)
    result = run(folder, "--out", tmp_path / "report")
    assert told in refused(result)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_exclusions_that_leave_one_condition_are_refused_in_a_line(tmp_path):
    def unfinished(trials, people):
        for row in people:
            if row["condition"] != "maco":
                row |= {"outcome": "withdrew", "finished_at": ""}

    result = run(make_export(tmp_path / "export", unfinished), "--out", tmp_path / "report")
    assert "after exclusions the only condition is 'maco'" in refused(result)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--seed", "x"], "Invalid value for '--seed'"),
        (["--bootstrap", "-5"], "Invalid value for '--bootstrap'"),
        (["--tidy", "condition=group"], "is a folder: --tidy and --zimmermann read a CSV file"),
        (["--zimmermann"], "is a folder: --tidy and --zimmermann read a CSV file"),
        (["--bundle", "nowhere"], "nowhere/study.json: cannot be read"),
        (["stray"], "'stray' is not understood"),
    ],
)
def test_wrong_options_are_refused_in_a_line(export, options, told, tmp_path):
    result = run(export, "--out", tmp_path / "report", *options)
    assert told in refused(result)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_export_and_a_missing_file_are_refused_in_a_line(export, tmp_path):
    assert "there is no such export" in refused(run(tmp_path / "none", "--out", tmp_path / "r"))
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "trials.csv").write_bytes((export / "trials.csv").read_bytes())
    told = refused(run(tmp_path / "export", "--out", tmp_path / "report"))
    assert "participants.csv" in told


def test_a_mapping_that_is_none_is_refused_in_a_line(tmp_path):
    path = write_table(tmp_path / "tidy.csv", [{"participant": "p", "right": 1}])
    told = refused(run(path, "--out", tmp_path / "report", "--tidy", "correct"))
    assert "--tidy correct: write OURS=THEIRS" in told


def test_a_folder_of_other_files_is_refused_before_any_work(export, tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.__main__.analyse", None)
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    told = refused(run(export, "--out", tmp_path))
    assert "holds files that are no earlier report" in told
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_one_wrong_cell_is_named_with_its_row(tmp_path):
    def outside(trials, people):
        trials[4]["correct"] = 2

    folder = make_export(tmp_path / "export", outside)
    told = refused(run(folder, "--out", tmp_path / "report"))
    assert "trials.csv" in told and "row 6, column correct" in told
