"""Effect sizes of a mixed logistic regression: odds ratios, intraclass correlation and R²."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.design import RandomEffects
from analysis.mixed_logit import MixedLogitResults

DISTRIBUTION = np.pi**2 / 3  # variance of the standard logistic, on the log-odds scale


@dataclass(frozen=True)
class Variances:
    """What the log-odds vary by: `fixed` effects, the `random` effects of each grouping factor,
    and the `residual`, π²/3 and any effect with a level for each row."""

    fixed: float
    random: dict[str, float]
    residual: float

    @property
    def total(self) -> float:
        """The sum of all."""
        return self.fixed + sum(self.random.values()) + self.residual


@dataclass(frozen=True)
class RSquared:
    """Shares of the variance of the log-odds: by the fixed effects, and with the random ones."""

    marginal: float
    conditional: float


def odds_ratios(results: MixedLogitResults, level: float = 0.95) -> pd.DataFrame:
    """A row for each fixed effect: odds_ratio, low, high (Wald, of `level`), z, p.

    That of the intercept is the odds where all other columns are 0.
    """
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: give a share between 0 and 1, such as 0.95")
    low, high = results.conf_int(alpha=1 - level).to_numpy().T
    table = {"odds_ratio": results.params, "low": low, "high": high}
    with np.errstate(over="ignore"):
        ratios = pd.DataFrame(table, index=results.params.index).apply(np.exp)
    return ratios.assign(z=results.tvalues, p=results.pvalues)


def variances(results: MixedLogitResults) -> Variances:
    """The parts of the variance of the log-odds, over the rows of the fit.

    Nakagawa, Johnson and Schielzeth (2017, J. R. Soc. Interface 14), with the theoretical
    variance π²/3 of the logit link; random slopes as the mean over rows of z'Σz (Johnson 2014,
    Methods Ecol. Evol. 5, equation 10). An effect with a level for each row is overdispersion.
    """
    eta = results.predict(random_effects=False, link=True)
    random, residual = {}, float(DISTRIBUTION)
    for effects in results.design.random:
        variance = _random_variance(results, effects)
        if len(effects.levels) == results.nobs:
            residual += variance
        else:
            random[effects.label] = variance
    return Variances(float(np.var(eta, ddof=1)), random, residual)


def icc(results: MixedLogitResults) -> pd.DataFrame:
    """Intraclass correlations: a row for each grouping factor and one for `all`.

    Columns: `adjusted`, the share of the variance that the fixed effects leave; `conditional`,
    the share of all variance (Nakagawa et al. 2017).
    """
    parts = variances(results)
    random = {**parts.random, "all": sum(parts.random.values())}
    values = pd.Series(random, dtype=float)
    table = {"adjusted": values / (parts.total - parts.fixed), "conditional": values / parts.total}
    return pd.DataFrame(table).rename_axis("group")


def r_squared(results: MixedLogitResults) -> RSquared:
    """The marginal and conditional R² of Nakagawa et al. (2017), see `variances`."""
    parts = variances(results)
    random = sum(parts.random.values())
    return RSquared(parts.fixed / parts.total, (parts.fixed + random) / parts.total)


def _random_variance(results: MixedLogitResults, effects: RandomEffects) -> float:
    covariance = results.random_effects_cov[effects.label].to_numpy()
    return float(np.einsum("ni,ij,nj->n", effects.z, covariance, effects.z).mean())
