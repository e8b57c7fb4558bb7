"""Which trial and which units a report shows, chosen by rules, and what was answered to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from stimuli.schema import Study, Trial

__all__ = ["MINIMUM", "Answers", "Example", "Ranked", "example", "extremes", "referenced"]

MINIMUM = 10  # answers with references, below which a unit has no place among the best or worst
MOST = 3  # units shown as the best, and as the worst


@dataclass(frozen=True)
class Answers:
    """How many of `given` answers chose the favored query."""

    correct: int
    given: int

    @property
    def share(self) -> float:
        """Between 0 and 1; NaN without an answer."""
        return self.correct / self.given if self.given else float("nan")


@dataclass(frozen=True)
class Example:
    """A trial and its answers in each condition.

    median: of the shares correct with references of all trials it was chosen among.
    """

    trial: Trial
    answers: dict[str, Answers]
    median: float


@dataclass(frozen=True)
class Ranked:
    """A unit of a network by its answers with references, and a trial of it.

    blind: the answers without references; None in a study that has no such condition.
    """

    trial: Trial
    answers: Answers
    blind: Answers | None


def referenced(study: Study) -> list[str]:
    """The conditions that show references, in the study's order."""
    return [name for name in study.conditions if study.trials[0].references[name]]


def example(trials: pd.DataFrame, study: Study) -> Example | None:
    """The trial whose share correct with references is nearest the median of all trials.

    Only the trials answered in the most conditions can be chosen; of equals the one with more
    answers, then the one whose id is first. None if nobody answered a trial with references.
    trials: participant's answers with trial_id, condition, correct.
    """
    shares = _shares(trials, referenced(study))
    if shares.empty:
        return None
    chosen = _nearest(shares)
    own = trials[trials["trial_id"] == chosen]
    answers = {name: _answers(own[own["condition"] == name]) for name in study.conditions}
    return Example(_known(study)[chosen], answers, float(shares["share"].median()))


def extremes(trials: pd.DataFrame, study: Study) -> tuple[list[Ranked], list[Ranked]]:
    """The units with the highest and with the lowest share correct with references.

    Each list begins with the most extreme and has at most MOST; no unit is in both. Units with
    fewer than MINIMUM such answers are left out; equals stand in the order of the study's trials.
    """
    seen, known = referenced(study), _known(study)
    places: dict[tuple[str, str], list[str]] = {}
    for trial in study.trials:
        places.setdefault((trial.network, trial.unit.name), []).append(trial.id)
    found = []
    for ids in places.values():
        own = trials[trials["trial_id"].isin(ids)]
        answers = _answers(own[own["condition"].isin(seen)])
        if answers.given >= MINIMUM:
            blind = _answers(own[~own["condition"].isin(seen)])
            trial = known[_nearest(_shares(own, seen))]
            has_blind = len(seen) < len(study.conditions)
            found.append(Ranked(trial, answers, blind if has_blind else None))
    found.sort(key=lambda one: -one.answers.share)
    count = min(MOST, len(found) // 2)
    last = found[len(found) - count :]
    return found[:count], sorted(last, key=lambda one: one.answers.share)


def _shares(trials: pd.DataFrame, seen: Sequence[str]) -> pd.DataFrame:
    """A row a trial: share correct and answers in the conditions `seen`, conditions in all."""
    ids = trials["trial_id"].astype(str)
    shown = trials["condition"].isin(seen)
    groups = trials[shown].groupby(ids[shown])["correct"]
    conditions = trials["condition"].astype(str).groupby(ids).nunique()
    table = pd.DataFrame({"share": groups.mean(), "answers": groups.size()})
    return table.assign(conditions=conditions.reindex(table.index))


def _nearest(shares: pd.DataFrame) -> str:
    away = (shares["share"] - shares["share"].median()).abs().round(12)  # equals stay equal
    table = shares.assign(away=away).rename_axis("trial_id").reset_index()
    columns = ["conditions", "away", "answers", "trial_id"]
    return str(table.sort_values(columns, ascending=[False, True, False, True])["trial_id"].iloc[0])


def _answers(trials: pd.DataFrame) -> Answers:
    return Answers(int(trials["correct"].sum()), len(trials))


def _known(study: Study) -> dict[str, Trial]:
    return {trial.id: trial for trial in study.trials}
