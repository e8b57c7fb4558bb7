"""The maximum of a likelihood: quasi-Newton, a Newton polish and, where it helps, other starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Objective = Callable[[Floats], tuple[float, Floats]]

_DIFFERENCE = 1e-4
_FLAT = 1e-7  # a curvature this small beside the largest is none
_LEAST_CURVATURE = 1e-2  # of a deviance: flatter directions are searched in steps of 10


@dataclass(frozen=True)
class Minimum:
    """Where an objective is least, its value, gradient and Hessian, and whether it is reached."""

    point: Floats
    value: float
    gradient: Floats
    hessian: Floats
    converged: bool


def hessian_of(objective: Objective, point: Floats) -> Floats:
    """The Hessian (k, k) by central differences of the exact gradient."""
    columns = []
    for step in np.eye(len(point)) * _DIFFERENCE:
        columns.append(objective(point + step)[1] - objective(point - step)[1])
    hessian = np.array(columns) / (2 * _DIFFERENCE)
    symmetric: Floats = (hessian + hessian.T) / 2
    return symmetric


def truncated_inverse(hessian: Floats) -> tuple[Floats, Floats]:
    """The inverse over directions of positive curvature, and the others (k, number of them)."""
    values, vectors = np.linalg.eigh(hessian)
    good = values > _FLAT * max(float(values[-1]), 1e-300)
    inverse: Floats = (vectors[:, good] / values[good]) @ vectors[:, good].T
    return inverse, vectors[:, ~good]


def minimise(objective: Objective, start: Floats, polish_steps: int = 6) -> Minimum:
    """The minimum of `objective`, which gives value and gradient, near `start`."""
    found: Any = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "maxfun": 1000, "ftol": 1e-11, "gtol": 1e-4, "maxcor": 20},
    )
    return polish(objective, np.asarray(found.x, dtype=np.float64), polish_steps)


def round_scales(hessian: Floats) -> Floats:
    """The matrix (k, k) to scales on which the Hessian is the identity, flat directions aside."""
    curvatures, axes = np.linalg.eigh(hessian)
    scales: Floats = axes / np.sqrt(np.maximum(curvatures, _LEAST_CURVATURE))
    return scales


def minimise_near(
    objective: Objective, centre: Floats, scales: Floats, start: Floats
) -> tuple[Floats, float, bool]:
    """The least point among `centre` + `scales` (k, m) z, its value, and whether it is reached.

    To about 1e-4 of a standard error, in a few steps if `scales` are round and `start`, which is
    taken to the nearest such point, is near.
    """

    def scaled(z: Floats) -> tuple[float, Floats]:
        value, gradient = objective(centre + scales @ z)
        return value, scales.T @ gradient

    found: Any = minimize(
        scaled,
        np.linalg.lstsq(scales, start - centre, rcond=None)[0],
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 300, "ftol": 1e-13, "gtol": 1e-4, "maxcor": 20},
    )
    reached = bool(np.abs(found.jac).max(initial=0.0) < 1e-2)
    return centre + scales @ found.x, float(found.fun), reached


def polish(objective: Objective, point: Floats, steps: int = 6) -> Minimum:
    """The minimum very near `point`, by Newton steps."""
    value, gradient = objective(point)
    hessian = hessian_of(objective, point)
    decrement = np.inf
    for _ in range(steps):
        inverse, _ = truncated_inverse(hessian)
        move = inverse @ gradient
        decrement = float(gradient @ move)
        if decrement < 1e-14:
            break
        moved = objective(point - move)
        if not moved[0] <= value + 1e-9:
            break
        point = point - move
        value, gradient = moved
        if decrement > 1e-5:
            hessian = hessian_of(objective, point)
    inverse, _ = truncated_inverse(hessian)
    decrement = float(gradient @ inverse @ gradient)
    return Minimum(point, value, gradient, hessian, decrement < 1e-6)
