"""Who gets which condition and list: the least filled, decided by one at a time.

A place is held by who completed the study, and by who is taking part and gave a sign of life
lately. It is free again when somebody leaves, is sent away or falls silent; who is heard of again
gets the place back, unless the target is reached: then who finishes is kept as `late`. So a server
that was away for an hour, or whose clock was put forward, costs nobody the place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from experiment_server.experiment import Experiment
from experiment_server.models import Participant, StudyState
from experiment_server.participants import end, move

T = TypeVar("T")


def lock(session: Session) -> StudyState:
    """The study's one row; until the transaction ends nobody else deals."""
    return session.scalars(select(StudyState).with_for_update()).one()


def is_open(session: Session, experiment: Experiment) -> bool:
    """Whether a new participant can be let in: recruiting, and not all places are spoken for."""
    if not session.scalars(select(StudyState)).one().recruiting:
        return False
    target = experiment.settings.recruitment.target_per_condition
    kind = experiment.kind
    if target is None or kind == "pilot":
        return True
    waiting = select(func.count()).where(
        Participant.kind == kind,
        Participant.condition.is_(None),
        Participant.outcome == "in_progress",
        Participant.last_seen_at >= _cutoff(experiment),
    )
    held = places_held(session, experiment, kind)
    spoken_for = sum(held[name] for name in experiment.conditions)
    undealt = session.execute(waiting).scalar_one()
    return spoken_for + undealt < target * len(experiment.conditions)


def deal(session: Session, experiment: Experiment, participant: Participant) -> None:
    """Gives a participant condition and list, unless they were given before."""
    lock(session)
    if participant.condition is not None:
        return
    _free_the_silent(session, experiment)
    kind = participant.kind
    held = places_held(session, experiment, kind)
    condition = _least(experiment.conditions, held, experiment.chance)
    lists = range(len(experiment.bundle.study.lists))
    lists_held = _lists_held(session, experiment, kind, condition)
    list_index = _least(lists, lists_held, experiment.chance)
    participant.condition, participant.list_index = condition, list_index
    participant.dealt_at = experiment.now()


def complete(session: Session, experiment: Experiment, participant: Participant) -> None:
    """Marks a participant as completed; `late` if the place was given away meanwhile."""
    lock(session)
    now = experiment.now()
    take_back(session, experiment, participant)
    participant.late = participant.slot_freed_at is not None
    participant.outcome = "completed"
    participant.finished_at = max(now, participant.started_at)  # the clock may have been put back
    move(participant, "debrief", now)


def take_back(session: Session, experiment: Experiment, participant: Participant) -> None:
    """Gives who fell silent and is heard of again the place back, if there is one."""
    if participant.slot_freed_at is None:
        return
    target = experiment.settings.recruitment.target_per_condition
    if target is not None:
        lock(session)
        # Taking the place back is a dealing too: who is silent by now must not count on theirs.
        _free_the_silent(session, experiment)
        held = places_held(session, experiment, participant.kind)
        if held[str(participant.condition)] >= target:
            return
    participant.slot_freed_at = None


def free_slot(participant: Participant, outcome: str, now: datetime) -> None:
    """Ends the study of someone who returned the submission or ran out of time, at Prolific.

    Who is at it still is sent to the last page; who had completed and then returned is kept, as
    `returned`, and no longer counts. Other endings stand.
    """
    if participant.outcome == "in_progress":
        end(participant, outcome, now)
    elif participant.outcome == "completed" and outcome == "returned":
        participant.outcome = outcome
        participant.slot_freed_at = now


def places_held(session: Session, experiment: Experiment, kind: str) -> Counter[str]:
    """Condition -> places held by participants of a kind."""
    query = (
        select(Participant.condition, func.count())
        .where(Participant.kind == kind, Participant.condition.is_not(None), _holds(experiment))
        .group_by(Participant.condition)
    )
    return Counter({str(name): count for name, count in session.execute(query)})


def _lists_held(
    session: Session, experiment: Experiment, kind: str, condition: str
) -> Counter[int]:
    query = (
        select(Participant.list_index, func.count())
        .where(Participant.kind == kind, Participant.condition == condition, _holds(experiment))
        .group_by(Participant.list_index)
    )
    return Counter({index: count for index, count in session.execute(query) if index is not None})


def _holds(experiment: Experiment) -> Any:
    return or_(
        and_(Participant.outcome == "completed", Participant.late.is_(False)),
        and_(
            Participant.outcome == "in_progress",
            Participant.slot_freed_at.is_(None),
            Participant.last_seen_at >= _cutoff(experiment),
        ),
    )


def _cutoff(experiment: Experiment) -> datetime:
    silence = timedelta(minutes=experiment.settings.recruitment.stale_after_min)
    return experiment.now() - silence


def _free_the_silent(session: Session, experiment: Experiment) -> None:
    silent = (
        select(Participant)
        .where(
            Participant.outcome == "in_progress",
            Participant.condition.is_not(None),
            Participant.slot_freed_at.is_(None),
            Participant.last_seen_at < _cutoff(experiment),
        )
        # Whose row somebody else has locked is not silent; waiting for it could be for ever, since
        # that somebody may be waiting for the study's row.
        .with_for_update(skip_locked=True)
    )
    for participant in session.scalars(silent):
        participant.slot_freed_at = experiment.now()


def _least(choices: Iterable[T], held: Counter[T], chance: Random) -> T:
    """One of the least filled, by chance."""
    choices = list(choices)
    fewest = min(held[choice] for choice in choices)
    return chance.choice([choice for choice in choices if held[choice] == fewest])
