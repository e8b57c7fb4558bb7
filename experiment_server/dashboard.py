"""What the dashboard shows: counts, times, drop-out, health; and accuracies, for who asks.

Everything is of real participants unless it says otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, get_args

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

from experiment_server.experiment import Experiment
from experiment_server.models import Participant, Response, StudyState
from stimuli.rows import Outcome

LATE, SILENT = "late", "silent"
OUTCOMES = ("completed", LATE, "in_progress", SILENT, *get_args(Outcome)[2:])
PAGES = (
    "consent",
    "device",
    "instructions",
    "quiz",
    "practice",
    "main",
    "questions",
    "debrief",
)


@dataclass(frozen=True)
class Tally:
    """How many participants there are. `by_condition`: None is who was not dealt one."""

    by_condition: dict[str | None, Counter[str]]
    pilots: Counter[str]
    previews: int

    @property
    def total(self) -> Counter[str]:
        """Outcome -> real participants."""
        return sum(self.by_condition.values(), Counter())

    @property
    def outcomes(self) -> list[str]:
        """The outcomes there are, in their order; completed and in_progress in any case."""
        always = {"completed", "in_progress"}
        return [one for one in OUTCOMES if one in always or self.total[one]]


def tally(session: Session, experiment: Experiment) -> Tally:
    """Counts by condition and outcome; `late` and `silent` are told from the others."""
    silence = timedelta(minutes=experiment.settings.recruitment.stale_after_min)
    is_silent = Participant.last_seen_at < experiment.now() - silence
    outcome = case(
        (and_(Participant.outcome == "completed", Participant.late), LATE),
        (and_(Participant.outcome == "in_progress", is_silent), SILENT),
        else_=Participant.outcome,
    ).label("word")
    query = select(Participant.kind, Participant.condition, outcome, func.count()).group_by(
        Participant.kind, Participant.condition, outcome
    )
    real: dict[str | None, Counter[str]] = {name: Counter() for name in experiment.conditions}
    pilots: Counter[str] = Counter()
    previews = 0
    for kind, condition, word, count in session.execute(query):
        if kind == "real":
            real.setdefault(condition, Counter())[word] += count
        elif kind == "pilot":
            pilots[word] += count
        else:
            previews += count
    return Tally(real, pilots, previews)


@dataclass(frozen=True)
class Times:
    """When people arrived and completed."""

    arrivals: list[datetime]
    completions: list[datetime]
    median_s: float | None

    def pay_per_hour(self, reward_minor: int | None) -> float | None:
        """The pay rate that the median duration implies, in pounds, euros or dollars."""
        if reward_minor is None or not self.median_s:
            return None
        return reward_minor / 100 / (self.median_s / 3600)


def times(session: Session) -> Times:
    """Arrivals of all; completions and their median duration of those who count."""
    completed = and_(Participant.outcome == "completed", Participant.late.is_(False))
    query = select(Participant.started_at, Participant.finished_at, completed).where(
        Participant.kind == "real"
    )
    rows = session.execute(query).all()
    done = [(start, end) for start, end, counts in rows if counts and end is not None]
    durations = [(end - start).total_seconds() for start, end in done]
    return Times(
        arrivals=sorted(row.started_at for row in rows),
        completions=sorted(end for _, end in done),
        median_s=median(durations) if durations else None,
    )


@dataclass(frozen=True)
class Page:
    """How many came to a page, are at it now, and left the study there."""

    name: str
    reached: int
    there: int
    left: int


def pages(session: Session, experiment: Experiment) -> list[Page]:
    """Drop-out, page by page. Where someone left is told from what they had done by then."""
    columns = Participant.__table__.columns
    answered = (
        select(Response.participant_id, func.count().label("answered"))
        .group_by(Response.participant_id)
        .subquery()
    )
    query = (
        select(*columns, func.coalesce(answered.c.answered, 0).label("answered"))
        .outerjoin(answered, answered.c.participant_id == Participant.id)
        .where(Participant.kind == "real")
        .execution_options(yield_per=1000)
    )
    there: Counter[int] = Counter()
    left: Counter[int] = Counter()
    completed = 0
    with session.execute(query) as people:
        for person in people:
            if person.outcome == "completed" or person.finished_at is not None:
                completed += 1
            elif person.outcome == "in_progress":
                there[PAGES.index(person.stage)] += 1
            else:
                left[PAGES.index(_last_page(person, experiment))] += 1
    found, reached = [], completed
    for index in reversed(range(len(PAGES))):
        reached += there[index] + left[index]
        found.append(Page(PAGES[index], reached, there[index], left[index]))
    return found[::-1]


_ENDS_AT = {
    "declined_consent": "consent",
    "unsuitable_device": "device",
    "failed_quiz": "quiz",
    "failed_practice": "practice",
}


def _last_page(person: Any, experiment: Experiment) -> str:
    """The page at which someone left, as far as can be told."""
    if person.outcome in _ENDS_AT:
        return _ENDS_AT[person.outcome]
    if person.condition is not None:
        practice = len(experiment.bundle.practice(person.list_index))
        if person.answered < practice * person.practice_attempts:
            return "practice"
        whole = experiment.bundle.sequence(person.list_index, person.practice_attempts)
        return "main" if person.answered < len(whole) else "questions"
    if person.instruction_s:
        return "quiz"
    return "instructions" if person.device else "device"


@dataclass(frozen=True)
class Accuracy:
    """Share of right answers in main trials, of those who completed and count."""

    condition: str
    network: str
    participants: int
    trials: int
    share: float


def accuracies(session: Session, experiment: Experiment) -> list[Accuracy]:
    """By condition and network."""
    counts = (
        Participant.kind == "real",
        Participant.outcome == "completed",
        Participant.late.is_(False),
    )
    right = func.sum(case((Response.correct, 1), else_=0))
    query = (
        select(Participant.condition, Response.trial_id, func.count(), right)
        .join(Response.participant)
        .where(*counts)
        .group_by(Participant.condition, Response.trial_id)
    )
    trials: Counter[tuple[str, str]] = Counter()
    correct: Counter[tuple[str, str]] = Counter()
    for condition, trial_id, answers, hits in session.execute(query):
        trial = experiment.bundle.trials[trial_id]
        if trial.kind == "main":
            trials[condition, trial.network] += answers
            correct[condition, trial.network] += hits
    group = select(Participant.condition, func.count()).where(*counts)
    found = session.execute(group.group_by(Participant.condition))
    people = {str(condition): count for condition, count in found}
    return [
        Accuracy(
            condition, network.name, people[condition], trials[key], correct[key] / trials[key]
        )
        for condition in experiment.bundle.study.conditions
        for network in experiment.bundle.study.networks
        if trials[key := (condition, network.name)]
    ]


def is_recruiting(session: Session) -> bool:
    """Whether new participants are let in."""
    return session.scalars(select(StudyState.recruiting)).one()
