"""Preregistered rules on who is left out: rules as data -> kept, dropped, and each one's reason.

A study file holds them as a table a rule, in the order in which they are applied:

    [exclusions.incomplete]
    [exclusions.below_chance]
    alpha = 0.05
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pandas as pd
from pydantic import Field, ValidationError
from scipy.stats import binom

from analysis.responses import Export
from stimuli.rows import Record

__all__ = [
    "DEFAULTS",
    "RULES",
    "BelowChance",
    "CatchTrials",
    "Duplicate",
    "Exclusions",
    "Incomplete",
    "Late",
    "OneSided",
    "Rule",
    "TooFast",
    "chance_limits",
    "exclude",
    "read_rules",
]

Share = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Breach:
    """A participant who breaks a rule: the measured value, and the reason in words."""

    participant: str
    value: float
    reason: str


class Rule(Record):
    """What a participant must not do. `name` is the rule's key in a study file."""

    name: ClassVar[str]

    def breaches(self, export: Export) -> Iterator[Breach]:
        """Who breaks the rule. Raises ValueError if the export cannot tell."""
        raise NotImplementedError


class Incomplete(Rule):
    """Left before the end: the outcome is not "completed"."""

    name = "incomplete"

    def breaches(self, export: Export) -> Iterator[Breach]:
        people = _with(self, export.participants, "outcome")
        answered = export.main.groupby("participant", observed=True).size()
        for who, outcome in zip(people["participant"], people["outcome"], strict=True):
            if outcome != "completed":
                trials = int(answered.get(who, 0))
                yield Breach(who, trials, f"outcome {outcome!r} after {trials} main trials")


class Late(Rule):
    """Completed after the place had been dealt to someone else."""

    name = "late"

    def breaches(self, export: Export) -> Iterator[Breach]:
        people = _with(self, export.participants, "late")
        for who in people.loc[people["late"] == 1, "participant"]:
            yield Breach(who, 1, "completed after the place had been dealt anew")


class Duplicate(Rule):
    """Answered a main trial more than once, as someone does who takes part twice."""

    name = "duplicate"

    def breaches(self, export: Export) -> Iterator[Breach]:
        trials = _with(self, export.main, "trial_id")
        again = trials[trials.duplicated(["participant", "trial_id"])]
        for who, times in again.groupby("participant", observed=True, sort=False).size().items():
            yield Breach(str(who), int(times), f"answered {times} main trials again")


class BelowChance(Rule):
    """Fewer correct main trials than guessing would give: exact one-sided binomial test.

    Excluded is who has so few correct that guessing (probability `chance` a trial) gives as few
    or fewer with a probability of at most `alpha`. Of 51 trials at .05 those are 19 and fewer.
    """

    name = "below_chance"
    alpha: Probability = 0.05
    chance: Probability = 0.5

    def breaches(self, export: Export) -> Iterator[Breach]:
        scores = export.main.groupby("participant", observed=True, sort=False)["correct"]
        for who, right, trials in scores.agg(["sum", "count"]).itertuples():
            p = float(binom.cdf(right, trials, self.chance))
            if p <= self.alpha:
                told = f"{right} of {trials} correct, below chance (exact binomial p = {p:.2g})"
                yield Breach(who, right / trials, told)


class CatchTrials(Rule):
    """Too few catch trials correct. The default asks for 2 of 3, as Zimmermann et al. (2021)."""

    name = "catch_trials"
    minimum: Share = 0.6

    def breaches(self, export: Export) -> Iterator[Breach]:
        trials = export.of_kind("catch")
        if trials.empty:
            raise ValueError(
                "rule catch_trials: the export has no catch trials; leave the rule out"
            )
        scores = trials.groupby("participant", observed=True, sort=False)["correct"]
        for who, right, asked in scores.agg(["sum", "count"]).itertuples():
            if right / asked < self.minimum:
                told = f"{right} of {asked} catch trials correct, {self.minimum:.0%} are asked for"
                yield Breach(who, right / asked, told)


class TooFast(Rule):
    """More than a share of the main trials answered within `rt_ms` of the queries' appearance."""

    name = "too_fast"
    rt_ms: float = Field(default=300, gt=0)
    share: Share = 0.1

    def breaches(self, export: Export) -> Iterator[Breach]:
        trials = _with(self, export.main, "rt_ms")
        fast = (trials["rt_ms"] < self.rt_ms).groupby(trials["participant"], sort=False).mean()
        for who, share in fast[fast > self.share].items():
            told = f"{share:.0%} of the answers within {self.rt_ms:g} ms, over {self.share:.0%}"
            yield Breach(str(who), float(share), told)


class OneSided(Rule):
    """At least a share of the main trials answered with the same side."""

    name = "one_sided"
    share: Annotated[float, Field(gt=0.5, le=1)] = 0.95

    def breaches(self, export: Export) -> Iterator[Breach]:
        trials = _with(self, export.main, "response_side")
        left = (trials["response_side"] == "left").groupby(trials["participant"], sort=False).mean()
        for who, share in left.items():
            side, most = ("left", share) if share >= 0.5 else ("right", 1 - share)
            if most >= self.share:
                yield Breach(str(who), float(most), f"{most:.0%} of the answers {side}")


RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (Incomplete, Late, Duplicate, BelowChance, CatchTrials, TooFast, OneSided)
}
# Late participants answered as validly as others; catch trials, speed and sides need a threshold
# that only the study's authors can choose.
DEFAULTS: tuple[Rule, ...] = (Incomplete(), Duplicate(), BelowChance())


@dataclass(frozen=True, eq=False)
class Exclusions:
    """The outcome of rules on an export.

    everyone, kept: the export before and after. rules: as applied.
    table: a row a participant and rule broken: participant, condition, rule, value, reason; who
    breaks two rules has two rows. flow: a row a rule: how many break it, how many it drops of
    those whom the rules before it left, and how many remain, in all and by condition.
    """

    everyone: Export
    kept: Export
    rules: tuple[Rule, ...]
    table: pd.DataFrame
    flow: pd.DataFrame

    @property
    def dropped(self) -> list[str]:
        """The participants left out."""
        return list(self.table["participant"].unique())


def read_rules(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules of a study file's `exclusions`: rule -> its options, in order.

    Raises ValueError naming the rule, the option, the value and what was expected.
    """
    rules: list[Rule] = []
    for name, options in tables.items():
        if name not in RULES:
            raise ValueError(f"exclusions: there is no rule {name!r}; there are {', '.join(RULES)}")
        try:
            rules.append(RULES[name].model_validate(options))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(["exclusions", name, *map(str, problem["loc"])])
            raise ValueError(f"{where} = {problem['input']!r}: {problem['msg']}") from error
    return tuple(rules)


def exclude(export: Export, rules: Sequence[Rule] = DEFAULTS) -> Exclusions:
    """Applies rules in their order.

    Raises ValueError if nobody is left, or if the data lack what a rule asks of them, as tables
    from elsewhere may: give those the rules that they can answer.
    """
    conditions = dict(
        zip(export.participants["participant"], export.participants["condition"], strict=True)
    )
    rows = [
        [breach.participant, conditions[breach.participant], rule.name, breach.value, breach.reason]
        for rule in rules
        for breach in rule.breaches(export)
    ]
    columns = ["participant", "condition", "rule", "value", "reason"]
    table = pd.DataFrame(rows, columns=columns)
    kept = export.without(table["participant"])
    if kept.main.empty:
        raise ValueError(f"the rules {', '.join(rule.name for rule in rules)} leave nobody")
    return Exclusions(export, kept, tuple(rules), table, _flow(export, rules, table))


def chance_limits(trials: int, alpha: float = 0.05, chance: float = 0.5) -> tuple[int, int]:
    """The most correct trials that are below chance, and the fewest that are above it.

    Exact one-sided binomial tests at alpha: (19, 32) for 51 trials. -1, or trials + 1, if no
    number of correct trials is so improbable.
    """
    below = int(binom.ppf(alpha, trials, chance))
    if binom.cdf(below, trials, chance) > alpha:
        below -= 1
    above = int(binom.isf(alpha, trials, chance)) + 1
    return below, above


def _flow(export: Export, rules: Sequence[Rule], table: pd.DataFrame) -> pd.DataFrame:
    people, gone = export.participants, set[str]()
    steps = []
    for name in ("", *(rule.name for rule in rules)):
        broke = set(table.loc[table["rule"] == name, "participant"])
        first = len(broke - gone)
        gone |= broke
        left = people[~people["participant"].isin(list(gone))]
        counts = left["condition"].value_counts().to_dict()
        steps.append(
            {"rule": name or "arrived", "break_it": len(broke), "dropped": first, "left": len(left)}
            | {f"left_{condition}": counts.get(condition, 0) for condition in _conditions(people)}
        )
    return pd.DataFrame(steps)


def _conditions(people: pd.DataFrame) -> list[str]:
    return list(people["condition"].cat.categories)


def _with(rule: Rule, table: pd.DataFrame, column: str) -> pd.DataFrame:
    if column not in table:
        raise ValueError(f"rule {rule.name}: these data have no column {column!r}; leave it out")
    return table
