"""How far a mean can be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def bootstrap_interval(
    values: ArrayLike,
    generator: np.random.Generator,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 2000,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values (n,).

    clusters: labels (n,); then whole clusters are drawn, as is right where they are what was
    sampled: the classes, of which each has several seeds. Of a single value or cluster nothing can
    be said: (nan, nan).
    Raises ValueError for no values, values that are no numbers, or labels of another length.
    """
    values = np.asarray(values, dtype=float)
    labels = np.arange(len(values)) if clusters is None else np.asarray(clusters)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError("a mean needs one row of at least one value, all of them finite numbers")
    if labels.shape != values.shape:
        raise ValueError(f"{len(values)} values and {len(labels)} cluster labels: one label each")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: it must lie between 0 and 1")
    _, cluster = np.unique(labels, return_inverse=True)
    sums, sizes = np.bincount(cluster, values), np.bincount(cluster)
    count = len(sums)
    if count == 1:
        return float("nan"), float("nan")
    drawn = generator.multinomial(count, np.full(count, 1 / count), size=draws)
    means = (drawn @ sums) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
