"""Contrasts of marginal means: pairwise, against a control, and of one's own weights."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.adjustment import adjusted_p, check_adjustment, critical_value
from analysis.marginal_means import MarginalMeans

Floats = NDArray[np.float64]
Weights = Sequence[float] | Mapping[Any, float]
Pair = tuple[str, str]
Family = list[tuple[Pair, Floats]]


@dataclass(frozen=True, eq=False)
class Contrasts:
    """Differences of log-odds, adjusted within each family, which is a level of `by`.

    `names` has the two sides of each contrast, or its name and an empty string. `critical` (k,)
    is how many standard errors its interval reaches.
    """

    names: list[Pair]
    by: pd.DataFrame
    estimates: Floats
    se: Floats
    p: Floats
    critical: Floats
    adjust: str
    level: float

    def table(self, *, odds_ratios: bool = False) -> pd.DataFrame:
        """A row a contrast: contrast ("a - b"), `by`, estimate, se, low, high, z, p.

        With `odds_ratios` contrast ("a / b"), `by`, odds_ratio, low, high, z, p: an odds ratio is
        the exponential of the difference, and z and p are those of the difference.
        """
        sign = " / " if odds_ratios else " - "
        names = pd.DataFrame({"contrast": [sign.join(filter(None, pair)) for pair in self.names]})
        reach = self.critical * self.se
        low, high = self.estimates - reach, self.estimates + reach
        if odds_ratios:
            values = {"odds_ratio": self.estimates, "low": low, "high": high}
            with np.errstate(over="ignore"):
                numbers = pd.DataFrame(values).apply(np.exp)
        else:
            numbers = pd.DataFrame(
                {"estimate": self.estimates, "se": self.se, "low": low, "high": high}
            )
        return pd.concat([names, self.by, numbers], axis=1).assign(
            z=self.estimates / self.se, p=self.p
        )


def pairwise(
    means: MarginalMeans, *, adjust: str = "tukey", level: float | None = None
) -> Contrasts:
    """All differences of two means of a family, the earlier minus the later one."""
    check_adjustment(adjust, "pairwise")
    family: Family = []
    labels = _family_labels(means)
    for i, j in itertools.combinations(range(len(labels)), 2):
        weights = np.zeros(len(labels))
        weights[[i, j]] = 1, -1
        family.append(((labels[i], labels[j]), weights))
    return _contrasts(means, family, adjust, level)


def versus_control(
    means: MarginalMeans,
    reference: str | Sequence[Any] | None = None,
    *,
    adjust: str = "dunnett",
    level: float | None = None,
) -> Contrasts:
    """Each mean of a family minus that of the `reference` level, the first by default.

    With several factors `reference` is a level of each. Dunnett's adjustment is exact here (the
    multivariate normal); emmeans' default "dunnettx" is an approximation of it, which can differ
    in the third decimal of p, and its "mvt" is the same.
    """
    check_adjustment(adjust, "versus-control")
    labels = _family_labels(means)
    control = 0 if reference is None else _place(reference, means)
    family: Family = []
    for i in range(len(labels)):
        if i != control:
            weights = np.zeros(len(labels))
            weights[[i, control]] = 1, -1
            family.append(((labels[i], labels[control]), weights))
    return _contrasts(means, family, adjust, level)


def custom(
    means: MarginalMeans,
    weights: Mapping[str, Weights],
    *,
    adjust: str = "none",
    level: float | None = None,
) -> Contrasts:
    """Contrasts of one's own: for each name the weights of the means of a family.

    Weights are a list in the order of the family, or a mapping from levels (a tuple of them with
    several factors) to weights, 0 for the others. A difference of differences is such a contrast
    over a grid of two factors.
    """
    check_adjustment(adjust, "custom")
    if not weights:
        raise ValueError("no contrast is given: name at least one, with its weights")
    family = [((name, ""), _vector(name, given, means)) for name, given in weights.items()]
    return _contrasts(means, family, adjust, level)


def interaction(
    means: MarginalMeans, *, adjust: str = "none", level: float | None = None
) -> Contrasts:
    """All differences of differences over the grid of the factors of `means`: "a - b, x - y"."""
    check_adjustment(adjust, "interaction")
    if len(means.factors) < 2:
        raise ValueError(
            f"an interaction needs means of two factors, and these are of {means.factors[0]} only"
        )
    cells = means.cells.iloc[means.families()[0]]
    family: Family = []
    levels = [list(cells[name].unique()) for name in means.factors]
    pairs = [list(itertools.combinations(values, 2)) for values in levels]
    for chosen in itertools.product(*reversed(pairs)):
        weights = np.ones(len(cells))
        for factor, (a, b) in zip(means.factors, chosen[::-1], strict=True):
            column = cells[factor].to_numpy()
            weights = weights * ((column == a).astype(float) - (column == b))
        name = ", ".join(f"{a} - {b}" for a, b in chosen[::-1])
        family.append(((name, ""), weights))
    return _contrasts(means, family, adjust, level)


def _contrasts(means: MarginalMeans, family: Family, adjust: str, level: float | None) -> Contrasts:
    level = means.level if level is None else level
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: give a share between 0 and 1, such as 0.95")
    if not family:
        raise ValueError(f"{', '.join(means.factors)} has one mean only: there is no contrast")
    small = np.array([weights for _, weights in family])
    parts = []
    for rows in means.families():
        weights = np.zeros((len(small), len(means.cells)))
        weights[:, rows] = small
        parts.append(_family(means, weights, adjust, level))
    first = [rows[0] for rows in means.families()]
    by = means.cells[list(means.by)].iloc[np.repeat(first, len(small))].reset_index(drop=True)
    estimates, se, p, critical = (np.concatenate(values) for values in zip(*parts, strict=True))
    names = [pair for pair, _ in family] * len(parts)
    return Contrasts(names, by, estimates, se, p, critical, adjust, level)


def _family(
    means: MarginalMeans, weights: Floats, adjust: str, level: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Estimates, standard errors, p-values and critical values of one family."""
    estimates, covariance = means.combine(weights)
    se = np.sqrt(np.diag(covariance))
    known = np.isfinite(se)
    p, critical = np.full(len(se), np.nan), np.full(len(se), np.nan)
    if known.any():
        size = len(means.cells) // len(means.families())
        correlation = (covariance / np.outer(se, se))[np.ix_(known, known)]
        z = (estimates / se)[known]
        p[known] = adjusted_p(z, adjust, means=size, correlation=correlation)
        critical[known] = critical_value(
            level, adjust, count=len(z), means=size, correlation=correlation
        )
    return estimates, se, p, critical


def _family_labels(means: MarginalMeans) -> list[str]:
    return [means.labels[row] for row in means.families()[0]]


def _place(level: Any, means: MarginalMeans) -> int:
    """Where in a family the mean of a level, or of a tuple of levels, stands."""
    wanted = [level] if isinstance(level, str) or not isinstance(level, Sequence) else list(level)
    cells = means.cells.iloc[means.families()[0]][list(means.factors)]
    for place, row in enumerate(cells.itertuples(index=False)):
        if list(map(str, row)) == list(map(str, wanted)):
            return place
    labels, label = _family_labels(means), " ".join(map(str, wanted))
    near = difflib.get_close_matches(label, labels, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"they are {', '.join(labels)}"
    raise ValueError(f"there is no mean of level {label!r}; {hint}")


def _vector(name: str, given: Weights, means: MarginalMeans) -> Floats:
    labels = _family_labels(means)
    if isinstance(given, Mapping):
        vector = np.zeros(len(labels))
        for level, weight in given.items():
            vector[_place(level, means)] += weight
    else:
        vector = np.asarray(given, dtype=np.float64)
    if vector.shape != (len(labels),):
        raise ValueError(
            f"contrast {name!r} has {vector.size} weights for {len(labels)} means: "
            f"{', '.join(labels)}"
        )
    if not np.isfinite(vector).all() or not vector.any():
        raise ValueError(f"contrast {name!r} needs weights that are finite and not all 0")
    return vector
