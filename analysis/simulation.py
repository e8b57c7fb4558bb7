"""New outcomes from a model: what the same study might have given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from analysis.design import Design
from analysis.mixed_logit import MixedLogitResults

Floats = NDArray[np.float64]


def simulate_outcomes(
    results: MixedLogitResults,
    generator: np.random.Generator,
    *,
    levels: Literal["new", "same"] = "new",
) -> Floats:
    """Successes (n,) drawn for the rows of a fit.

    `levels`: "new" draws other participants and items from the fitted distributions, "same" keeps
    the conditional modes of those in the data.
    """
    fit, design = results.fit, results.design
    if levels == "new":
        return draw_outcomes(design, fit.beta, fit.factors, generator)
    return _draw(design, _log_odds(design, fit.beta, fit.modes), generator)


def draw_outcomes(
    design: Design, beta: Floats, factors: Sequence[Floats], generator: np.random.Generator
) -> Floats:
    """Successes (n,) for the rows of a design, with parameters that need not be estimates.

    beta (p,); factors: of each grouping factor's covariance its lower-triangular root.
    """
    drawn = [
        generator.standard_normal((len(effects.levels), len(factor))) @ factor.T
        for effects, factor in zip(design.random, factors, strict=True)
    ]
    return _draw(design, _log_odds(design, beta, drawn), generator)


def _log_odds(design: Design, beta: Floats, effects: Sequence[Floats]) -> Floats:
    eta: Floats = design.x @ beta
    for random, values in zip(design.random, effects, strict=True):
        eta = eta + (random.z * values[random.codes]).sum(axis=1)
    return eta


def _draw(design: Design, eta: Floats, generator: np.random.Generator) -> Floats:
    trials = design.trials.astype(np.int64)
    return generator.binomial(trials, expit(eta)).astype(np.float64)
