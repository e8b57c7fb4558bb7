"""Where a study has no finite estimate: cells in which everyone is right, or everyone wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.models import StudyModels

__all__ = ["Cell", "extreme_cells", "pairs", "usable", "why_not_estimated"]

Cell = Mapping[str, str]
LARGE = 10.0  # log-odds that no difference reaches in data with an estimate


def extreme_cells(models: StudyModels) -> list[Cell]:
    """The cells of the chosen model's terms with all choices correct or all wrong, as its levels.

    `{"condition": "maco"}`, and with the interaction also `{"condition": ..., "network": ...}`.
    """
    terms: list[tuple[str, ...]] = [(factor,) for factor in models.factors]
    if models.has_interaction:
        terms.append(models.factors)
    found: list[Cell] = []
    for term in terms:
        shares = models.trials.groupby(list(term), observed=True)["correct"].mean()
        for levels in shares.index[shares.isin((0, 1))]:
            values = levels if isinstance(levels, tuple) else (levels,)
            found.append(dict(zip(term, map(str, values), strict=True)))
    return found


def why_not_estimated(
    contrast: pd.Series[float],
    factor: str,
    pair: tuple[str, str],
    cells: Sequence[Cell],
    at: Cell,
) -> str:
    """Why a difference of two levels has no size to tell, ending a sentence; empty if it has one.

    contrast: estimate and se. cells: of `extreme_cells`. at: the levels of other factors at which
    it is taken; it is an average over those not given.
    """
    estimate, se = float(contrast["estimate"]), float(contrast["se"])
    if np.isnan(estimate):
        return "cannot be estimated"
    for cell in cells:
        others = {name: level for name, level in cell.items() if name != factor}
        if cell.get(factor) in pair and all(
            at.get(name, own) == own for name, own in others.items()
        ):
            return "has no finite estimate (separation: all choices of a cell alike)"
    if not np.isfinite(se) or abs(estimate) > LARGE:
        return "has no estimate to rely on, as the warnings say"
    return ""


def pairs(levels: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The names of all contrasts of some levels -> the two levels: "a - b" -> ("a", "b")."""
    return {f"{a} - {b}": (a, b) for a in levels for b in levels if a != b}


def usable(findings: Findings, factor: str, by: str = "") -> pd.DataFrame:
    """The contrasts of a factor, in each level of `by`; NaN where one has no size to tell."""
    table = findings.contrasts[f"{factor}_by_{by}" if by else factor].copy()
    cells = extreme_cells(findings.models)
    names = pairs([str(level) for level in findings.models.trials[factor].unique()])
    lost = [
        bool(
            why_not_estimated(
                row, factor, names[row["contrast"]], cells, {by: row[by]} if by else {}
            )
        )
        for _, row in table.iterrows()
    ]
    numbers = table.select_dtypes("number").columns
    table.loc[lost, numbers] = np.nan
    return table
