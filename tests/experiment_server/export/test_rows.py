"""The export, read back as an analysis would read it."""

from __future__ import annotations

import json

import pytest
from crowds import add, participants, responses
from exported import read, sqlite_only
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from analysis.exclusions import BelowChance, Late, is_preregistered, preregistered
from analysis.responses import read_export
from analysis.tables import plain
from experiment_server import export as exporting
from experiment_server import models
from experiment_server.export import cell, export
from experiment_server.text import QUIZ
from stimuli.schema import Participant, Response


def test_every_row_reads_back_right(running, out):
    add(running, 2)
    assert export(running, out) == {"trials.csv": 14, "participants.csv": 2}
    rows = read(out / "trials.csv")
    assert list(rows[0]) == list(Response.model_fields)
    assert [row["trial_index"] for row in rows[:7]] == list("0123456")
    assert {row["participant"] for row in rows} == {"p000000000001", "p000000000002"}
    for row in rows:
        valid = Response.model_validate(row)
        trial = running.bundle.trials[valid.trial_id]
        assert (valid.network, valid.unit) == (trial.network, trial.unit.name)
        assert (valid.trial_kind, valid.favored_side) == (trial.kind, trial.favored_side)
        assert valid.base_image == trial.base_image.image
        assert valid.correct == (trial.favored_side == "left")
        assert (valid.rt_ms, valid.confidence) == (800.25, None)
        assert (valid.dropped_frames, valid.viewport_height_px) == (1, 720.5)
    assert rows[0]["shown_at"] == "2026-03-01T12:02:00.123Z"
    assert (rows[0]["viewport_width_px"], rows[0]["correct"]) == ("1280", "1")

    people = [Participant.model_validate(row) for row in read(out / "participants.csv")]
    assert people[0].outcome == "completed"
    assert (people[0].condition, people[0].list) == ("maco", 0)
    assert (people[0].duration_s, people[0].instruction_s) == (540.0, 31.25)
    assert (people[0].browser, people[0].refresh_hz, people[0].age_years) == (
        "Chromium 150",
        60.0,
        None,
    )


def test_the_codebook_describes_every_column(running, out):
    add(running)
    export(running, out)
    book = json.loads((out / "codebook.json").read_text(encoding="utf-8"))
    for name, model in (("trials.csv", Response), ("participants.csv", Participant)):
        [header, *rows] = (out / name).read_text(encoding="utf-8").splitlines()
        assert list(book["files"][name]["columns"]) == header.split(",") == [*model.model_fields]
        assert book["files"][name]["rows"] == len(rows)
    columns = book["files"]["trials.csv"]["columns"]
    assert columns["rt_ms"]["unit"] == "ms"
    assert columns["rt_ms"]["type"] == "number"
    assert columns["shown_at"]["type"] == "time"
    assert columns["trial_kind"]["levels"] == ["main", "practice", "catch"]
    assert columns["condition"]["levels"] == book["conditions"] == ["olah", "maco", "control"]
    assert columns["network"]["levels"] == book["networks"] == ["VGG", "ViT"]
    assert (columns["correct"]["minimum"], columns["correct"]["maximum"]) == (0, 1)
    assert (columns["correct"]["may_be_missing"], columns["confidence"]["may_be_missing"]) == (
        False,
        True,
    )
    assert (book["study"], book["study_digest"]) == ("tiny", running.bundle.digest)
    assert (book["exported_at"], book["participants"]) == ("2026-03-01T12:00:00.000Z", "real")


@sqlite_only
def test_the_export_carries_the_preregistered_exclusions(running, out):
    add(running)
    export(running, out)
    found = read_export(out)
    assert is_preregistered(found)
    assert preregistered(found) == (Late(), BelowChance(alpha=0.01))


@sqlite_only
def test_a_bundle_of_before_exclusions_exports_none(running, out):
    del running.bundle.study.config["exclusions"]
    add(running)
    export(running, out)
    assert not is_preregistered(read_export(out))


def test_repeated_practice_counts_on(running, out):
    person = {**participants(1)[0], "practice_attempts": 2}
    practice = responses(running, person)[:2]
    again = [{**row, "trial_index": row["trial_index"] + 2} for row in practice]
    with running.database.write() as session:
        session.execute(insert(models.Participant), [person])
        session.execute(insert(models.Response), [*again, *practice])
    export(running, out)
    rows = read(out / "trials.csv")
    assert [row["trial_index"] for row in rows] == list("0123")
    assert [row["trial_id"] for row in rows] == running.bundle.practice(0) * 2


def test_a_participant_of_the_pages_is_exported_right(person, running, out):
    someone = person()
    someone.pass_quiz({one.key: one.right for one in QUIZ})
    right = []
    while "trials" in (state := someone.state()):
        for trial in state["trials"]:
            side = ("left", "right")[len(right) % 2]
            assert someone.answer(trial, side).status_code == 200
            right.append(running.bundle.trials[trial["trial_id"]].favored_side == side)
    someone.get("/study")
    someone.post("/study/questions", age_years="33", gender="-woman", comments="=1+1")
    assert export(running, out) == {"trials.csv": len(right), "participants.csv": 1}
    rows = read(out / "trials.csv")
    assert [int(row["trial_index"]) for row in rows] == list(range(len(right)))
    assert [row["correct"] for row in rows] == [str(int(one)) for one in right]
    assert {row["rt_ms"] for row in rows} == {"812.5"}
    [one] = read(out / "participants.csv")
    assert Participant.model_validate(one).outcome == "completed"
    assert (one["gender"], one["age_years"], one["pointer"]) == ("'-woman", "33", "mouse")
    assert (one["instruction_s"], one["quiz_attempts"]) == ("40", "1")
    everything = "".join(path.read_text(encoding="utf-8") for path in out.iterdir())
    for secret in (someone.pid, *someone.parameters.values()):
        assert secret not in everything


def test_somebody_who_withdraws_everything_leaves_a_row(person, running, out):
    someone = person()
    someone.pass_quiz({one.key: one.right for one in QUIZ})
    someone.answer(someone.state()["trials"][0])
    someone.get("/study/withdraw")
    someone.post("/study/withdraw", delete="yes")
    assert export(running, out) == {"trials.csv": 0, "participants.csv": 1}
    [one] = read(out / "participants.csv")
    assert (one["outcome"], one["browser"], one["finished_at"]) == ("withdrew", "", "")


def test_both_tables_tell_of_the_same_moment(running, out, monkeypatch):
    add(running)
    write = exporting._write_table

    def write_and_let_somebody_in(*arguments: object) -> int:
        count = write(*arguments)
        with running.database.read() as session:
            latest = session.scalars(select(func.max(models.Participant.id))).one()
        add(running, first=latest + 1)
        return count

    monkeypatch.setattr(exporting, "_write_table", write_and_let_somebody_in)
    assert export(running, out) == {"trials.csv": 7, "participants.csv": 1}


def test_kinds_are_kept_apart(running, out):
    add(running, 3)
    add(running, 2, first=10, kind="pilot")
    add(running, 1, first=20, kind="preview")
    assert export(running, out)["participants.csv"] == 3
    assert export(running, out, kind="pilot") == {"trials.csv": 14, "participants.csv": 2}
    assert export(running, out, kind="preview") == {"trials.csv": 7, "participants.csv": 1}
    with pytest.raises(ValueError, match="kind = 'reel': one of real, pilot, preview"):
        export(running, out, kind="reel")


def test_of_those_who_had_their_data_deleted_only_the_outcome_is_left(running, out):
    answers = {"age_years": 33, "gender": "a woman"}
    add(running, 1, outcome="withdrew", delete_requested=True, answers=answers)
    add(running, 1, first=2, outcome="withdrew", answers=answers)
    export(running, out)
    assert {row["participant"] for row in read(out / "trials.csv")} == {"p000000000002"}
    gone, stayed = read(out / "participants.csv")
    assert (gone["outcome"], stayed["outcome"]) == ("withdrew", "withdrew")
    assert (gone["gender"], gone["age_years"], gone["browser"]) == ("", "", "")
    assert (stayed["gender"], stayed["age_years"], stayed["browser"]) == (
        "a woman",
        "33",
        "Chromium 150",
    )


def test_who_never_came_far_has_a_row(running, out):
    plain = {"condition": None, "list_index": None, "finished_at": None, "device": {}}
    add(running, outcome="declined_consent", instruction_s=0.0, **plain)
    export(running, out)
    [row] = read(out / "participants.csv")
    assert Participant.model_validate(row).outcome == "declined_consent"
    assert (row["condition"], row["duration_s"], row["instruction_s"]) == ("", "", "")


@sqlite_only
@given(gender=st.text(min_size=1), browser=st.text(min_size=1))
@example(gender="=HYPERLINK(1)", browser="@SUM(1)")
@example(gender="\r\n,\"';\t", browser="\t=1")
@example(gender="'", browser="-1")
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_no_text_breaks_a_table_or_begins_a_formula(running, out, gender, browser):
    with running.database.write() as session:
        session.execute(delete(models.Participant))
    add(running, device={"browser": browser}, answers={"gender": gender})
    export(running, out)
    [row] = read(out / "participants.csv")
    assert list(row) == list(Participant.model_fields)
    Participant.model_validate(row)
    for written, original in ((row["gender"], gender), (row["browser"], browser)):
        assert written[0] not in "=+-@\t\r"
        assert written in {original, "'" + original}


def test_labels_are_shielded_and_numbers_are_not(running, out):
    add(running)
    export(running, out)
    labels = {row["class_label"] for row in read(out / "trials.csv")}
    assert labels == {"peacock", "'=llama"}
    assert [cell(value) for value in (-1.5, -3, 1e300, True, None, 2.0)] == [
        "-1.5",
        "-3",
        "1e+300",
        "1",
        "",
        "2",
    ]


def test_what_a_browser_said_that_cannot_be_is_left_out(running, out):
    person = participants(1, device={"refresh_hz": -60, "pointer": "paw", "browser": "Lynx"})[0]
    rows = responses(running, person, timing={"dropped_frames": "x", "hidden_events": 3})
    with running.database.write() as session:
        session.execute(insert(models.Participant), [person])
        session.execute(insert(models.Response), rows)
    export(running, out)
    [one] = read(out / "participants.csv")
    assert (one["refresh_hz"], one["pointer"], one["browser"]) == ("", "", "Lynx")
    row = read(out / "trials.csv")[0]
    assert (row["dropped_frames"], row["hidden_events"]) == ("", "3")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"trial_id": "t0"}, "participant p000000000001 answered trial 't0', which is none of"),
        ({"correct": False}, r"trials.csv: participant p000000000001, trial 0: .*correct = 0, but"),
        ({"rt_ms": -1.0}, "trial 0: rt_ms: "),
    ],
)
def test_an_impossible_row_is_named_and_nothing_is_written(running, out, change, complaint):
    add(running)
    with running.database.write() as session:
        first = models.Response.trial_index == 0
        session.execute(update(models.Response).where(first).values(**change))
    with pytest.raises(ValueError, match=complaint):
        export(running, out)
    assert list(out.parent.iterdir()) == []


@given(st.text(st.sampled_from("'=+-@\tab"), max_size=5) | st.text(max_size=20))
@example("'=1+1")
@example("''=1+1")
def test_the_analysis_reads_every_text_as_it_was(text):
    assert plain(cell(text)) == text
    assert cell(text)[:1] not in exporting.FORMULA_STARTS
