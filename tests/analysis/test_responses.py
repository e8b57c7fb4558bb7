"""Reading an export: a right one comes back as it was, a wrong one says where it is wrong."""

from __future__ import annotations

import hashlib
import json

import pandas as pd
import pytest
from exports import CLASSES, answer, make_export, person, write_table

from analysis.layouts import read_tidy, read_zimmermann
from analysis.responses import read_export


def complaint(folder):
    with pytest.raises(ValueError) as caught:
        read_export(folder)
    return str(caught.value)


def edited(folder, file, row, column, value):
    """The export with one cell of a file changed; row as a spreadsheet numbers it."""
    table = pd.read_csv(folder / file, dtype=str, keep_default_na=False)
    table.loc[row - 2, column] = value
    table.to_csv(folder / file, index=False)
    return folder


def test_an_export_comes_back_with_its_types(tmp_path):
    found = read_export(make_export(tmp_path))
    assert found.study == "tiny"
    assert (len(found.trials), len(found.main), len(found.participants)) == (12 * 27, 12 * 24, 12)
    assert found.remarks == ()
    types = found.trials.dtypes.astype(str)
    assert types["correct"] == types["trial_index"] == "int64"
    assert types["confidence"] == types["dropped_frames"] == "Int64"
    assert types["rt_ms"] == types["device_pixel_ratio"] == "float64"
    assert types["condition"] == types["response_side"] == "category"
    assert str(found.trials["shown_at"].dt.tz) == "UTC"
    assert found.trials["dropped_frames"].isna().all()


def test_the_apostrophe_against_formulas_is_taken_off(tmp_path):
    folder = make_export(tmp_path)
    assert "'=ruler" in (folder / "trials.csv").read_text()
    assert set(read_export(folder).trials["class_label"]) == set(CLASSES)


def test_conditions_stand_in_the_order_of_the_codebook(tmp_path):
    folder = make_export(tmp_path)
    levels = ["olah", "maco", "control", "never_dealt"]
    codebook = {"conditions": levels, "networks": ["ResNet", "ViT"]}
    (folder / "codebook.json").write_text(json.dumps(codebook))
    assert list(read_export(folder).trials["condition"].cat.categories) == levels[:3]
    (folder / "codebook.json").unlink()
    assert list(read_export(folder).trials["condition"].cat.categories) == sorted(levels[:3])


def test_what_only_practice_or_the_excluded_saw_is_no_level_of_the_main_trials(tmp_path):
    def change(trials, people):
        trials.append(answer("p0", "control", 99, "practice") | {"class_label": "boot"})

    found = read_export(make_export(tmp_path, change, participants=3))
    assert "boot" in found.trials["class_label"].cat.categories
    assert list(found.main["class_label"].cat.categories) == sorted(CLASSES)
    without = found.without(["p1"])
    assert list(without.main["condition"].cat.categories) == ["control", "olah"]
    assert without.participants["participant"].tolist() == ["p0", "p2"]


@pytest.mark.parametrize(
    ("file", "column", "value", "sentence"),
    [
        ("trials.csv", "rt_ms", "-3", "column rt_ms: '-3'; expected greater than or equal to 0"),
        ("trials.csv", "rt_ms", "NaN", "column rt_ms: 'NaN'; expected a finite number"),
        ("trials.csv", "rt_ms", "", "column rt_ms: empty; expected a valid number"),
        ("trials.csv", "correct", "2", "column correct: '2'; expected less than or equal to 1"),
        ("trials.csv", "correct", "0.5", "column correct: '0.5'; expected a valid integer"),
        ("trials.csv", "trial_kind", "test", "'test'; expected 'main', 'practice' or 'catch'"),
        ("trials.csv", "shown_at", "noon", "column shown_at: 'noon'; expected a valid datetime"),
        ("trials.csv", "condition", "mako", "'mako'; the codebook has control, maco, olah"),
        ("trials.csv", "participant", "p99", "participant 'p99' is not in participants.csv"),
        ("trials.csv", "study", "other", "column study: 'other', not 'tiny'"),
        ("participants.csv", "outcome", "done", "column outcome: 'done'; expected 'completed',"),
        ("participants.csv", "list", "", "list is empty although the outcome is 'completed'"),
        ("participants.csv", "participant", "p0", "'p0' is in row 2 already"),
    ],
)
def test_a_wrong_cell_is_named_by_file_row_column_and_value(
    tmp_path, file, column, value, sentence
):
    message = complaint(edited(make_export(tmp_path), file, 4, column, value))
    assert file in message
    assert "row 4" in message
    assert sentence in message


def test_all_problems_are_counted_and_five_are_shown(tmp_path):
    def spoil(trials, people):
        for trial in trials[10:17]:
            trial["rt_ms"] = "slow"

    message = complaint(make_export(tmp_path, spoil))
    assert "trials.csv: 7 problems; the first 5:" in message
    assert [line.split(",")[0] for line in message.splitlines()[1:]] == [
        f"  row {number}" for number in range(12, 17)
    ]


def test_a_contradiction_within_a_row_is_told(tmp_path):
    def spoil(trials, people):
        trials[2]["correct"] = 1 - trials[2]["correct"]

    message = complaint(make_export(tmp_path, spoil))
    assert "row 4, correct = " in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda trials, people: trials.append(dict(trials[0])),
            "trial_index 0 is in row 2 already",
        ),
        (
            lambda trials, people: people.append(person("p77", "maco")),
            "participants.csv, row 14: 'p77' completed, but has no trials",
        ),
        (
            lambda trials, people: trials.append(answer("p0", "maco", 99)),
            "column condition: 'maco', but participant 'p0' was dealt 'control'",
        ),
        (
            lambda trials, people: people[0].update(condition="maco"),
            "row 2, column condition: 'control', but participant 'p0' was dealt 'maco'",
        ),
        (lambda trials, people: trials.clear(), "trials.csv: there are no rows"),
        (lambda trials, people: people.clear(), "participants.csv: there are no rows"),
    ],
    ids=[
        "repeated",
        "no trials",
        "two conditions",
        "dealt another",
        "no trial rows",
        "no participant rows",
    ],
)
def test_what_no_row_shows_by_itself_is_refused(tmp_path, change, sentence):
    assert sentence in complaint(make_export(tmp_path, change))


def test_who_declined_needs_no_trials(tmp_path):
    gone = person("p77", None, list="", outcome="declined_consent", finished_at="", duration_s="")
    found = read_export(make_export(tmp_path, lambda trials, people: people.append(gone)))
    assert len(found.participants) == 13


def test_a_single_condition_is_remarked_on_and_read(tmp_path):
    found = read_export(make_export(tmp_path, accuracy={"maco": 0.9}))
    assert found.remarks == ("the only condition is 'maco': there is nothing to compare it with",)


def test_a_file_changed_after_the_export_is_remarked_on(tmp_path):
    folder = make_export(tmp_path)
    digest = hashlib.sha256((folder / "trials.csv").read_bytes()).hexdigest()
    codebook = json.loads((folder / "codebook.json").read_text())
    codebook["files"] = {"trials.csv": {"sha256": digest}}
    (folder / "codebook.json").write_text(json.dumps(codebook))
    assert read_export(folder).remarks == ()
    edited(folder, "trials.csv", 2, "rt_ms", "1")
    (remark,) = read_export(folder).remarks
    assert remark.startswith("trials.csv was changed after the export")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda text: text.replace("rt_ms", "rt", 1), "row 1: there is no column 'rt_ms'"),
        (lambda text: text.replace(",", ";"), "separated by semicolons; save it again with commas"),
        (lambda text: text + "tiny,p0\n", "row 326: 2 cells, but the header has 23"),
        (lambda text: "", "the file is empty"),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path, spoil, sentence):
    path = make_export(tmp_path) / "trials.csv"
    path.write_text(spoil(path.read_text()))
    assert sentence in complaint(tmp_path)


def test_a_folder_without_an_export_is_refused(tmp_path):
    told = complaint(tmp_path)
    assert told.startswith(f"{tmp_path}: there is no trials.csv and no participants.csv in it")
    assert "make one with flask --app experiment_server export" in told
    assert complaint(tmp_path / "none").endswith("no such folder; give the folder of an export")


def test_who_or_what_is_not_in_an_export_is_named(tmp_path):
    export = read_export(make_export(tmp_path))
    with pytest.raises(ValueError, match="trial_kind 'mian'; allowed: main, practice, catch"):
        export.of_kind("mian")
    with pytest.raises(ValueError, match="there is no participant 'nobody' in the export 'tiny'"):
        export.without(["p1", "nobody"])
    assert "p1" not in set(export.without("p1").trials["participant"])


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path):
    """A byte-order mark, Windows line ends and blank lines at the end."""
    folder = make_export(tmp_path)
    text = (folder / "trials.csv").read_text().replace("\n", "\r\n")
    (folder / "trials.csv").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    assert len(read_export(folder).trials) == 12 * 27


def test_a_tidy_table_is_read_through_a_mapping(tmp_path):
    rows = [
        {"subject": f"s{who}", "visualization": "ab"[who % 2], "class": "owl", "hit": hit}
        for who in range(4)
        for hit in ("TRUE", "0")
    ]
    names = {"participant": "subject", "condition": "visualization", "correct": "hit"}
    found = read_tidy(write_table(tmp_path / "t.csv", rows), names | {"class_label": "class"})
    assert found.main["correct"].tolist() == [1, 0] * 4
    assert found.main["trial_index"].tolist() == [0, 1] * 4
    assert found.participants["condition"].tolist() == ["a", "b", "a", "b"]
    assert "rt_ms" not in found.trials


def test_the_simulated_study_is_read(shared_data):
    names = {"condition": "visualization", "class_label": "class", "base_image": "image"}
    found = read_tidy(shared_data / "glmm" / "maco_sim.csv", names)
    assert (len(found.main), len(found.participants)) == (8874, 174)


@pytest.mark.parametrize(
    ("names", "value", "sentence"),
    [
        ({"condition": "c"}, "1", "there is no column 'c'"),
        ({"outcome": "x"}, "1", "mapping: 'outcome' is none of the columns participant,"),
        ({}, "0.5", "row 2, column correct: '0.5'; expected a valid integer"),
        ({}, "NaN", "row 2, column correct: 'NaN'; expected a valid integer"),
        ({}, "", "row 2, column correct: empty; expected a valid integer"),
    ],
)
def test_a_wrong_tidy_table_is_refused(tmp_path, names, value, sentence):
    path = write_table(
        tmp_path / "t.csv", [{"participant": "s", "condition": "a", "correct": value}]
    )
    with pytest.raises(ValueError) as caught:
        read_tidy(path, names)
    assert sentence in str(caught.value)


def test_the_published_layout_is_read_with_its_confidence_turned_round(tmp_path):
    """Six buttons, labelled 3 2 1 | 1 2 3; the file holds 1 2 3 | 1 2 3."""
    rows = [
        {
            "mode": "natural",
            "task_id": "natural-4",
            "response_index": 0,
            "correct": button in (0, 5),
            "rt": 900.5,
            "button_pressed": button,
            "confidence": button % 3 + 1,
            "is_demo": False,
            "catch_trial": button == 2,
            "layer": "mixed3a",
            "kernel_size": "3x3",
            "channel": 0,
            "batch": button,
            "min_query_activation": 1.5,
            "max_query_activation": 4.0,
        }
        for button in range(6)
    ]
    found = read_zimmermann(write_table(tmp_path / "df_trials.csv", rows)).trials
    assert found["confidence"].tolist() == [3, 2, 1, 1, 2, 3]
    assert found["response_side"].tolist() == ["left"] * 3 + ["right"] * 3
    assert (found["favored_side"] == found["response_side"]).tolist() == [
        True, False, False, False, False, True,
    ]  # fmt: skip
    assert found["correct"].tolist() == [1, 0, 0, 0, 0, 1]
    assert found["trial_kind"].tolist() == ["main", "main", "catch", "main", "main", "main"]
    assert set(found["activation_difference"]) == {2.5}
