"""Fits of many simulated outcomes to the rows of one model, as bootstrap and power need them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.design import Design
from analysis.fit import Fit, Fitting, one_blas_thread
from analysis.maximum import minimise_near, polish, round_scales

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Refit:
    """Estimates from new outcomes: β (p,), the factors Λ, the log-likelihood."""

    beta: Floats
    factors: list[Floats]
    llf: float
    converged: bool


class Refits:
    """Fits new outcomes, starting where an earlier fit of the same rows ended.

    The search runs on scales in which the deviance of that fit is round, so that a few steps
    suffice. Each refit is a function of its outcomes alone, whatever was fitted before.
    """

    def __init__(self, design: Design, fit: Fit) -> None:
        self.fitting = Fitting(design, fit.points)
        self.centre = fit.minimum.point
        self.start = self.fitting.off_boundary(self.centre)
        self.scales = round_scales(fit.minimum.hessian)

    def estimates(self, successes: Floats) -> Refit:
        """Estimates without standard errors, to about 1e-4 of one."""
        psi, deviance, converged = self._search(successes)
        fitting = self.fitting
        theta, gamma = psi[: fitting.split], psi[fitting.split :]
        factors = fitting.factors_in_data_units(fitting.engine.factors(theta))
        llf = -deviance / 2 + fitting.constant
        return Refit(fitting.to_beta @ gamma, factors, llf, converged)

    def fit(self, successes: Floats) -> Fit:
        """A fit as exact as the first, with standard errors."""
        psi, _, _ = self._search(successes)
        with one_blas_thread():
            return self.fitting.result(polish(self.fitting.objective, psi))

    def _search(self, successes: Floats) -> tuple[Floats, float, bool]:
        engine = self.fitting.engine
        engine.y, engine.u = successes, np.zeros_like(engine.u)
        with one_blas_thread():
            return minimise_near(self.fitting.objective, self.centre, self.scales, self.start)
