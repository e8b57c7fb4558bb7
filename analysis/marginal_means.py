"""Estimated marginal means: what a model says of each level, all other things balanced."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from analysis.design import Design
from analysis.grid import columns_of, combinations, grid_rows, grid_values, total_variance
from analysis.mixed_logit import MixedLogitResults

Floats = NDArray[np.float64]

_NODES = 100
_NEGLIGIBLE = 1e-8


@dataclass(frozen=True, eq=False)
class MarginalMeans:
    """Means on the log-odds scale, and all that contrasts of them need.

    `cells` has a row for each mean and a column for each of `factors` and `by`; `estimates`
    (cells,) and `rows` (cells, p), their derivatives by the fixed effects. `aliased` (cells, d)
    is what a mean takes from the columns that were dropped: where it is not 0, no estimate exists.
    """

    cells: pd.DataFrame
    factors: tuple[str, ...]
    by: tuple[str, ...]
    estimates: Floats
    rows: Floats
    coefficients: Floats
    aliased: Floats
    level: float
    population: bool
    notes: list[str]

    @property
    def covariance(self) -> Floats:
        """The covariance matrix of the means (cells, cells)."""
        return self.combine(np.eye(len(self.cells)))[1]

    @property
    def labels(self) -> list[str]:
        """The levels of `factors` of each mean, as contrasts print them."""
        return [" ".join(map(str, row)) for row in self.cells[list(self.factors)].to_numpy()]

    def families(self) -> list[NDArray[np.intp]]:
        """The rows of `cells` that are compared with each other: those of one level of `by`."""
        if not self.by:
            return [np.arange(len(self.cells))]
        groups = self.cells.groupby(list(self.by), sort=False, observed=True).indices
        return [np.asarray(rows) for rows in groups.values()]

    def combine(self, weights: Floats) -> tuple[Floats, Floats]:
        """Sums of means (k,) by `weights` (k, cells), and their covariance; NaN where none is."""
        estimates, rows = weights @ self.estimates, weights @ self.rows
        sizes = np.abs(weights).sum(axis=1, keepdims=True)
        lost = (np.abs(weights @ self.aliased) > _NEGLIGIBLE * sizes).any(axis=1)
        unknown = np.isnan(np.diag(self.coefficients))
        unsure = lost | (np.abs(rows[:, unknown]) > _NEGLIGIBLE * sizes).any(axis=1)
        covariance = rows @ np.where(np.isnan(self.coefficients), 0, self.coefficients) @ rows.T
        covariance[unsure, :] = covariance[:, unsure] = np.nan
        return np.where(lost, np.nan, estimates), covariance

    def table(self, scale: Literal["link", "response"] = "link") -> pd.DataFrame:
        """The levels, then log_odds or with "response" probability, se, low, high.

        On the response scale `se` is by the delta method, and the interval is that of the
        log-odds, transformed.
        """
        if scale not in ("link", "response"):
            raise ValueError(f"scale = {scale!r}: give 'link' or 'response'")
        estimates, covariance = self.combine(np.eye(len(self.cells)))
        se = np.sqrt(np.diag(covariance))
        reach = norm.isf((1 - self.level) / 2) * se
        ends = estimates - reach, estimates + reach
        if scale == "link":
            return self.cells.assign(log_odds=estimates, se=se, low=ends[0], high=ends[1])
        mean = expit(estimates)
        low, high = (expit(end) for end in ends)
        return self.cells.assign(probability=mean, se=se * mean * (1 - mean), low=low, high=high)


def marginal_means(
    results: MixedLogitResults,
    factors: str | Sequence[str],
    *,
    by: str | Sequence[str] = (),
    population: bool = False,
    level: float = 0.95,
) -> MarginalMeans:
    """The marginal means of each combination of `factors`, in a family for each level of `by`.

    As in emmeans, log-odds are averaged with equal weights over all levels of the other factors,
    numbers with two values count as factors, and other numbers are set to their mean. They are
    those of a typical participant: all random effects are 0.

    With `population` they are averages over participants and items: the probability of each
    combination is integrated over its normal random effects (Gauss-Hermite, total variance z'Σz)
    and the probabilities are averaged. emmeans' bias adjustment instead averages the log-odds and
    takes two terms of a Taylor series, which is less exact for large variances. The variances are
    taken as known. Standard errors and intervals are made on the log-odds scale of the average.

    Raises ValueError for factors that are not in the model. Means that the data do not determine,
    as of empty cells, are NaN, and `.notes` says so.
    """
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: give a share between 0 and 1, such as 0.95")
    design = results.design
    values = grid_values(design, population)
    wanted, groups = _names(factors), _names(by)
    _check_factors([*wanted, *groups], values, design)
    cells, grid, weights = _layout(values, (*wanted, *groups))
    x, aliased = grid_rows(design, grid)
    if population:
        estimates, rows = _population(weights, x, results, grid)
        # A probability cannot be estimated from cells of which one cannot: nothing cancels.
        lost = weights @ np.abs(aliased).sum(axis=1) > _NEGLIGIBLE
        aliased = np.diag(lost.astype(np.float64))
    else:
        rows, aliased = weights @ x, weights @ aliased
        estimates = rows @ results.fit.beta
    means = MarginalMeans(
        cells=cells,
        factors=wanted,
        by=groups,
        estimates=estimates,
        rows=rows,
        coefficients=results.fit.covariance,
        aliased=aliased,
        level=level,
        population=population,
        notes=[],
    )
    means.notes.extend(_notes(means, design))
    return means


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _layout(
    values: dict[str, list[Any]], shown: tuple[str, ...]
) -> tuple[pd.DataFrame, pd.DataFrame, Floats]:
    """The cells of the columns `shown`, the whole grid, and the weights (cells, grid) of means."""
    cells = combinations({name: values[name] for name in shown})
    grid = combinations(values)
    place = pd.MultiIndex.from_frame(cells).get_indexer(pd.MultiIndex.from_frame(grid[list(shown)]))
    weights = np.asarray(place[None, :] == np.arange(len(cells))[:, None], dtype=np.float64)
    return cells, grid, weights / weights.sum(axis=1, keepdims=True)


def _check_factors(names: list[str], values: dict[str, list[Any]], design: Design) -> None:
    if not names:
        raise ValueError(f"name a factor: the model has {', '.join(values) or 'no factor'}")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is given twice: give each factor once, in factors or in by")
        if name in values and len(values[name]) > 1:
            continue
        if name in values:
            raise ValueError(f"{name} is a number with many values: its means need a factor")
        if name in design.data.columns:
            raise ValueError(f"{name} is not among the fixed effects of {design.formula.text!r}")
        near = difflib.get_close_matches(name, values, n=1, cutoff=0)
        hint = f"did you mean {near[0]!r}?" if near else "its formula has none"
        raise ValueError(f"the model has no factor {name!r}; {hint}")


def _population(
    weights: Floats, x: Floats, results: MixedLogitResults, grid: pd.DataFrame
) -> tuple[Floats, Floats]:
    """The log-odds of the averaged probabilities, and their derivatives by the fixed effects."""
    nodes, shares = np.polynomial.hermite_e.hermegauss(_NODES)
    shares = shares / shares.sum()
    sd = np.sqrt(total_variance(results, grid))
    p = expit((x @ results.fit.beta)[:, None] + sd[:, None] * nodes)
    mean = np.clip(weights @ (p @ shares), 1e-300, 1 - 1e-16)
    slopes = weights @ (((p * (1 - p)) @ shares)[:, None] * x)
    return logit(mean), slopes / (mean * (1 - mean))[:, None]


def _notes(means: MarginalMeans, design: Design) -> list[str]:
    lost = np.isnan(means.combine(np.eye(len(means.cells)))[0])
    notes = []
    if lost.any():
        which = [
            " ".join(f"{name}={value}" for name, value in zip(means.cells, row, strict=True))
            for row in means.cells[lost].to_numpy()
        ]
        notes.append(
            f"No estimate for {', '.join(which)}: the data has too few cells for it (the model "
            f"dropped {', '.join(design.dropped)})."
        )
    notes.extend(_averaged_over(means, design))
    return notes


def _averaged_over(means: MarginalMeans, design: Design) -> list[str]:
    """A word on each factor that interacts with one shown and is averaged over."""
    shown = {*means.factors, *means.by}
    over: list[str] = []
    for term in design.info.terms:
        names = [n for factor in term.factors for n in columns_of(factor.name(), design.data)]
        if shown & set(names):
            over += [name for name in names if name not in shown and name not in over]
    return [
        f"{' and '.join(means.factors)} and {name} interact in the model: these means are for an "
        f"average {name} and need not hold at each of its values."
        for name in over
    ]
