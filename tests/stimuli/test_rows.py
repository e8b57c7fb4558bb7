"""The columns of the export: read from and written to CSV unchanged, impossible rows refused."""

from __future__ import annotations

import csv
import io

import pytest
from pydantic import ValidationError

from stimuli.schema import Participant, Response

TRIALS_HEADER = (
    "study,participant,condition,network,unit,class_label,base_image,trial_id,trial_kind,"
    "trial_index,favored_side,response_side,correct,rt_ms,confidence,shown_at,responded_at,"
    "dropped_frames,hidden_events,blur_events,viewport_width_px,viewport_height_px,"
    "device_pixel_ratio"
)
TRIALS_ROW = (
    "demo,p7,maco,VGG,class:3,ball,a.png,t0,main,9,right,right,1,1234.5,,"
    "2026-01-02T03:04:05.678Z,2026-01-02T03:04:06.912Z,0,0,0,1280,720,1.5"
)
PARTICIPANTS_HEADER = (
    "study,participant,condition,list,outcome,late,started_at,finished_at,duration_s,instruction_s,"
    "quiz_attempts,practice_attempts,browser,platform,pointer,screen_width_px,screen_height_px,"
    "refresh_hz,age_years,gender,comments"
)
PARTICIPANTS_ROW = (
    "demo,p7,maco,4,completed,0,2026-01-02T03:00:00Z,2026-01-02T03:08:00Z,480,61.5,1,1,"
    "Firefox 140,Linux,mouse,1920,1080,59.9,,,"
)


def row(header, line, **changes):
    (cells,) = csv.DictReader(io.StringIO(f"{header}\n{line}\n"))
    return cells | changes


@pytest.mark.parametrize(
    ("model", "header", "line"),
    [
        (Response, TRIALS_HEADER, TRIALS_ROW),
        (Participant, PARTICIPANTS_HEADER, PARTICIPANTS_ROW),
    ],
)
def test_rows_are_read_from_and_written_to_csv_unchanged(model, header, line):
    assert ",".join(model.model_fields) == header
    record = model.model_validate(row(header, line))
    again = {
        column: "" if value is None else str(value)
        for column, value in record.model_dump(mode="json").items()
    }
    assert model.model_validate(again) == record
    for column, schema in model.model_json_schema()["properties"].items():
        assert schema.get("description"), column


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"correct": "0"}, "correct = 0, but the response is right"),
        ({"correct": "2"}, "correct"),
        ({"response_side": ""}, "response_side"),
        ({"rt_ms": "-1"}, "rt_ms"),
        ({"rt_ms": "nan"}, "rt_ms"),
        ({"trial_kind": "test"}, "trial_kind"),
        ({"shown_at": "2026-01-02T03:04:05"}, "shown_at"),
        ({"confidence": "0"}, "confidence"),
        ({"prolific_pid": "x"}, "prolific_pid"),
    ],
)
def test_impossible_responses_are_refused(changes, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Response.model_validate(row(TRIALS_HEADER, TRIALS_ROW, **changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"finished_at": ""}, "finished_at is empty although"),
        ({"list": ""}, "list is empty although"),
        ({"finished_at": "2026-01-02T02:59:00Z"}, "is before started_at"),
        ({"outcome": "gone"}, "outcome"),
        ({"duration_s": "-3"}, "duration_s"),
    ],
)
def test_impossible_participants_are_refused(changes, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Participant.model_validate(row(PARTICIPANTS_HEADER, PARTICIPANTS_ROW, **changes))


def test_a_participant_who_left_early_has_no_condition():
    cells = row(
        PARTICIPANTS_HEADER,
        PARTICIPANTS_ROW,
        outcome="failed_quiz",
        condition="",
        list="",
        finished_at="",
        duration_s="",
    )
    record = Participant.model_validate(cells)
    assert record.condition is None
    assert record.list is None
