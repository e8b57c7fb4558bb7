"""Participants: who is asking, and how far they are. Every function works inside a transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from flask import session as cookie
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from experiment_server.experiment import SYSTEM_CHANCE, Experiment
from experiment_server.models import Kind, Login, Participant, Response, Stage
from experiment_server.security import digest_token, new_token

_OF_TOKEN = select(Participant).join(Login).where(Login.token_digest == bindparam("digest"))
_OF_TOKEN_LOCKED = _OF_TOKEN.with_for_update(of=Participant)
SIGN_OF_LIFE_S = 20  # last_seen_at is no more exact than this, which saves most of its writes


def enrol(
    session: Session,
    *,
    person_key: str,
    submission_key: str,
    kind: Kind,
    now: datetime,
    chance: Random = SYSTEM_CHANCE,
) -> Participant:
    """A new participant, at the first stage. chance: makes the pseudonym."""
    participant = Participant(
        pseudonym=f"p{chance.getrandbits(48):012x}",
        person_key=person_key,
        submission_key=submission_key,
        kind=kind,
        stage="device",
        stage_since=now,
        started_at=now,
        last_seen_at=now,
        instruction_s=0.0,
        quiz_attempts=0,
        practice_attempts=0,
        outcome="in_progress",
        device={},
        answers={},
    )
    session.add(participant)
    session.flush()
    return participant


def log_in(session: Session, participant: Participant, now: datetime) -> None:
    """Gives the browser that is asking a token of this participant's."""
    token = new_token()
    session.add(
        Login(token_digest=digest_token(token), participant_id=participant.id, created_at=now)
    )
    cookie["token"] = token


def current(session: Session, *, lock: bool = False) -> Participant | None:
    """The participant whose browser is asking. `lock`: nobody else changes the row meanwhile."""
    token = cookie.get("token")
    if not isinstance(token, str):
        return None
    query = _OF_TOKEN_LOCKED if lock else _OF_TOKEN
    return session.scalars(query, {"digest": digest_token(token)}).one_or_none()


def touch(participant: Participant, now: datetime) -> None:
    """Notes a sign of life."""
    if abs(now - participant.last_seen_at) > timedelta(seconds=SIGN_OF_LIFE_S):
        participant.last_seen_at = now


def move(participant: Participant, stage: Stage, now: datetime) -> None:
    """To another stage."""
    participant.stage = stage
    participant.stage_since = now
    participant.last_seen_at = now


def end(participant: Participant, outcome: str, now: datetime) -> None:
    """Ends the study for a participant, at the stage that stays; the place is free again."""
    participant.outcome = outcome
    participant.slot_freed_at = participant.slot_freed_at or now
    participant.last_seen_at = now


def is_over(participant: Participant) -> bool:
    """Whether nothing more is asked of a participant."""
    reads_debrief = participant.outcome == "completed" and participant.stage == "debrief"
    return participant.outcome != "in_progress" and not reads_debrief


def answered(session: Session, participant: Participant) -> int:
    """How many trials are answered: the index of the next one."""
    query = select(func.count()).where(Response.participant_id == participant.id)
    return session.execute(query).scalar_one()


def sequence(experiment: Experiment, participant: Participant) -> tuple[str, ...]:
    """Ids of all trials of a participant, as far as is known: practice may yet be repeated."""
    if participant.list_index is None:
        return ()
    return experiment.bundle.sequence(participant.list_index, participant.practice_attempts)


def begin_preview(session: Session, experiment: Experiment, condition: str) -> Participant:
    """A participant who never counts, in a condition of the researcher's choice, at the task.

    Raises ValueError for a condition that the study does not have.
    """
    if condition not in experiment.bundle.study.conditions:
        known = ", ".join(experiment.bundle.study.conditions)
        raise ValueError(f"the study has no condition {condition!r}: {known}")
    now = experiment.now()
    key = digest_token(new_token())[:32]
    participant = enrol(session, person_key=key, submission_key=key, kind="preview", now=now)
    participant.condition = condition
    participant.list_index = 0
    participant.dealt_at = now
    log_in(session, participant, now)
    return participant
