"""Adaptive Gauss-Hermite quadrature of the likelihood with one random intercept or slope."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from analysis.laplace import Block, Laplace

Floats = NDArray[np.float64]


class Quadrature(Laplace):
    """The deviance with `points` nodes around each level's mode; with one node it is Laplace's.

    Raises ValueError unless the model has one grouping factor with one effect.
    """

    def __init__(
        self, successes: Floats, trials: Floats, x: Floats, blocks: Sequence[Block], points: int
    ) -> None:
        if len(blocks) != 1 or blocks[0].effects != 1:
            raise ValueError(
                f"quadrature = {points} needs a single random effect such as (1 | participant): "
                "use quadrature = 1, the Laplace approximation, for others"
            )
        super().__init__(successes, trials, x, blocks)
        self.nodes, weights = hermegauss(points)
        self.log_weights = np.log(weights / np.sqrt(2 * np.pi)) + self.nodes**2 / 2

    def deviance_and_gradient(self, theta: Floats, beta: Floats) -> tuple[float, Floats]:
        """The deviance at (θ, β) and its exact derivative by θ, then β."""
        state = self.conditional_modes(theta, beta)
        sd, codes, z = float(theta[0]), self.blocks[0].codes, self.blocks[0].z[:, 0]
        u, spread = state.u, np.sqrt(state.inverse.own[:, 0, 0])
        at = u[:, None] + spread[:, None] * self.nodes
        eta = (self.x @ beta)[:, None] + sd * z[:, None] * at[codes]
        logs = self.y[:, None] * eta - self.m[:, None] * np.logaddexp(0, eta)
        heights = self.log_weights + self._by_level(logs) - at**2 / 2
        totals = logsumexp(heights, axis=1)
        deviance = float(-2 * (totals + np.log(spread)).sum())

        share = np.exp(heights - totals[:, None])
        residual = self.y[:, None] - self.m[:, None] * expit(eta)
        scores = self._by_level(residual * z[:, None])
        slope = share * (sd * scores - at)
        p = expit(state.eta)
        weights = self.m * p * (1 - p)
        bend = weights * (1 - 2 * p)
        weight, cubic = self._by_level(weights * z**2), self._by_level(bend * z**3)
        by_curvature = -(1 + (slope @ self.nodes) * spread) * spread**2 / 2
        by_mode = (slope.sum(axis=1) + by_curvature * sd**3 * cubic) * spread**2
        by_eta = (share[codes] * residual).sum(axis=1)
        by_eta += by_curvature[codes] * sd**2 * z**2 * bend - by_mode[codes] * sd * z * weights
        at_mode = self._by_level((self.y - self.m * p) * z)
        by_sd = (share * at * scores).sum(axis=1)
        by_sd += by_curvature * (sd**2 * u * cubic + 2 * sd * weight)
        by_sd += by_mode * (at_mode - sd * u * weight)
        return deviance, -2 * np.concatenate([[by_sd.sum()], self.x.T @ by_eta])

    def _by_level(self, values: Floats) -> Floats:
        """Sums of rows (n, ...) within each level."""
        sums = np.zeros((self.blocks[0].levels, *values.shape[1:]))
        np.add.at(sums, self.blocks[0].codes, values)
        return sums
