"""The maximum-likelihood fit of a design, on standardised scales, in the units of the data."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln
from threadpoolctl import ThreadpoolController

from analysis.agq import Quadrature
from analysis.design import Design, RandomEffects
from analysis.laplace import Block, Laplace, State
from analysis.maximum import Minimum, minimise, truncated_inverse

Floats = NDArray[np.float64]

SINGULAR = 1e-4  # lme4's bound on a diagonal entry of Λ
_FIRST_START = 0.5
_OTHER_STARTS = (0.1, 1.5)
_NEAR, _OFF = 0.1, 0.3  # of the diagonal of Λ, in standardised units


@dataclass(frozen=True)
class Fit:
    """Estimates of a mixed model, in the units of the data.

    `beta` (p,) and its covariance; for each grouping factor Λ, the conditional `modes`
    (levels, effects) and their covariances (levels, effects, effects). `undetermined` (p,)
    tells the coefficients about which the likelihood says nothing: their covariances are NaN.
    `minimum` is where the deviance is least, on the standardised scales of `Fitting`.
    """

    beta: Floats
    covariance: Floats
    factors: list[Floats]
    modes: list[Floats]
    mode_covariances: list[Floats]
    llf: float
    points: int
    singular: bool
    undetermined: NDArray[np.bool_]
    converged: bool
    minimum: Minimum


def fit_design(design: Design, points: int = 1) -> Fit:
    """The maximum of the likelihood of `design`, found with one BLAS thread.

    With `points` > 1 by adaptive quadrature, which needs a single random effect.
    """
    with one_blas_thread():
        return Fitting(design, points).fit()


def one_blas_thread() -> AbstractContextManager[object]:
    """Inside it, matrix products use one thread: with two a fit was once 40 times slower."""
    limited: AbstractContextManager[object] = _blas().limit(limits=1, user_api="blas")
    return limited


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


class Fitting:
    """A design in standardised units: orthonormal fixed effects, random slopes of unit size.

    A point is (θ, γ): the entries of Λ in these units, then the fixed effects, β = `to_beta` γ.
    """

    def __init__(self, design: Design, points: int) -> None:
        self.design = design
        scales = _scales(design.x)
        q, r = np.linalg.qr(design.x / scales)
        unit = np.sqrt(len(q)) / 2
        self.to_beta = np.linalg.inv(r) * unit / scales[:, None]
        self.scales = [_scales(effects.z) for effects in design.random]
        blocks = [_block(e, scale) for e, scale in zip(design.random, self.scales, strict=True)]
        parts = (design.successes, design.trials, q * unit, blocks)
        self.engine = Quadrature(*parts, points) if points > 1 else Laplace(*parts)
        self.points = points
        self.split = self.engine.parameters

    def fit(self) -> Fit:
        """The fit, tried from further starts where the first one ends at a boundary."""
        best = minimise(self.objective, self._start(_FIRST_START))
        if self.is_singular(best.point) or not best.converged:
            others = [minimise(self.objective, self._start(size)) for size in _OTHER_STARTS]
            best = min([best, *others], key=lambda found: (round(found.value, 7), found.value))
        return self.result(best)

    def objective(self, psi: Floats) -> tuple[float, Floats]:
        """The deviance at a point and its gradient."""
        return self.engine.deviance_and_gradient(psi[: self.split], psi[self.split :])

    def _start(self, size: float) -> Floats:
        """θ a multiple of the identity, β as without random effects."""
        diagonal = [np.eye(block.effects).T[block.free.T] for block in self.engine.blocks]
        self.engine.u = np.zeros_like(self.engine.u)
        return np.concatenate([size * np.concatenate(diagonal), self._without_random()])

    def off_boundary(self, psi: Floats) -> Floats:
        """A point to start from: `psi` with no entry on the diagonal of Λ near 0.

        The deviance is even in each of them, so at 0 its gradient is 0 whatever the data, and a
        search that begins there stays.
        """
        theta = np.concatenate(
            [
                (factor + np.diag(np.where(np.abs(np.diag(factor)) < _NEAR, _OFF, 0.0))).T[
                    block.free.T
                ]
                for factor, block in zip(
                    self.engine.factors(psi[: self.split]), self.engine.blocks, strict=True
                )
            ]
        )
        return np.concatenate([theta, psi[self.split :]])

    def _without_random(self, steps: int = 6) -> Floats:
        x, y, m = self.engine.x, self.engine.y, self.engine.m
        gamma = np.zeros(x.shape[1])
        for _ in range(steps):
            p = expit(x @ gamma)
            information = x.T @ (x * (m * p * (1 - p))[:, None])
            gamma = gamma + np.linalg.solve(information, x.T @ (y - m * p))
            gamma = np.clip(gamma, -5, 5)
        return gamma

    def is_singular(self, psi: Floats) -> bool:
        """Whether a random effect has no variance of its own at a point."""
        factors = self.engine.factors(psi[: self.split])
        return any(bool((np.abs(np.diag(factor)) < SINGULAR).any()) for factor in factors)

    def result(self, found: Minimum) -> Fit:
        """The estimates at a minimum, in the units of the data."""
        theta, gamma = found.point[: self.split], found.point[self.split :]
        state = self.engine.conditional_modes(theta, gamma)
        inverse, lost = truncated_inverse(found.hessian / 2)
        covariance = self.to_beta @ inverse[self.split :, self.split :] @ self.to_beta.T
        units = np.linalg.norm(self.to_beta, axis=1, keepdims=True)
        undetermined = (np.abs(self.to_beta @ lost[self.split :]) > 1e-3 * units).any(axis=1)
        covariance[undetermined, :] = covariance[:, undetermined] = np.nan
        factors, modes, covariances = self._in_data_units(state)
        return Fit(
            beta=self.to_beta @ gamma,
            covariance=covariance,
            factors=factors,
            modes=modes,
            mode_covariances=covariances,
            llf=-found.value / 2 + self.constant,
            points=self.points,
            singular=self.is_singular(found.point),
            undetermined=undetermined,
            converged=found.converged,
            minimum=found,
        )

    @property
    def constant(self) -> float:
        """The log of the binomial coefficients, which lme4 counts in."""
        y, m = self.engine.y, self.design.trials
        return float((gammaln(m + 1) - gammaln(y + 1) - gammaln(m - y + 1)).sum())

    def _in_data_units(self, state: State) -> tuple[list[Floats], list[Floats], list[Floats]]:
        """Λ with a diagonal that is not negative, modes and their covariances, as designed."""
        engine = self.engine
        first, _, rest = engine.covariances(state)
        count = len(engine.blocks)
        modes, covariances = ([np.empty(0)] * count for _ in range(2))
        for i, (block, place) in enumerate(zip(engine.blocks, engine.order, strict=True)):
            scale = self.scales[place]
            factor = state.factors[i] / scale[:, None]
            span = slice(engine.starts[i], engine.starts[i + 1])
            u = state.u[span].reshape(block.levels, block.effects)
            covariance = first if i == 0 else _blocks(rest, span, engine.starts[1], block)
            modes[place] = u @ factor.T
            covariances[place] = covariance / scale[:, None] / scale
        return self.factors_in_data_units(state.factors), modes, covariances

    def factors_in_data_units(self, factors: list[Floats]) -> list[Floats]:
        """Λ of each grouping factor as designed, with a diagonal that is not negative."""
        found = [np.empty(0)] * len(factors)
        for factor, place in zip(factors, self.engine.order, strict=True):
            scaled = factor / self.scales[place][:, None]
            found[place] = scaled * np.where(np.diag(scaled) < 0, -1.0, 1.0)
        return found


def _blocks(rest: Floats, span: slice, first: int, block: Block) -> Floats:
    """The blocks on the diagonal (levels, p, p) of one factor's part of a matrix."""
    part = rest[span.start - first : span.stop - first, span.start - first : span.stop - first]
    shape = (block.levels, block.effects, block.levels, block.effects)
    diagonal: Floats = np.einsum("lalb->lab", part.reshape(shape))
    return diagonal


def _block(effects: RandomEffects, scale: Floats) -> Block:
    return Block(effects.z / scale, effects.codes, len(effects.levels), effects.free)


def _scales(x: Floats) -> Floats:
    """The root mean square of each column, and 1 for indicators, which need no scale."""
    sizes = np.sqrt((x**2).mean(axis=0))
    plain = np.isin(x, (-1.0, 0.0, 1.0)).all(axis=0) | (sizes == 0)
    return np.where(plain, 1.0, sizes)
