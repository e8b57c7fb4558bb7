"""What a study found, as the sentences of its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from analysis.findings import Findings
from analysis.mixed_logit import MixedLogitResults
from analysis.report.apa import listed, word
from analysis.report.sentences import (
    compare,
    contrast,
    control,
    means,
    omnibus,
    singular,
    structures,
)
from analysis.report.separation import Cell, extreme_cells, pairs
from analysis.report.summary import averaged, summary

__all__ = ["Family", "Told", "tell"]

INCOMPARABLE = (
    "The models with and without the interaction cannot be compared: one did not converge."
)


@dataclass(frozen=True)
class Family:
    """Contrasts of a factor, is_split: at each level of the other one."""

    title: str
    sentences: list[str]
    is_split: bool = False


@dataclass(frozen=True)
class Told:
    """What a study found: in `short`, then all `results` in order, the contrasts, and `cautions`.

    refused: why there is no result, or empty.
    """

    short: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    contrasts: list[Family] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    refused: str = ""


def tell(findings: Findings, without_visualizations: str | None = None) -> Told:
    """The sentences of some findings. without_visualizations: the control condition, if any."""
    models = findings.models
    if not models.chosen.converged:
        return Told(refused=_refusal(models.chosen))
    cells = extreme_cells(models)
    fits = [fit for fit in (models.additive, models.interaction) if fit is not None]
    both = compare(models.comparison) if all(fit.converged for fit in fits) else INCOMPARABLE
    found = [both, *omnibus(findings.terms)]
    for factor in models.factors:
        over = averaged(models, factor)
        found.append(means(findings.means[f"{factor}_probability"], factor, cells, over))
    if without_visualizations is not None and "condition" in models.factors:
        for _, mean in findings.means["condition_log_odds"].iterrows():
            if mean["condition"] == without_visualizations:
                over = averaged(models, "condition")
                found.append(control(mean, without_visualizations, cells, over))
    found.append(singular(models.chosen))
    cautions = structures(findings.structures, models.factors)
    families = list(_families(findings, cells))
    results = [one for one in found if one]
    return Told(summary(findings, cells), results, families, cautions)


def _families(findings: Findings, cells: Sequence[Cell]) -> Iterator[Family]:
    models = findings.models
    for factor in models.factors:
        names = pairs(_levels(models.trials[factor]))
        others = [name for name in models.factors if name != factor]
        title = f"{word(factor).capitalize()}s"
        if models.has_interaction:
            title += f", averaged over {listed([f'{word(name)}s' for name in others])}"
        rows = [row for _, row in findings.contrasts[factor].iterrows()]
        yield Family(title, [contrast(row, factor, names[row["contrast"]], cells) for row in rows])
        if models.has_interaction:
            (other,) = others
            rows = [row for _, row in findings.contrasts[f"{factor}_by_{other}"].iterrows()]
            told = [
                contrast(row, factor, names[row["contrast"]], cells, {other: str(row[other])})
                for row in rows
            ]
            yield Family(f"{word(factor).capitalize()}s for each {word(other)}", told, True)


def _levels(column: pd.Series[str]) -> list[str]:
    return [str(level) for level in column.unique()]


def _refusal(results: MixedLogitResults) -> str:
    return (
        f"No result is told: the model {results.design.formula.text} did not converge, so its "
        "estimates cannot be trusted. " + (results.warnings[0] if results.warnings else "")
    ).strip()
