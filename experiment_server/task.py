"""The task: trials out, responses in, and the images.

A browser is told what to show and nothing of the answer. A response is committed before it is
acknowledged; (participant, trial_index) is its key, so what is sent twice is stored once.
"""

from __future__ import annotations

import json
import mimetypes
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, abort, current_app, jsonify, request
from flask import session as cookie
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from sqlalchemy import Insert, bindparam, func, insert, select
from sqlalchemy.orm import Session

from experiment_server import participants
from experiment_server.answers import Answer
from experiment_server.assignment import take_back
from experiment_server.experiment import Experiment, experiment
from experiment_server.images import CACHE, dealt
from experiment_server.models import Login, Participant, Response
from experiment_server.request_log import where
from experiment_server.security import digest_token, limiter

task = Blueprint("task", __name__)


def _insert_next() -> Insert:
    """Stores a response if it is its participant's next one, and nothing if it is not."""
    columns = [column for column in Response.__table__.columns if column.name != "id"]
    answered = (
        select(func.count())
        .where(Response.participant_id == bindparam("participant_id"))
        .scalar_subquery()
    )
    values = select(*(bindparam(column.name, type_=column.type) for column in columns))
    is_next = answered == bindparam("trial_index")
    storing = insert(Response).from_select(columns, values.where(is_next))
    return storing.execution_options(preserve_rowcount=True)


_INSERT_NEXT = _insert_next()
PRELOAD_LIMIT = 100_000  # characters of a browser's report on loading the images


@task.get("/task/state")
@limiter.limit("120 per minute")
def state() -> ResponseReturnValue:
    """The trials that are left of the block a participant is at."""
    running = experiment()
    with running.database.read() as session:
        participant = participants.current(session)
        if participant is None:
            return _refused(401, "no_session")
        if participants.is_over(participant):
            return _refused(410, "ended")
        if participant.stage not in {"practice", "main"}:
            return jsonify(stage=participant.stage)
        return jsonify(_block(running, participant, participants.answered(session, participant)))


def _block(running: Experiment, participant: Participant, answered: int) -> dict[str, Any]:
    first, end = _bounds(running, participant)
    names = participants.sequence(running, participant)
    condition = str(participant.condition)
    references = (trial.references for trial in running.bundle.study.trials[:1])
    return {
        "stage": participant.stage,
        "round": participant.practice_attempts,
        "first": first,
        "total": end - first,
        "next": answered,
        "trials": [
            running.bundle.shown(names[index], index, condition) for index in range(answered, end)
        ],
        "grid": max(len(names) for one in references for names in one.values()),
        "confidence_levels": running.settings.task.confidence_levels,
        "gap_ms": running.settings.task.gap_ms,
    }


def _bounds(running: Experiment, participant: Participant) -> tuple[int, int]:
    """First trial index of the block a participant is at, and the one after its last."""
    practice = len(running.bundle.practice(participant.list_index or 0))
    before_main = practice * participant.practice_attempts
    if participant.stage == "practice":
        return before_main - practice, before_main
    return before_main, len(participants.sequence(running, participant))


@task.post("/task/responses")
@limiter.limit("120 per minute")
def respond() -> ResponseReturnValue:
    """Stores one response, once."""
    running = experiment()
    try:
        answer = Answer.model_validate(request.get_json())
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        return _refused(422, "invalid", message=f"{field}: {first['msg']}")
    with running.database.write() as session:
        participant = participants.current(session, lock=True)
        if participant is None:
            return _refused(401, "no_session")
        if _is_asked_for(running, participant, answer) and _problem(running, answer) is None:
            correct = _store(session, running, participant, answer)
            if correct is not None:
                take_back(session, running, participant)
                _move_on(session, running, participant, answer.trial_index + 1)
                return _acknowledged(
                    running, participant, answer, correct, answer.trial_index + 1, duplicate=False
                )
        return _known_or_refused(session, running, participant, answer)


def _is_asked_for(running: Experiment, participant: Participant, answer: Answer) -> bool:
    """Whether a response is to one of the trials at hand; not yet whether it is the next."""
    if participants.is_over(participant) or participant.stage not in {"practice", "main"}:
        return False
    names = participants.sequence(running, participant)
    return answer.trial_id in names[answer.trial_index : answer.trial_index + 1]


def _known_or_refused(
    session: Session, running: Experiment, participant: Participant, answer: Answer
) -> ResponseReturnValue:
    """What is said of a response that was not stored now: it is there already, or why not."""
    following = participants.answered(session, participant)
    query = select(Response.correct).where(
        Response.participant_id == participant.id,
        Response.trial_index == answer.trial_index,
        Response.trial_id == answer.trial_id,
    )
    correct = session.execute(query).scalar_one_or_none()
    if correct is not None:
        return _acknowledged(running, participant, answer, correct, following, duplicate=True)
    if participants.is_over(participant):
        return _refused(410, "ended")
    if participant.stage in {"practice", "main"} and answer.trial_index > following:
        return _refused(409, "out_of_order", next=following)
    if not _is_asked_for(running, participant, answer) or answer.trial_index < following:
        return _refused(409, "not_dealt", next=following)
    return _refused(422, "invalid", message=_problem(running, answer), next=following)


def _problem(running: Experiment, answer: Answer) -> str | None:
    return answer.impossible() or _wrong_confidence(running, answer)


def _wrong_confidence(running: Experiment, answer: Answer) -> str | None:
    levels = running.settings.task.confidence_levels
    if levels == 0 and answer.confidence is not None:
        return "confidence: it is not asked for"
    if levels and not 1 <= (answer.confidence or 0) <= levels:
        return f"confidence: 1 to {levels}"
    return None


def _store(
    session: Session, running: Experiment, participant: Participant, answer: Answer
) -> bool | None:
    """Stores a response; whether it is correct, or None where it is not the next one."""
    now = running.now()
    trial = running.bundle.trials[answer.trial_id]
    correct = answer.response_side == trial.favored_side
    values = {
        "participant_id": participant.id,
        "trial_index": answer.trial_index,
        "trial_id": answer.trial_id,
        "response_side": answer.response_side,
        "correct": correct,
        "rt_ms": answer.rt_ms,
        "confidence": answer.confidence,
        "shown_at": _our_time(answer.shown_at_ms, answer, now),
        "responded_at": _our_time(answer.responded_at_ms, answer, now),
        "received_at": now,
        "timing": {**answer.timing, "clock_offset_ms": now.timestamp() * 1000 - answer.sent_at_ms},
    }
    if session.connection().execute(_INSERT_NEXT, values).rowcount == 0:
        return None
    participants.touch(participant, now)
    return correct


def _our_time(at_ms: float, answer: Answer, now: datetime) -> datetime:
    """A moment of the browser's clock on ours: it sent the answer now."""
    return now - timedelta(milliseconds=min(answer.sent_at_ms - at_ms, 30 * 86_400_000.0))


def _move_on(
    session: Session, running: Experiment, participant: Participant, answered: int
) -> None:
    """To the next round, block or stage, once all trials of this one are answered."""
    first, end = _bounds(running, participant)
    if answered < end:
        return
    now = running.now()
    if participant.stage == "main":
        participants.move(participant, "questions", now)
    elif _has_learned(session, running, participant, first):
        participants.move(participant, "main", now)
    elif participant.practice_attempts >= running.settings.practice.rounds:
        participants.end(participant, "failed_practice", now)
    else:
        participant.practice_attempts += 1
        participants.move(participant, "practice", now)


def _has_learned(
    session: Session, running: Experiment, participant: Participant, first: int
) -> bool:
    query = select(Response).where(
        Response.participant_id == participant.id, Response.trial_index >= first
    )
    answers = session.scalars(query).all()
    shows_references = any(
        running.bundle.trials[one.trial_id].references[str(participant.condition)]
        for one in answers
    )
    needed = min(running.settings.practice.correct_needed, len(answers))
    return not shows_references or sum(one.correct for one in answers) >= needed


def _acknowledged(
    running: Experiment,
    participant: Participant,
    answer: Answer,
    correct: bool,
    following: int,
    *,
    duplicate: bool,
) -> ResponseReturnValue:
    trial = running.bundle.trials[answer.trial_id]
    feedback = None
    if trial.kind == "practice":
        feedback = {"correct": correct, "favored_side": trial.favored_side}
    return jsonify(
        stored=True,
        duplicate=duplicate,
        next=following,
        stage=participant.stage,
        feedback=feedback,
    )


def _refused(status: int, error: str, **more: Any) -> ResponseReturnValue:
    current_app.logger.warning("%s refused: %s %s", where(), error, more)
    return jsonify(error=error, **more), status


@task.post("/task/preload")
@limiter.limit("30 per minute")
def preload() -> ResponseReturnValue:
    """Keeps what a browser says of loading the images."""
    running = experiment()
    body = request.get_json()
    report = body.get("report") if isinstance(body, dict) else None
    if not isinstance(report, dict) or len(request.get_data()) > PRELOAD_LIMIT:
        return _refused(422, "invalid", message="report: an object of at most 100,000 characters")
    if not _is_storable(report):
        return _refused(422, "invalid", message="report: finite numbers alone, and no NUL")
    with running.database.write() as session:
        login = session.get(Login, digest_token(str(cookie.get("token"))))
        if login is None:
            return _refused(401, "no_session")
        login.preload = report
    return "", 204


def _is_storable(report: dict[str, Any]) -> bool:
    """Whether every database takes it: PostgreSQL knows neither NaN nor NUL in JSON."""
    try:
        return "\\u0000" not in json.dumps(report, allow_nan=False)
    except ValueError:
        return False


@task.get("/images/<name>")
@limiter.exempt
def image(name: str) -> ResponseReturnValue:
    """An image of the participant's own trials, where images.py did not answer; else, why not."""
    running = experiment()
    token = cookie.get("token")
    if not isinstance(token, str):
        abort(401)
    try:
        may_see = name in running.bundle.images_of(*dealt(running, digest_token(token)))
    except LookupError:
        may_see = False
    if not may_see:
        abort(404)
    answer = current_app.response_class(
        running.bundle.image_path(name).read_bytes(), mimetype=mimetypes.guess_type(name)[0]
    )
    answer.headers.set(*CACHE)
    return answer
