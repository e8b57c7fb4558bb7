"""From arrival to the completion code: the pages around the task, one blueprint.

A page posts to its own stage. The post counts only while the participant is at that stage, and is
answered with a redirect to /study, which shows the page of the stage that is true by then.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request
from flask import session as cookie
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from experiment_server import participants
from experiment_server.answers import DeviceReport, FinalAnswers, unsuitable
from experiment_server.assignment import complete, deal, is_open, lock
from experiment_server.experiment import Experiment, experiment
from experiment_server.models import Identity, Participant
from experiment_server.prolific import Arrival, ArrivalError, completion, paid_as, read_arrival
from experiment_server.security import keyed, limiter
from experiment_server.text import QUIZ, participant_text

entry = Blueprint("entry", __name__)

# Who left before anything of the study was seen may think again, in a new submission.
_MAY_COME_AGAIN = {"declined_consent", "unsuitable_device", "returned", "timed_out"}
# Whoever left in one of these ways may still have the data deleted; the outcome stays.
_LEFT_ALREADY = {"returned", "timed_out", "failed_quiz", "failed_practice", "unsuitable_device"}


@entry.app_context_processor
def _for_every_page() -> dict[str, Any]:
    study = experiment().bundle.study
    return {
        "text": participant_text(study),
        "study_title": study.title,
        "logged_in": "token" in cookie,
    }


def _say(key: str) -> str:
    return participant_text(experiment().bundle.study)[key]


@entry.get("/")
@limiter.limit("600 per minute")  # whole classrooms and offices share an address
def arrive() -> AnyResponse | str:
    """The welcome page. Link scanners come here too: nothing is allocated."""
    running = experiment()
    if not request.args and "token" in cookie:
        return redirect("/study")
    try:
        arrival = read_arrival(request.args, running)
    except ArrivalError as error:
        current_app.logger.warning("arrival refused: %s", error.reason)
        abort(400, _say(f"arrival.{error.reason}"))
    with running.database.read() as session:
        known = _known(session, running, arrival)
        _refuse(session, running, arrival, known)
        if known is not None and participants.current(session) is known:
            return redirect("/study")
    cookie.clear()
    cookie["arrival"] = {
        "prolific_pid": arrival.prolific_pid,
        "study_id": arrival.study_id,
        "submission_id": arrival.submission_id,
        "signed": arrival.signed,
    }
    return render_template("welcome.html", returning=known is not None)


@entry.post("/consent")
@limiter.limit("600 per minute")
def consent() -> AnyResponse:
    """An active click: makes the participant, or knows one again."""
    running = experiment()
    now = running.now()
    if "token" in cookie:
        return redirect("/study", 303)
    if "arrival" not in cookie:
        abort(400, _say("arrival.none"))
    arrival = Arrival(**cookie["arrival"])
    agrees = request.form.get("choice") == "agree"
    with running.database.write() as session:
        lock(session)  # the last place, and each person, are given once
        participant = _known(session, running, arrival)
        _refuse(session, running, arrival, participant)
        if participant is None:
            participant = _enrol(session, running, arrival)
        elif participant.submission_key != _submission_key(running, arrival):
            _take_submission(session, running, arrival, participant)
            participant.outcome, participant.slot_freed_at = "in_progress", None
            participants.move(participant, "device", now)
        if not agrees and participant.condition is None:
            participants.end(participant, "declined_consent", now)
        elif agrees and participant.outcome == "declined_consent":
            participant.outcome, participant.slot_freed_at = "in_progress", None
            participants.move(participant, "device", now)
        participants.log_in(session, participant, now)
    cookie.pop("arrival")
    return redirect("/study", 303)


def _known(session: Session, running: Experiment, arrival: Arrival) -> Participant | None:
    key = keyed(running.config, "person", arrival.prolific_pid)
    query = select(Participant).where(Participant.person_key == key)
    return session.scalars(query).one_or_none()


def _submission_key(running: Experiment, arrival: Arrival) -> str:
    return keyed(running.config, "submission", arrival.study_id, arrival.submission_id)


def _refuse(
    session: Session, running: Experiment, arrival: Arrival, known: Participant | None
) -> None:
    """Ends the request with a page for someone who cannot take part."""
    if known is not None:
        same = known.submission_key == _submission_key(running, arrival)
        again = known.condition is None and known.outcome in _MAY_COME_AGAIN
        if not same and not again:
            abort(403, _say("arrival.before"))
        if same:
            return
    if keyed(running.config, "person", arrival.prolific_pid) in running.earlier_people:
        abort(403, _say("arrival.earlier_study"))
    if not is_open(session, running):
        abort(403, _say("arrival.full"))


def _enrol(session: Session, running: Experiment, arrival: Arrival) -> Participant:
    now = running.now()
    participant = participants.enrol(
        session,
        person_key=keyed(running.config, "person", arrival.prolific_pid),
        submission_key=_submission_key(running, arrival),
        kind=running.kind,
        now=now,
        chance=running.chance,
    )
    _take_submission(session, running, arrival, participant)
    return participant


def _take_submission(
    session: Session, running: Experiment, arrival: Arrival, participant: Participant
) -> None:
    """Notes the submission that a participant comes with; the last one is the one to be paid."""
    participant.submission_key = _submission_key(running, arrival)
    participant.signed_entry = arrival.signed
    session.merge(
        Identity(
            participant_id=participant.id,
            prolific_pid=arrival.prolific_pid,
            prolific_study_id=arrival.study_id,
            submission_id=arrival.submission_id,
        )
    )


@entry.get("/study")
def study() -> AnyResponse | str:
    """The page of the stage the participant is at."""
    running = experiment()
    with running.database.read() as session:
        participant = participants.current(session)
    if participant is None:
        cookie.pop("token", None)
        abort(401, _say("arrival.unknown"))
    if participants.is_over(participant):
        return _last_page(participant, running)
    return _PAGES[participant.stage](participant, running)


def _last_page(participant: Participant, running: Experiment) -> str:
    found = completion(paid_as(participant), running)
    return render_template(
        "end.html", outcome=participant.outcome, code=found.code, completion_url=found.url
    )


def _device_page(participant: Participant, running: Experiment) -> str:
    return render_template(
        "device.html", device=running.settings.device, problem=cookie.pop("problem", None)
    )


def _quiz_page(participant: Participant, running: Experiment) -> str:
    return render_template(
        "quiz.html",
        questions=QUIZ,
        attempt=participant.quiz_attempts + 1,
        attempts=running.settings.task.quiz_attempts,
        wrong=cookie.pop("wrong", []),
    )


def _task_page(participant: Participant, running: Experiment) -> str:
    return render_template("task.html", stage=participant.stage, participant=participant.pseudonym)


def _questions_page(participant: Participant, running: Experiment) -> str:
    return render_template(
        "questions.html", questions=running.settings.questions, problem=cookie.pop("problem", None)
    )


_PAGES = {
    "device": _device_page,
    "instructions": lambda participant, running: render_template("instructions.html"),
    "quiz": _quiz_page,
    "practice": _task_page,
    "main": _task_page,
    "questions": _questions_page,
    "debrief": lambda participant, running: render_template("debrief.html"),
    "end": _last_page,
}


@entry.post("/study/<stage>")
@limiter.limit("60 per minute")
def leave_stage(stage: str) -> Response | AnyResponse:
    """What a page of a stage hands in."""
    running = experiment()
    if stage not in _STEPS:
        abort(404)
    with running.database.write() as session:
        participant = participants.current(session, lock=True)
        if participant is None:
            abort(401, _say("arrival.unknown"))
        is_there = stage == participant.stage and not participants.is_over(participant)
        if is_there or stage == "withdraw":
            _STEPS[stage](session, running, participant)
    return redirect("/study", 303)


def _from_device(session: Session, running: Experiment, participant: Participant) -> None:
    now = running.now()
    try:
        report = DeviceReport.model_validate_json(request.form.get("report", ""))
    except ValidationError:
        report = None
    if report is not None:
        participant.device = report.model_dump()
    problem = unsuitable(report, running.settings.device)
    if request.form.get("give_up") == "yes":
        participants.end(participant, "unsuitable_device", now)
    elif problem is None:
        participants.move(participant, "instructions", now)
    else:
        cookie["problem"] = problem


def _from_instructions(session: Session, running: Experiment, participant: Participant) -> None:
    now = running.now()
    spent_s = (now - participant.stage_since).total_seconds()
    participant.instruction_s += max(0.0, spent_s)  # the clock may have been put back
    participants.move(participant, "quiz", now)


def _from_quiz(session: Session, running: Experiment, participant: Participant) -> None:
    now = running.now()
    if request.form.get("again") == "yes":  # back to the instructions, which costs no attempt
        participants.move(participant, "instructions", now)
        return
    attempt = str(participant.quiz_attempts + 1)
    if request.form.get("attempt", attempt) != attempt:
        return  # handed in before: what a proxy repeats, or an older tab, costs no attempt
    participant.quiz_attempts += 1
    wrong = [one.key for one in QUIZ if request.form.get(f"q_{one.key}") != one.right]
    if not wrong:
        deal(session, running, participant)
        practises = bool(running.bundle.practice(participant.list_index or 0))
        participant.practice_attempts = int(practises)
        participants.move(participant, "practice" if practises else "main", now)
    elif participant.quiz_attempts >= running.settings.task.quiz_attempts:
        participants.end(participant, "failed_quiz", now)
    else:
        cookie["wrong"] = wrong
        participants.touch(participant, now)


def _from_questions(session: Session, running: Experiment, participant: Participant) -> None:
    """The data are whole here, so the study counts as completed before the last pages."""
    try:
        answers = FinalAnswers.model_validate(request.form.to_dict())
    except ValidationError as error:
        cookie["problem"] = str(error.errors()[0]["loc"][0])
        return
    participant.answers = answers.asked(running.settings.questions)
    if participants.answered(session, participant) < len(
        participants.sequence(running, participant)
    ):
        participants.move(participant, "main", running.now())
        return
    complete(session, running, participant)


def _from_debrief(session: Session, running: Experiment, participant: Participant) -> None:
    participants.move(participant, "end", running.now())


def _withdraw(session: Session, running: Experiment, participant: Participant) -> None:
    if request.form.get("delete") == "yes":
        participant.delete_requested = True
        participant.responses.clear()
        participant.answers, participant.device = {}, {}
    if participant.outcome not in _LEFT_ALREADY:
        participants.end(participant, "withdrew", running.now())


_STEPS = {
    "device": _from_device,
    "instructions": _from_instructions,
    "quiz": _from_quiz,
    "questions": _from_questions,
    "debrief": _from_debrief,
    "withdraw": _withdraw,
}


@entry.get("/study/withdraw")
def withdraw_page() -> AnyResponse | str:
    """Asks whether to leave, and what becomes of the data."""
    with experiment().database.read() as session:
        participant = participants.current(session)
    if participant is None or participant.outcome in {"withdrew", "declined_consent"}:
        return redirect("/study")
    return render_template("withdraw.html")
