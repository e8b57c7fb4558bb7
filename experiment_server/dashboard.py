"""What the dashboard shows: counts, times, drop-out, health; and accuracies, for who asks.

Everything is of real participants unless it says otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import get_args

from sqlalchemy import and_, case, func, or_, select
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
    is_silent = Participant.last_seen_at < _cutoff(experiment)
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


def _cutoff(experiment: Experiment) -> datetime:
    silence = timedelta(minutes=experiment.settings.recruitment.stale_after_min)
    return experiment.now() - silence


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
    """How many came to a page, are at it now, fell silent at it, and left the study there."""

    name: str
    reached: int
    there: int
    silent: int
    left: int


def pages(session: Session, experiment: Experiment) -> list[Page]:
    """Drop-out, page by page."""
    completed = or_(Participant.outcome == "completed", Participant.finished_at.is_not(None))
    word = case(
        (completed, "completed"),
        (Participant.outcome != "in_progress", "left"),
        (Participant.last_seen_at < _cutoff(experiment), "silent"),
        else_="there",
    ).label("word")
    page = case((Participant.outcome == "declined_consent", "consent"), else_=Participant.stage)
    query = (
        select(page.label("page"), word, func.count())
        .where(Participant.kind == "real")
        .group_by("page", "word")
    )
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("left", "silent", "there")}
    reached = 0
    for name, state, count in session.execute(query):
        if state == "completed":
            reached += count
        else:
            counts[state][name] += count
    found = []
    for name in reversed(PAGES):
        here = {state: counts[state][name] for state in counts}
        reached += sum(here.values())
        found.append(Page(name, reached, **here))
    return found[::-1]


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
