"""Profile-likelihood intervals: where the likelihood, maximised over all else, has dropped enough.

They need no symmetry of the likelihood, as Wald intervals do, and hold for standard deviations too
(Venzon and Moolgavkar 1988, Applied Statistics 37, 87-94).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import brentq
from scipy.stats import norm

from analysis.fit import Fitting, one_blas_thread
from analysis.maximum import Minimum, minimise_near, round_scales
from analysis.mixed_logit import MixedLogitResults

__all__ = ["profile_conf_int"]

Floats = NDArray[np.float64]
Rise = Callable[[float], float]

_FARTHEST = 12.0  # standard errors; a profile that has not dropped by then has no end


def profile_conf_int(
    results: MixedLogitResults,
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Profile intervals of parameters: low, high; ±inf where the likelihood has no end.

    names: fixed effects, and such as `Intercept | participant` for the standard deviation of a
    random effect that is the only one of its grouping factor; all of them if not given. Raises
    ValueError for another name.
    """
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: give a probability between 0 and 1, such as 0.95")
    profiles = _Profiles(results)
    known = profiles.directions()
    wanted = list(known) if names is None else list(names)
    for name in wanted:
        if name not in known:
            raise ValueError(f"no profile of {name!r}; there are {', '.join(known)}")
    drop = float(norm.ppf((1 + level) / 2))
    with one_blas_thread():
        rows = [profiles.interval(*known[name], drop) for name in wanted]
    return pd.DataFrame(rows, index=wanted, columns=["low", "high"])


class _Profiles:
    """The deviance around its minimum, cut along linear functions of the parameters."""

    def __init__(self, results: MixedLogitResults) -> None:
        self.results = results
        self.fitting = Fitting(results.design, results.fit.points)
        self.minimum: Minimum = results.fit.minimum
        # Not the truncated inverse: a flat direction needs a long first step, not none.
        scales = round_scales(self.minimum.hessian)
        self.covariance = 2 * scales @ scales.T

    def directions(self) -> dict[str, tuple[Floats, float]]:
        """Name -> (weights over the point's parameters, least value): β_j, and scalar sds."""
        fitting, size = self.fitting, len(self.minimum.point)
        found: dict[str, tuple[Floats, float]] = {}
        for name, row in zip(self.results.params.index, fitting.to_beta, strict=True):
            weights = np.zeros(size)
            weights[fitting.split :] = row
            found[str(name)] = (weights, -np.inf)
        start = 0
        for place, block in zip(fitting.engine.order, fitting.engine.blocks, strict=True):
            if block.effects == 1:
                weights = np.zeros(size)
                sign = np.sign(self.minimum.point[start]) or 1.0
                weights[start] = sign / fitting.scales[place][0]
                effects = self.results.design.random[place]
                found[f"{effects.names[0]} | {effects.label}"] = (weights, 0.0)
            start += block.parameters
        return found

    def interval(self, weights: Floats, least: float, drop: float) -> tuple[float, float]:
        """Both ends of where the signed root of the deviance's rise is within ±`drop`."""
        estimate = float(weights @ self.minimum.point)
        along = self.covariance @ weights
        se = float(np.sqrt(weights @ along))
        rise = self._rise(weights, along / se**2)
        low = self._end(rise, drop, -se, least - estimate)
        high = self._end(rise, drop, se, np.inf)
        return estimate + low, estimate + high

    def _rise(self, weights: Floats, along: Floats) -> Rise:
        """The root of the deviance's rise as a function of the distance from the estimate."""
        free = null_space(weights[None, :])
        scales = free @ round_scales(free.T @ self.minimum.hessian @ free)

        def rise(distance: float) -> float:
            centre = self.minimum.point + distance * along
            start = self.fitting.off_boundary(centre)
            _, value, _ = minimise_near(self.fitting.objective, centre, scales, start)
            return float(np.sqrt(max(value - self.minimum.value, 0.0)))

        return rise

    @staticmethod
    def _end(rise: Rise, drop: float, step: float, bound: float) -> float:
        """Where the rise is `drop`, on the side of `step`; the bound or infinity if nowhere."""
        near, far = 0.0, max(drop * step, bound) if step < 0 else drop * step
        while rise(far) < drop:
            if far == bound:
                return bound
            near, far = far, 1.5 * far
            if step < 0:
                far = max(far, bound)
            if abs(far) > _FARTHEST * drop * abs(step):
                return np.inf if step > 0 else -np.inf
        return float(brentq(lambda at: rise(at) - drop, near, far, xtol=1e-4 * abs(step)))
