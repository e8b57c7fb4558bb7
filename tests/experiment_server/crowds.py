"""People put straight into the database, where a test is about what becomes of their data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from experiment_server.experiment import Experiment
from experiment_server.models import Identity, Participant, Response

ARRIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMING = {
    "dropped_frames": 1,
    "hidden_events": 0,
    "blur_events": 2,
    "viewport_width_px": 1280,
    "viewport_height_px": 720.5,
    "device_pixel_ratio": 2,
}
DEVICE = {"browser": "Chromium 150", "platform": "Linux", "pointer": "mouse", "refresh_hz": 60.0}


def participants(count: int, first: int = 1, **changes: Any) -> list[dict[str, Any]]:
    """Rows of people who completed the study in nine minutes, in condition maco, list 0."""
    plain = {
        "kind": "real",
        "stage": "end",
        "stage_since": ARRIVED,
        "outcome": "completed",
        "condition": "maco",
        "list_index": 0,
        "started_at": ARRIVED,
        "last_seen_at": ARRIVED,
        "finished_at": ARRIVED + timedelta(minutes=9),
        "instruction_s": 31.25,
        "quiz_attempts": 1,
        "practice_attempts": 1,
        "device": DEVICE,
        "answers": {},
    }
    names = ({"id": n, "pseudonym": f"p{n:012x}"} for n in range(first, first + count))
    keys = ("person_key", "submission_key")
    return [{**plain, **one, **dict.fromkeys(keys, one["pseudonym"]), **changes} for one in names]


def responses(running: Experiment, person: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    """Rows of their answers to all trials: always left, 800 ms after the queries appeared."""
    trials = running.bundle.trials
    rows = []
    for index, name in enumerate(running.bundle.sequence(person["list_index"], 1)):
        shown = person["started_at"] + timedelta(minutes=2, seconds=3 * index, microseconds=123456)
        plain = {
            "participant_id": person["id"],
            "trial_index": index,
            "trial_id": name,
            "response_side": "left",
            "correct": trials[name].favored_side == "left",
            "rt_ms": 800.25,
            "confidence": None,
            "shown_at": shown,
            "responded_at": shown + timedelta(milliseconds=800.25),
            "received_at": shown + timedelta(seconds=1),
            "timing": TIMING,
        }
        rows.append({**plain, **changes})
    return rows


def add(running: Experiment, count: int = 1, *, first: int = 1, **changes: Any) -> None:
    """Puts people and their answers into the database; with Prolific ids, unless previews."""
    people = participants(count, first, **changes)
    with running.database.write() as session:
        session.execute(insert(Participant), people)
        for person in people:
            if person["condition"] is not None:
                session.execute(insert(Response), responses(running, person))
        if changes.get("kind") != "preview":
            session.execute(insert(Identity), [identity(person) for person in people])


def identity(person: dict[str, Any]) -> dict[str, Any]:
    """Prolific ids, in an order that is not that of arrival."""
    number = person["id"]
    return {
        "participant_id": number,
        "prolific_pid": f"{number:024x}",
        "prolific_study_id": "5f0000000000000000000001",
        "submission_id": f"{(number * 7919) % 10007:024x}",
    }
