"""From evidence to the probability of a choice."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def scale_of(evidence: Sequence[float]) -> float:
    """The root mean square, by which evidence is divided so that a softness means the same
    everywhere; 1 if all evidence is 0."""
    return float(np.sqrt(np.mean(np.square(evidence)))) if np.any(evidence) else 1.0


def probability(evidence: float, softness: float) -> float:
    """1 / (1 + exp(-evidence / softness)): 0 or 1 at softness 0, and one half for no evidence."""
    if not softness >= 0:
        raise ValueError(f"softness is {softness}: it must be 0 or more")
    if evidence == 0 or math.isinf(softness):
        return 0.5
    if softness == 0 or abs(evidence) / softness > 700:
        return float(evidence > 0)
    return 1 / (1 + math.exp(-evidence / softness))


def fit_softness(evidence: Sequence[float], accuracy: float) -> float:
    """The largest softness at which the mean probability is `accuracy`.

    Raises ValueError if none gives that.
    """
    softnesses = np.geomspace(1e3, 1e-3, 601)
    reached = [_accuracy(evidence, softness) for softness in softnesses]
    best = max(reached)
    at = int(np.argmax(np.array(reached) >= accuracy))
    if not 0.5 < accuracy <= best or at == 0:
        raise ValueError(
            f"no softness gives an accuracy of {accuracy:g}: this observer reaches"
            f" {min(reached):.3f} to {best:.3f}"
        )
    high, low = float(softnesses[at - 1]), float(softnesses[at])
    for _ in range(60):
        middle = (high + low) / 2
        if _accuracy(evidence, middle) >= accuracy:
            low = middle
        else:
            high = middle
    return low


def _accuracy(evidence: Sequence[float], softness: float) -> float:
    return float(np.mean([probability(one, softness) for one in evidence]))


def interval(
    values: Sequence[float], generator: np.random.Generator, resamples: int = 2000
) -> tuple[float, float]:
    """95 % bootstrap interval (percentiles) of the mean over trials drawn with replacement."""
    sample: NDArray[np.float64] = np.asarray(values, dtype=float)
    drawn = generator.integers(len(sample), size=(resamples, len(sample)))
    low, high = np.percentile(sample[drawn].mean(1), [2.5, 97.5])
    return float(low), float(high)
