"""By which rules participants were left out, in words, and whose rules they are."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.exclusions import is_preregistered, preregistered
from analysis.findings import Analysis
from analysis.report.apa import listed, share, word
from stimuli.exclusion_rules import Rule

__all__ = ["are_of_study", "rule_caution", "rule_in_words", "rule_origin"]

NONE_NAMED = "The export names no rules of exclusion"


def are_of_study(analysis: Analysis) -> bool:
    """Whether the rules used are those that the export names, however they were given."""
    export = analysis.export
    if analysis.preregistered or not is_preregistered(export):
        return analysis.preregistered
    try:
        return preregistered(export) == analysis.exclusions.rules
    except ValueError:
        return False


def rule_origin(analysis: Analysis) -> str:
    """Whose rules were used: a sentence for the page."""
    if are_of_study(analysis):
        return "The rules were fixed with the study, before anyone took part."
    if is_preregistered(analysis.export):
        return "The rules are not those that were fixed with the study."
    if preregistered(analysis.export) == analysis.exclusions.rules:
        return f"{NONE_NAMED}; the rules are this program's defaults."
    return f"{NONE_NAMED}; the rules were given to this program."


def rule_caution(analysis: Analysis) -> str:
    """What to know of rules that are not the study's; empty if they are."""
    if are_of_study(analysis):
        return ""
    told = rule_origin(analysis)
    if not is_preregistered(analysis.export):
        return told
    try:
        planned = preregistered(analysis.export)
    except ValueError as error:
        return f"{told} Those cannot be read: {error}."
    return f"{told} {_compare(planned, analysis.exclusions.rules)}"


def _compare(planned: Sequence[Rule], used: Sequence[Rule]) -> str:
    left_out = [_brief(rule) for rule in planned if rule not in used]
    if left_out:
        return f"Of the study's rules these were not applied: {listed(left_out)}."
    added = [_brief(rule) for rule in used if rule not in planned]
    if added:
        return f"All of the study's were applied, and besides {listed(added)}."
    return "They are the study's rules in another order."


def rule_in_words(rule: Rule) -> str:
    """A rule's name, its meaning, and the values of its options."""
    meaning = (type(rule).__doc__ or "").strip().splitlines()[0].rstrip(".")
    return f"{meaning} ({', '.join([f'rule {rule.name}', *_options(rule)])})."


def _brief(rule: Rule) -> str:
    options = ", ".join(_options(rule))
    return f"{word(rule.name)} ({options})" if options else word(rule.name)


def _options(rule: Rule) -> list[str]:
    return [f"{name} = {_option(value)}" for name, value in rule.model_dump().items()]


def _option(value: float | None) -> str:
    if value is None:
        return "none"
    return share(value) if 0 < value < 1 else f"{value:g}"
