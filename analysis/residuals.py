"""Residual diagnostics by simulation: does the data look like studies drawn from the fit?

A residual is where an observed value lies among its simulated ones, 0 to 1, uniform if the model
holds (Dunn and Smyth 1996, J. Comp. Graph. Stat. 5, 236-244; Hartig's R package DHARMa).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, kstest

from analysis.mixed_logit import MixedLogitResults
from analysis.simulation import simulate_outcomes

__all__ = ["Residuals", "simulate_residuals"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Residuals:
    """Scaled residuals and what they say; p-values are small where the model does not hold.

    table: a row a group: level, trials, observed and predicted (shares of successes), residual in
    [0, 1]. uniformity_p: Kolmogorov-Smirnov. dispersion: variance of observed beside simulated
    deviations, 1 if the model holds, more if the data vary more; dispersion_p is two-sided.
    outliers: groups beyond all their simulations; outliers_p by a binomial test.
    """

    table: pd.DataFrame
    simulations: int
    uniformity_p: float
    dispersion: float
    dispersion_p: float
    outliers: int
    outliers_p: float


def simulate_residuals(
    results: MixedLogitResults,
    by: str | Sequence[str],
    generator: np.random.Generator,
    *,
    simulations: int = 1000,
) -> Residuals:
    """Residuals of the sums of successes in each level of a column of the formula, or of several.

    Single 0/1 outcomes say next to nothing, sums by participant or item do; sums by what the model
    leaves out, as `["class_label", "network"]`, say most. Simulations draw new random effects. The
    p-values are lenient: the parameters were fitted to the same data. Raises ValueError for a
    column that the formula does not name.
    """
    data = results.design.data
    names = [by] if isinstance(by, str) else list(by)
    for name in names:
        if name not in data:
            raise ValueError(f"by = {name!r}: the formula names {', '.join(map(str, data))}")
    if simulations < 2:
        raise ValueError(f"simulations = {simulations}: give 2 or more")
    joined = data[names].astype(str).agg(":".join, axis=1) if len(names) > 1 else data[names[0]]
    codes, levels = pd.factorize(joined, sort=True)
    drawn = np.array(
        [
            np.bincount(codes, simulate_outcomes(results, stream), len(levels))
            for stream in generator.spawn(simulations)
        ]
    )
    observed = np.bincount(codes, results.design.successes, len(levels)).astype(np.float64)
    trials = np.bincount(codes, results.design.trials, len(levels))
    below, up_to = (drawn < observed).mean(axis=0), (drawn <= observed).mean(axis=0)
    residual = below + generator.random(len(levels)) * (up_to - below)
    table = pd.DataFrame(
        {"level": levels.astype(str), "trials": trials.astype(int), "observed": observed / trials}
        | {"predicted": drawn.mean(axis=0) / trials, "residual": residual}
    )
    return _judged(table, drawn, observed)


def _judged(table: pd.DataFrame, drawn: Floats, observed: Floats) -> Residuals:
    simulations, groups = drawn.shape
    spread = ((drawn - drawn.mean(axis=0)) ** 2).sum(axis=1)
    found = float(((observed - drawn.mean(axis=0)) ** 2).sum())
    tail = min((spread >= found).sum(), (spread <= found).sum())
    beyond = int(((observed < drawn.min(axis=0)) | (observed > drawn.max(axis=0))).sum())
    return Residuals(
        table,
        simulations,
        float(kstest(table["residual"], "uniform").pvalue),
        found / float(spread.mean()),
        min(1.0, float(2 * (tail + 1) / (simulations + 1))),
        beyond,
        float(binomtest(beyond, groups, 2 / (simulations + 1)).pvalue),
    )
