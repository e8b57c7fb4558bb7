"""Whether a likelihood-ratio test can compare two models: same rows, one within the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.design import RandomEffects
from analysis.mixed_logit import MixedLogitResults

Floats = NDArray[np.float64]


def check_same_rows(small: MixedLogitResults, large: MixedLogitResults) -> None:
    """Raise ValueError for models of other rows or outcomes, or of other quadrature."""
    if small.nobs != large.nobs:
        raise ValueError(
            f"the models were fitted to {small.nobs} and {large.nobs} rows: fit both to the same"
        )
    for name in ("successes", "trials"):
        if not np.array_equal(getattr(small.design, name), getattr(large.design, name)):
            raise ValueError("the models have different outcomes: fit both to the same rows")
    if small.fit.points != large.fit.points:
        raise ValueError(
            f"the models were fitted with {small.fit.points} and {large.fit.points} quadrature "
            "points, whose likelihoods do not compare: fit both with the same"
        )


def check_nested(small: MixedLogitResults, large: MixedLogitResults) -> None:
    """Raise ValueError where `small` is not `large` with something left out."""
    df = large.df - small.df
    swapped = " (are they in the wrong order?)" if df < 0 else ""
    if df <= 0:
        raise ValueError(
            f"the second model has {large.df} parameters and the first {small.df}{swapped}: "
            "give the smaller model first"
        )
    outside = _outside(small.design.x, large.design.x)
    if outside is not None:
        raise ValueError(
            f"the models are not nested: {small.design.names[outside]} of the first is not in "
            "the second; compare them by AIC"
        )
    groups = {effects.label: effects for effects in large.design.random}
    for effects in small.design.random:
        other = groups.get(effects.label)
        if other is None or not _is_within(effects, other):
            raise ValueError(
                f"the models are not nested: the random effects by {effects.label} of the first "
                "are not in the second; compare them by AIC"
            )


def _is_within(small: RandomEffects, large: RandomEffects) -> bool:
    return int(small.free.sum()) <= int(large.free.sum()) and _outside(small.z, large.z) is None


def _outside(x: Floats, span: Floats) -> int | None:
    """The first column of `x` (n, p) that is no sum of the columns of `span`, if there is one."""
    scaled = span / np.maximum(np.linalg.norm(span, axis=0), 1e-300)
    rest = x - scaled @ np.linalg.lstsq(scaled, x, rcond=None)[0]
    far = np.linalg.norm(rest, axis=0) > 1e-7 * np.linalg.norm(x, axis=0)
    return int(np.argmax(far)) if far.any() else None
