"""Parametric bootstrap: a fit's estimates and tests judged by studies simulated from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from analysis.mixed_logit import MixedLogitResults
from analysis.nested import check_nested, check_same_rows
from analysis.refit import Refit, Refits
from analysis.simulation import simulate_outcomes

__all__ = ["Bootstrap", "BootstrapTest", "bootstrap", "bootstrap_test"]

Floats = NDArray[np.float64]

_ROUNDING = 1e-5  # of a difference: draws with a variance of 0 tie with an observed one of 0


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Estimates from simulated studies, a row a study.

    params: the fixed effects. sds: standard deviations of the random effects, in columns such as
    `Intercept | participant`. converged: whether each study's fit reached a maximum.
    """

    params: pd.DataFrame
    sds: pd.DataFrame
    converged: NDArray[np.bool_]

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals of the fixed effects and the standard deviations: low, high."""
        return pd.concat([_percentiles(table, level) for table in (self.params, self.sds)])

    def contrast(self, weights: ArrayLike, level: float = 0.95) -> tuple[float, float]:
        """Percentile interval of a sum of fixed effects with `weights` (p,)."""
        values = self.params.to_numpy() @ np.asarray(weights, dtype=np.float64)
        low, high = np.quantile(values, _tails(level))
        return float(low), float(high)


@dataclass(frozen=True)
class BootstrapTest:
    """A likelihood-ratio test whose null distribution was simulated.

    chisq: twice the difference of the observed log-likelihoods. p: share of the `draws` studies
    of the smaller model, the observed one counted in, with as large a difference. failed: of the
    draws, those in which a fit did not reach a maximum; they count as they came out.
    """

    chisq: float
    df: int
    p: float
    draws: int
    failed: int


def bootstrap(
    results: MixedLogitResults,
    draws: int,
    generator: np.random.Generator,
    *,
    progress: bool = False,
) -> Bootstrap:
    """The estimates of `draws` studies simulated from a fit, with new participants and items.

    Each study has a stream of random numbers of its own, so the first of many are those of few.
    """
    refits = Refits(results.design, results.fit)
    found = [
        refits.estimates(simulate_outcomes(results, stream))
        for stream in _streams(generator, draws, progress)
    ]
    effects = [f"{name} | {e.label}" for e in results.design.random for name in e.names]
    return Bootstrap(
        pd.DataFrame([refit.beta for refit in found], columns=results.params.index),
        pd.DataFrame([_sds(refit) for refit in found], columns=effects),
        np.array([refit.converged for refit in found]),
    )


def bootstrap_test(
    small: MixedLogitResults,
    large: MixedLogitResults,
    draws: int,
    generator: np.random.Generator,
    *,
    progress: bool = False,
) -> BootstrapTest:
    """The likelihood-ratio test of `small` within `large`, with a simulated null distribution.

    It holds its level with few items, and for variances at their boundary, where chi-square does
    not (Halekoh and Højsgaard 2014, J. Stat. Softw. 59(9)). Raises ValueError for models that are
    not nested or not of the same rows.
    """
    check_same_rows(small, large)
    check_nested(small, large)
    null, alternative = Refits(small.design, small.fit), Refits(large.design, large.fit)
    observed = 2 * (large.llf - small.llf)
    differences, failed = [], 0
    for stream in _streams(generator, draws, progress):
        drawn = simulate_outcomes(small, stream)
        fits = null.estimates(drawn), alternative.estimates(drawn)
        differences.append(2 * (fits[1].llf - fits[0].llf))
        failed += not all(fit.converged for fit in fits)
    extreme = int((np.array(differences) > observed - _ROUNDING).sum())
    p = (extreme + 1) / (draws + 1)
    return BootstrapTest(observed, large.df - small.df, p, draws, failed)


def _streams(
    generator: np.random.Generator, draws: int, progress: bool
) -> Iterable[np.random.Generator]:
    if draws < 1:
        raise ValueError(f"draws = {draws}: give a number of simulated studies, 1 or more")
    return tqdm(generator.spawn(draws), desc="simulated studies", leave=False, disable=not progress)


def _sds(refit: Refit) -> Floats:
    """The length of each row of Λ: the standard deviation of that effect."""
    return np.concatenate([np.sqrt((factor**2).sum(axis=1)) for factor in refit.factors])


def _percentiles(table: pd.DataFrame, level: float) -> pd.DataFrame:
    ends = table.quantile(_tails(level)).to_numpy()
    return pd.DataFrame({"low": ends[0], "high": ends[1]}, index=list(table.columns))


def _tails(level: float) -> list[float]:
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: give a probability between 0 and 1, such as 0.95")
    return [(1 - level) / 2, (1 + level) / 2]
