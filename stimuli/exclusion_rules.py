"""The rules on who is left out of the analysis, as a study file preregisters them: a table a rule.

    [exclusions.incomplete]
    [exclusions.below_chance]
    alpha = 0.05

The rules are applied in the order of their tables. Here stands what a rule says; who breaks it is
found by `analysis.exclusions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, PlainSerializer, PlainValidator, Strict, create_model, model_validator

from stimuli.study_tables import Fraction, Positive, Share, Table

PositiveShare = Annotated[float, Strict(), Field(gt=0, le=1)]


class Rule(Table):
    """What a participant must not do. `name` is the rule's key in a study file."""

    name: ClassVar[str]


class Incomplete(Rule):
    """Left before the end: the outcome is not "completed"."""

    name = "incomplete"


class Late(Rule):
    """Completed after the place had been dealt to someone else."""

    name = "late"


class Duplicate(Rule):
    """Answered a main trial more than once, as someone does who takes part twice."""

    name = "duplicate"


class BelowChance(Rule):
    """Fewer correct main trials than guessing would give: exact one-sided binomial test.

    Excluded is who has so few correct that guessing (probability `chance` a trial) gives as few
    or fewer with a probability of at most `alpha`. Of 51 trials at .05 those are 19 and fewer.
    """

    name = "below_chance"
    alpha: Fraction = 0.05
    chance: Fraction = 0.5


class CatchTrials(Rule):
    """Too few catch trials correct. The default asks for 2 of 3, as Zimmermann et al. (2021)."""

    name = "catch_trials"
    minimum: PositiveShare = 0.6


class TooFast(Rule):
    """More than a share of the main trials answered within `rt_ms` of the queries' appearance."""

    name = "too_fast"
    rt_ms: Positive = 300
    share: Share = 0.1


class Duration(Rule):
    """Completed in less than `minimum_s` or in more than `maximum_s`, from arrival to the end."""

    name = "duration"
    minimum_s: Positive | None = None
    maximum_s: Positive | None = None

    @model_validator(mode="after")
    def _limits_leave_somebody(self) -> Self:
        low, high = self.minimum_s, self.maximum_s
        if low is None and high is None:
            raise ValueError("no limit is given; write minimum_s, maximum_s or both")
        if low is not None and high is not None and low >= high:
            raise ValueError(f"minimum_s = {low:g} must be below maximum_s = {high:g}")
        return self


class OneSided(Rule):
    """At least a share of the main trials answered with the same side."""

    name = "one_sided"
    share: Annotated[float, Strict(), Field(gt=0.5, le=1)] = 0.95


RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        *(Incomplete, Late, Duplicate, BelowChance),
        *(CatchTrials, TooFast, Duration, OneSided),
    )
}
# Late participants answered as validly as others; catch trials, speed, time and sides need a
# threshold that only the study's authors can choose.
DEFAULTS: tuple[Rule, ...] = (Incomplete(), Duplicate(), BelowChance())

_fields: dict[str, Any] = {name: (rule, None) for name, rule in RULES.items()}
_Exclusions: type[Table] = create_model("Exclusions", __base__=Table, **_fields)


def validate_rules(tables: Any) -> tuple[Rule, ...]:
    """The rules of an `exclusions` table: rule -> its options, in order.

    Raises pydantic's ValidationError for an unknown rule or option, or a value out of range.
    """
    if not isinstance(tables, dict):
        raise ValueError("a table a rule is expected, such as [exclusions.below_chance]")
    found = _Exclusions.model_validate(tables)
    return tuple(getattr(found, name) for name in tables)


def tabulate_rules(rules: Iterable[Rule]) -> dict[str, dict[str, Any]]:
    """The `exclusions` table that says these rules: rule -> its options."""
    return {rule.name: rule.model_dump(exclude_none=True) for rule in rules}


# As a field of the study file: a table in TOML and in JSON, the rules in their order in Python.
Rules = Annotated[tuple[Rule, ...], PlainValidator(validate_rules), PlainSerializer(tabulate_rules)]
