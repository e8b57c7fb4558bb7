"""Who is left out, by preregistered rules: rules on an export -> kept, dropped, and each reason.

What the rules say is in `stimuli.exclusion_rules`, whose words a study file's `exclusions` uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import ValidationError
from scipy.stats import binom

from analysis.responses import Export
from stimuli.exclusion_rules import (
    DEFAULTS,
    RULES,
    BelowChance,
    CatchTrials,
    Duplicate,
    Duration,
    Incomplete,
    Late,
    OneSided,
    Rule,
    TooFast,
    validate_rules,
)

__all__ = [
    "DEFAULTS",
    "RULES",
    "BelowChance",
    "CatchTrials",
    "Duplicate",
    "Duration",
    "Exclusions",
    "Incomplete",
    "Late",
    "OneSided",
    "Rule",
    "TooFast",
    "can_answer",
    "chance_limits",
    "exclude",
    "is_preregistered",
    "preregistered",
    "read_rules",
]


@dataclass(frozen=True)
class Breach:
    """A participant who breaks a rule: the measured value, and the reason in words."""

    participant: str
    value: float
    reason: str


def _incomplete(rule: Incomplete, export: Export) -> Iterator[Breach]:
    people = export.participants
    answered = export.main.groupby("participant", observed=True).size()
    for who, outcome in zip(people["participant"], people["outcome"], strict=True):
        if outcome != "completed":
            trials = int(answered.get(who, 0))
            yield Breach(who, trials, f"outcome {outcome!r} after {trials} main trials")


def _late(rule: Late, export: Export) -> Iterator[Breach]:
    people = export.participants
    for who in people.loc[people["late"] == 1, "participant"]:
        yield Breach(who, 1, "completed after the place had been dealt anew")


def _duplicate(rule: Duplicate, export: Export) -> Iterator[Breach]:
    trials = export.main
    again = trials[trials.duplicated(["participant", "trial_id"])]
    for who, times in again.groupby("participant", observed=True, sort=False).size().items():
        yield Breach(str(who), int(times), f"answered {times} main trials again")


def _below_chance(rule: BelowChance, export: Export) -> Iterator[Breach]:
    scores = export.main.groupby("participant", observed=True, sort=False)["correct"]
    for who, right, trials in scores.agg(["sum", "count"]).itertuples():
        p = float(binom.cdf(right, trials, rule.chance))
        if p <= rule.alpha:
            told = f"{right} of {trials} correct, below chance (exact binomial p = {p:.2g})"
            yield Breach(who, right / trials, told)


def _catch_trials(rule: CatchTrials, export: Export) -> Iterator[Breach]:
    trials = export.of_kind("catch")
    if trials.empty:
        raise ValueError("rule catch_trials: the export has no catch trials; leave the rule out")
    scores = trials.groupby("participant", observed=True, sort=False)["correct"]
    for who, right, asked in scores.agg(["sum", "count"]).itertuples():
        if right / asked < rule.minimum:
            told = f"{right} of {asked} catch trials correct, {rule.minimum:.0%} are asked for"
            yield Breach(who, right / asked, told)


def _too_fast(rule: TooFast, export: Export) -> Iterator[Breach]:
    trials = export.main.dropna(subset="rt_ms")
    fast = (trials["rt_ms"] < rule.rt_ms).groupby(trials["participant"], sort=False).mean()
    for who, share in fast[fast > rule.share].items():
        told = f"{share:.0%} of the answers within {rule.rt_ms:g} ms, over {rule.share:.0%}"
        yield Breach(str(who), float(share), told)


def _duration(rule: Duration, export: Export) -> Iterator[Breach]:
    people = export.participants.dropna(subset="duration_s")
    for who, took_s in zip(people["participant"], people["duration_s"], strict=True):
        if rule.minimum_s is not None and took_s < rule.minimum_s:
            yield Breach(who, took_s, f"completed in {took_s:g} s, under {rule.minimum_s:g} s")
        elif rule.maximum_s is not None and took_s > rule.maximum_s:
            yield Breach(who, took_s, f"completed in {took_s:g} s, over {rule.maximum_s:g} s")


def _one_sided(rule: OneSided, export: Export) -> Iterator[Breach]:
    trials = export.main.dropna(subset="response_side")
    left = (trials["response_side"] == "left").groupby(trials["participant"], sort=False).mean()
    for who, share in left.items():
        side, most = ("left", share) if share >= 0.5 else ("right", 1 - share)
        if most >= rule.share:
            yield Breach(str(who), float(most), f"{most:.0%} of the answers {side}")


# Rule -> the column it asks, besides those that every table has.
COLUMNS: dict[type[Rule], str] = {
    Incomplete: "outcome",
    Late: "late",
    Duplicate: "trial_id",
    TooFast: "rt_ms",
    Duration: "duration_s",
    OneSided: "response_side",
}
# Rule -> who breaks it in an export.
BREACHES: dict[type[Rule], Callable[[Any, Export], Iterator[Breach]]] = {
    Incomplete: _incomplete,
    Late: _late,
    Duplicate: _duplicate,
    BelowChance: _below_chance,
    CatchTrials: _catch_trials,
    TooFast: _too_fast,
    Duration: _duration,
    OneSided: _one_sided,
}


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
    try:
        return validate_rules(tables)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(["exclusions", *map(str, problem["loc"])])
        value = "" if isinstance(problem["input"], dict) else f" = {problem['input']!r}"
        message = problem["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}{value}: {message}") from error
    except ValueError as error:
        raise ValueError(f"exclusions = {tables!r}: {error}") from error


def is_preregistered(export: Export) -> bool:
    """Whether the export says by which rules its study wanted participants left out.

    False for exports of bundles built before study files had `exclusions`, and for other layouts.
    """
    return "exclusions" in (export.codebook or {})


def preregistered(export: Export) -> tuple[Rule, ...]:
    """The rules of the study file that an export's codebook carries, in their order.

    Those of DEFAULTS that the data can answer if it carries none: ask `is_preregistered`, and
    report which it was. Raises ValueError as `read_rules` does.
    """
    if not is_preregistered(export):
        return tuple(rule for rule in DEFAULTS if can_answer(export, rule))
    return read_rules((export.codebook or {})["exclusions"])


def can_answer(export: Export, rule: Rule) -> bool:
    """Whether an export has the column that a rule asks; tables from elsewhere may not."""
    column = COLUMNS.get(type(rule), "participant")
    return column in export.participants or column in export.trials


def exclude(export: Export, rules: Sequence[Rule] = DEFAULTS) -> Exclusions:
    """Applies rules in their order.

    Raises ValueError if nobody is left, or if the data lack what a rule asks of them, as tables
    from elsewhere may: give those the rules that they can answer.
    """
    for rule in rules:
        if type(rule) not in BREACHES:
            names = ", ".join(kind.__name__ for kind in BREACHES)
            raise ValueError(f"rules: {rule!r} is no rule; allowed: {names}, as BelowChance()")
        if not can_answer(export, rule):
            column = COLUMNS[type(rule)]
            raise ValueError(
                f"rule {rule.name}: these data have no column {column!r}; leave it out"
            )
    conditions = dict(
        zip(export.participants["participant"], export.participants["condition"], strict=True)
    )
    rows = [
        [breach.participant, conditions[breach.participant], rule.name, breach.value, breach.reason]
        for rule in rules
        for breach in BREACHES[type(rule)](rule, export)
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
