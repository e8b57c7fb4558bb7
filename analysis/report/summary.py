"""What a study found in at most five sentences; `analysis.report.account` has all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.models import StudyModels
from analysis.report.apa import interval, listed, ratio, said_p, word
from analysis.report.sentences import ALPHA, PLACE, means, omnibus
from analysis.report.separation import Cell, pairs, why_not_estimated

__all__ = ["averaged", "summary"]

Difference = tuple[str, tuple[str, str], "pd.Series[float]"]


def summary(findings: Findings, cells: Sequence[Cell] = ()) -> list[str]:
    """The tests of all terms, the means of the first factor, and what its contrasts show.

    A contrast is told as higher only if its adjusted p is below .05. cells: of `extreme_cells`.
    """
    models = findings.models
    factors = models.factors
    found = [_joined(omnibus(findings.terms))]
    if factors:
        table, over = findings.means[f"{factors[0]}_probability"], averaged(models, factors[0])
        found.append(means(table, factors[0], cells, over))
    start = "Averaged over the other factor, t" if models.has_interaction else "T"
    return [one for one in [*found, *_contrasts(findings, cells, start)] if one]


def averaged(models: StudyModels, factor: str) -> list[str]:
    """The factors on which the effect of another depends, so that its means are averages."""
    return [name for name in models.factors if name != factor] if models.has_interaction else []


def _contrasts(findings: Findings, cells: Sequence[Cell], start: str) -> Iterator[str]:
    """One sentence each: of differences with evidence, without it, and without an estimate."""
    clear, unclear, unknown = [], [], []
    for factor, pair, row in _differences(findings):
        if why_not_estimated(row, factor, pair, cells, {}):
            unknown.append(_both(pair))
        elif row["p"] < ALPHA:
            clear.append(_higher(factor, pair, row))
        else:
            unclear.append(_both(pair))
    if clear:
        yield f"{start}he odds of a correct choice were higher {listed(clear)}."
    if unclear:
        yield (
            f"{start}here was no clear evidence (adjusted p ≥ .05) of a difference between "
            f"{listed(unclear, 'or')}."
        )
    if unknown:
        yield (
            f"There is no estimate to rely on of the difference between {listed(unknown, 'or')}."
        )


def _differences(findings: Findings) -> Iterator[Difference]:
    for factor in findings.models.factors:
        levels = [str(level) for level in findings.models.trials[factor].unique()]
        names = pairs(levels)
        for _, row in findings.contrasts[factor].iterrows():
            yield factor, names[row["contrast"]], row


def _higher(factor: str, pair: tuple[str, str], row: pd.Series[float]) -> str:
    sign = -1 if row["estimate"] < 0 else 1
    first, second = map(word, pair[::sign])
    place = PLACE.get(factor, "at ")
    ends = sorted((sign * row["low"], sign * row["high"]))
    return (
        f"{place}{first} than {place}{second} (OR = {ratio(np.exp(sign * row['estimate']))}, "
        f"95% CI {interval(np.exp(ends[0]), np.exp(ends[1]), ratio)}, adjusted {said_p(row['p'])})"
    )


def _both(pair: tuple[str, str]) -> str:
    return listed([word(name) for name in pair])


def _joined(sentences: Sequence[str]) -> str:
    """Several sentences as one."""
    parts = [one.removesuffix(".") for one in sentences]
    others = [f"{one[0].lower()}{one[1:]}" for one in parts[1:]]
    return f"{'; '.join([*parts[:1], *others])}." if parts else ""
