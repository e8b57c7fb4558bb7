"""p-values and critical values of several z tests at once, adjusted as emmeans does it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import false_discovery_control, norm, studentized_range
from scipy.stats.qmc import Sobol

Floats = NDArray[np.float64]

ADJUSTMENTS = ("tukey", "dunnett", "holm", "fdr", "sidak", "bonferroni", "none")
_LOG_POINTS = 15


def check_adjustment(adjust: str, family: str) -> None:
    """Raise ValueError for an adjustment that is unknown, or not made for the `family`."""
    if adjust not in ADJUSTMENTS:
        raise ValueError(f"adjust = {adjust!r} is unknown: use one of {', '.join(ADJUSTMENTS)}")
    for name, made_for in (("tukey", "pairwise"), ("dunnett", "versus-control")):
        if adjust == name and family != made_for:
            raise ValueError(
                f"adjust = {name!r} is for {made_for} contrasts, and these are {family}: "
                "use 'holm' or 'sidak'"
            )


def adjusted_p(z: Floats, adjust: str, *, means: int, correlation: Floats) -> Floats:
    """Two-sided p-values (k,) of one family of z statistics (k,).

    `means` is how many means a Tukey family compares, `correlation` (k, k) that of the contrasts,
    which Dunnett's needs. Holm (1979), Benjamini and Hochberg (1995), Sidak (1967), Tukey by the
    studentized range, Dunnett (1955) by the multivariate normal to about 1e-5.
    """
    single = 2 * norm.sf(np.abs(z))
    count = len(z)
    sidak = -np.expm1(count * np.log1p(-np.minimum(single, 1 - 1e-16)))
    if adjust == "tukey":
        p = studentized_range.sf(np.sqrt(2) * np.abs(z), means, np.inf)
    elif adjust == "dunnett":
        # Between these bounds whatever the correlation is, so small p stay exact.
        p = np.clip([1 - coverage(abs(value), correlation) for value in z], single, sidak)
    elif adjust == "holm":
        p = _holm(single)
    elif adjust == "fdr":
        p = false_discovery_control(single)
    elif adjust == "sidak":
        p = sidak
    else:
        p = single * (count if adjust == "bonferroni" else 1)
    return np.clip(np.asarray(p, dtype=np.float64), 0, 1)


def critical_value(
    level: float, adjust: str, *, count: int, means: int, correlation: Floats
) -> float:
    """How many standard errors an interval reaches, so that all of a family cover with `level`.

    Holm and FDR are step-wise and have no intervals of their own: theirs are Bonferroni's.
    """
    alpha = 1 - level
    if adjust == "tukey":
        return float(studentized_range.ppf(level, means, np.inf) / np.sqrt(2))
    if adjust in ("holm", "fdr", "bonferroni"):
        return float(norm.isf(alpha / 2 / count))
    single, sidak = (float(norm.isf((1 - level ** (1 / n)) / 2)) for n in (1, count))
    if adjust == "none":
        return single
    if adjust == "sidak" or count == 1 or coverage(sidak, correlation) <= level:
        return sidak
    if coverage(single, correlation) >= level:
        return single
    return float(brentq(lambda c: coverage(c, correlation) - level, single, sidak, xtol=1e-10))


def coverage(limit: float, correlation: Floats) -> float:
    """The probability that all of a multivariate normal (k,) are within ±`limit`.

    By separation of variables (Genz 1992, J. Comput. Graph. Stat. 1) over fixed points: the same
    answer each time, to about 1e-5.
    """
    count = len(correlation)
    if count == 1:
        return float(1 - 2 * norm.sf(limit))
    order = np.argsort(-np.abs(correlation).sum(axis=0), kind="stable")  # fewer points suffice
    factor = np.linalg.cholesky(correlation[np.ix_(order, order)] + 1e-12 * np.eye(count))
    points = _points(count - 1)
    drawn = np.zeros((len(points), count))
    probability = np.ones(len(points))
    for i in range(count):
        shift = drawn[:, :i] @ factor[i, :i]
        low, high = (ndtr((end - shift) / factor[i, i]) for end in (-limit, limit))
        probability *= high - low
        if i < count - 1:
            inside = np.clip(low + points[:, i] * (high - low), 1e-300, 1 - 1e-16)
            drawn[:, i] = ndtri(inside)
    return float(probability.mean())


def _holm(p: Floats) -> Floats:
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = steps
    return adjusted


@cache
def _points(dimensions: int) -> Floats:
    """Evenly spread points (n, dimensions) of the unit cube: Sobol's, shifted and folded."""
    shift = np.arange(1, dimensions + 1) * np.sqrt(5) / 2
    points = (Sobol(dimensions, scramble=False).random_base2(_LOG_POINTS) + shift) % 1
    return np.asarray(1 - np.abs(2 * points - 1))
