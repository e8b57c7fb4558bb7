"""What a user should know about a fit before reporting it, in sentences to act on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.design import Design, RandomEffects
from analysis.fit import Fit

FEW_LEVELS = 40  # type-I error of Wald tests between items: 10 % with 18 items, 6 % with 60
FEW_TRIALS = 5  # a level; below, the Laplace approximation understates the variance
REACHED = 8.0  # log-odds of some row, which data with an estimate hardly reach
LARGE = 10.0  # log-odds a standardised coefficient does not reach in data with an estimate

Levels = pd.Series  # of one factor, a category a row


def advise(design: Design, fit: Fit) -> list[str]:
    """Sentences on how far `fit` can be trusted, most serious first."""
    factors = dict(_categorical(design))
    return [
        *_reliability(design, fit),
        *_separation(design, fit, factors),
        *_singular(design, fit),
        *_dropped(design),
        *_few_levels(design, factors),
        *_omitted(design, factors),
        *(_few_trials(design) if fit.points == 1 else ()),
    ]


def _categorical(design: Design) -> Iterator[tuple[str, Levels]]:
    """Each categorical fixed factor as written, and its level in every row."""
    for factor, kind in design.info.factor_infos.items():
        if kind.type == "categorical":
            values = factor.eval(kind.state, design.data)
            values = values.data if hasattr(values, "contrast") else values
            yield factor.name(), pd.Series(pd.Categorical(values))


def _reliability(design: Design, fit: Fit) -> Iterator[str]:
    if not fit.converged:
        yield (
            "The fit has not converged: do not report it. Rescale covariates, simplify the random "
            "effects or look for separation."
        )
    names = [n for n, lost in zip(design.names, fit.undetermined, strict=True) if lost]
    if names:
        yield (
            f"The likelihood does not determine {', '.join(names)} (singular Hessian): no standard "
            "error is given. Look for separation or leave the term out."
        )


def _separation(design: Design, fit: Fit, factors: dict[str, Levels]) -> Iterator[str]:
    sizes = np.where(np.isin(design.x, (-1.0, 0.0, 1.0)).all(axis=0), 1.0, design.x.std(axis=0))
    # The effect of a factor at the year 0 may be large where no row is near it, and mean nothing.
    eta = np.abs(design.x @ fit.beta)
    reached = np.array([eta[column != 0].max(initial=0.0) > REACHED for column in design.x.T])
    large = (np.abs(fit.beta * sizes) > LARGE) & reached
    names = [name for name, is_large in zip(design.names, large, strict=True) if is_large]
    if names:
        yield (
            f"Separation: the estimate of {', '.join(names)} is beyond ±{LARGE:g} log-odds, so no "
            "finite estimate exists. Merge levels or leave the term out; its tests mean nothing."
        )
    for term in design.info.terms:
        written = [factor.name() for factor in term.factors]
        if written and all(name in factors for name in written):
            yield from _extreme_cells(design, written, factors)


def _extreme_cells(design: Design, written: list[str], factors: dict[str, Levels]) -> Iterator[str]:
    keys = [factors[name].rename(str(i)) for i, name in enumerate(written)]
    table = pd.DataFrame({"y": design.successes, "m": design.trials})
    counts = table.groupby(keys, observed=True).sum()
    for key, y, m in zip(counts.index, counts["y"], counts["m"], strict=True):
        if y in (0, m):
            cell = ", ".join(map(str, key if isinstance(key, tuple) else (key,)))
            yield (
                f"Separation: the outcome is {'1' if y else '0'} in all {m:g} trials of "
                f"{' by '.join(written)} = {cell}, so its log-odds have no finite estimate. Merge "
                "this level with another or leave it out."
            )


def _singular(design: Design, fit: Fit) -> Iterator[str]:
    if not fit.singular:
        return
    small = [
        f"{name} by {effects.label}"
        for effects, factor in zip(design.random, fit.factors, strict=True)
        for name, size in zip(effects.names, np.diag(factor), strict=True)
        if size * max(float(np.abs(effects.z).max()), 1e-300) < 1e-3
    ]
    has = "have" if len(small) > 1 else "has"
    yield (
        f"The fit is singular: {', '.join(small) or 'a random effect'} {has} no variance of its "
        "own (a variance of 0 or a correlation of ±1). Standard errors take it as known; a simpler "
        "random part, without it or with || for |, says as much."
    )


def _dropped(design: Design) -> Iterator[str]:
    if design.dropped:
        yield (
            f"Dropped {', '.join(design.dropped)}: collinear with earlier columns, so without an "
            "estimate of its own. Look for empty cells or a covariate entered twice."
        )


def _is_between(effects: RandomEffects, values: Levels) -> bool:
    """Whether each level of the grouping factor has one value."""
    pairs = pd.DataFrame({"level": effects.codes, "value": values})
    return bool((pairs.groupby("level")["value"].nunique() == 1).all())


def _few_levels(design: Design, factors: dict[str, Levels]) -> Iterator[str]:
    for effects in design.random:
        for name, values in factors.items():
            if len(effects.levels) < FEW_LEVELS and _is_between(effects, values):
                yield (
                    f"{name} varies between the {len(effects.levels)} levels of {effects.label} "
                    "only: too few for its Wald tests, which come out significant too often. Use "
                    "a likelihood-ratio test or a parametric bootstrap."
                )


def _omitted(design: Design, factors: dict[str, Levels]) -> Iterator[str]:
    groups = [frozenset(effects.term.group) for effects in design.random]
    for effects, group in zip(design.random, groups, strict=True):
        slopes = " ".join(effects.term.effects)
        for name, values in factors.items():
            column = name.removeprefix("C(").split(",")[0].rstrip(")")
            crossed = any(group | {column} <= other for other in groups)
            has_slope = re.search(rf"(?<!\w){re.escape(column)}(?!\w)", slopes)
            if has_slope or crossed or _is_between(effects, values):
                continue
            label = effects.label
            yield (
                f"{name} varies within {label}, but the model lets its effect be the same for all "
                f"of {label}: if it is not, tests of {name} come out significant too often. "
                f"Compare with (1 | {label}:{column}) or (1 + {column} | {label})."
            )


def _few_trials(design: Design) -> Iterator[str]:
    for effects in design.random:
        trials = np.bincount(effects.codes, design.trials, len(effects.levels))
        if np.median(trials) < FEW_TRIALS:
            yield (
                f"{effects.label} has {np.median(trials):g} trials a level (median): with fewer "
                f"than {FEW_TRIALS} the Laplace approximation understates its variance; with "
                "a single random effect, fit with quadrature=9."
            )
