"""How a machine participant answers a trial: which side, after how long, and how surely.

The constants are chosen to look like people's answers; they are measured on nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random

from experiment_server.bots.habits import Habits
from stimuli.rows import Side
from stimuli.schema import Trial

EASY = 0.97  # share right in catch trials, and in practice where there are references
REACTION_S = 2.5  # median of a participant's median time, for an easy trial and after practice
BETWEEN_SD = 0.3  # of the log of participants' medians
WITHIN_SD = 0.4  # of the log of one participant's times
HARD = 0.6  # how much longer a trial takes that is a coin toss
NOVICE, LEARNT_AFTER = 0.5, 10.0  # how much longer the first takes, and trials to lose two thirds
CARELESS_S, FAST_S = 0.6, 0.25  # medians of careless answers and of fast guesses
ONE_SIDE = 0.85  # share of a careless participant's answers on their side
SURE = 3.0  # log-odds at which confidence is at its highest
UNSTEADY = 0.6  # s.d. of what confidence adds to the log-odds
SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(frozen=True)
class Judgment:
    """An answer. confidence: 1 to the number of levels, None if it is not asked for."""

    side: Side
    rt_s: float
    confidence: int | None


class Judge:
    """One participant's way of answering; the same for the same seed and number.

    trials: of the study, by id; empty for who does not know it.
    """

    def __init__(self, seed: str, number: int, habits: Habits, trials: Mapping[str, Trial]) -> None:
        self.habits = habits
        self.trials = trials
        self.chance = Random(f"{seed}/{number}/judgment")
        self.ability = _drawn(seed, f"bot {number}") * habits.spread
        self.ease = _eases(seed, trials.values(), habits.spread)
        self.is_careless = self.chance.random() < habits.careless
        self.median_s = REACTION_S * self.chance.lognormvariate(0.0, BETWEEN_SD)
        self.favorite = self.chance.choice(SIDES)
        self.learned: dict[str, Side] = {}  # trial id -> favored side, from feedback

    def judge(self, trial_id: str, condition: str, trial_index: int, levels: int) -> Judgment:
        """The answer to a trial. levels: of confidence, 0 if it is not asked for."""
        if self.is_careless:
            return self._guess(CARELESS_S, ONE_SIDE, levels)
        if self.chance.random() < self.habits.lapse:
            return self._guess(self.chance.choice((FAST_S, self.median_s)), 0.5, levels)
        share = self.share_right(trial_id, condition)
        return Judgment(
            side=self._choose(trial_id, share),
            rt_s=self._hesitate(share, trial_index),
            confidence=self._rate(share, levels),
        )

    def share_right(self, trial_id: str, condition: str) -> float:
        """The probability that this participant chooses the favored query, when not lapsing."""
        trial = self.trials.get(trial_id)
        if trial_id in self.learned:
            return 1.0
        if trial is None or (trial.kind == "practice" and not trial.references.get(condition)):
            return 0.5
        if trial.kind != "main":
            return EASY
        if (condition, trial_id) in self.habits.observed:
            share = self.habits.observed[condition, trial_id]
            # Ability works on evidence: where the observer has none, nobody is above chance.
            return 0.5 if share == 0.5 else _shift(share, self.ability)
        if condition not in self.habits.accuracy:
            return 0.5
        ease = self.ease[trial.unit.label] + self.ease[trial.network]
        return _shift(self.habits.accuracy[condition], self.ability + ease)

    def _choose(self, trial_id: str, share: float) -> Side:
        trial = self.trials.get(trial_id)
        favored = trial.favored_side if trial else self.learned.get(trial_id, "left")
        is_right = self.chance.random() < share
        return favored if is_right else _other(favored)

    def _guess(self, median_s: float, one_side: float, levels: int) -> Judgment:
        is_favorite = self.chance.random() < one_side
        return Judgment(
            side=self.favorite if is_favorite else _other(self.favorite),
            rt_s=median_s * self.chance.lognormvariate(0.0, WITHIN_SD),
            confidence=self.chance.randint(1, levels) if levels else None,
        )

    def _hesitate(self, share: float, trial_index: int) -> float:
        hardness = 1 - abs(2 * share - 1)
        novelty = math.exp(-trial_index / LEARNT_AFTER)
        median_s = self.median_s * (1 + HARD * hardness) * (1 + NOVICE * novelty)
        return median_s * self.chance.lognormvariate(0.0, WITHIN_SD)

    def _rate(self, share: float, levels: int) -> int | None:
        if not levels:
            return None
        capped = min(max(share, 0.001), 0.999)
        sureness = abs(_log_odds(capped)) + self.chance.gauss(0, UNSTEADY)
        return 1 + min(max(int(levels * sureness / SURE), 0), levels - 1)


def _eases(seed: str, trials: Iterable[Trial], spread: float) -> dict[str, float]:
    """Class or network -> what it adds to the log-odds of all bots of a seed, 0 on average."""
    known = list(trials)
    found: dict[str, float] = {}
    for names in ({trial.unit.label for trial in known}, {one.network for one in known}):
        drawn = {name: _drawn(seed, name) * spread for name in sorted(names)}
        centre = sum(drawn.values()) / len(drawn) if drawn else 0.0
        found |= {name: value - centre for name, value in drawn.items()}
    return found


def _drawn(seed: str, name: str) -> float:
    return Random(f"{seed}/{name}").gauss(0, 1)


def _shift(share: float, log_odds: float) -> float:
    """A share with log-odds added; who is always or never right stays so."""
    if not 0 < share < 1:
        return share
    return 1 / (1 + math.exp(-_log_odds(share) - log_odds))


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def _other(side: Side) -> Side:
    return "right" if side == "left" else "left"
