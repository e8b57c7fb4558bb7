"""Query rules: which two places of the occluder make a pair.

A rule looks at one activation map, and at how often each object-blind observer was already right
(`Tally`); it gives the less favored and the favored place, as flat indices into the map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from stimuli.occlusion import ActivationMap

RULES = ("extremes", "minimum_vs_elsewhere", "random")
# With an occluder of 40 % of the side in the middle of the image, no other place is quite free of
# it; a corner shares at most 7 % of its area.
_LARGEST_OVERLAP = 0.1
_BALANCE = 0.5  # of a standard deviation of mismatch, for one right answer too many


class NoPairError(ValueError):
    """A map without a pair: the sentence says why; the caller adds which unit and image."""


@dataclass
class Tally:
    """Right minus wrong answers of each object-blind observer over the pairs chosen so far."""

    surplus: dict[str, float] = field(default_factory=dict)

    def add(self, baselines: Mapping[str, Tensor], less: int, more: int) -> None:
        """Counts one pair."""
        for name, values in baselines.items():
            difference = float(torch.sign(values.flatten()[more] - values.flatten()[less]))
            self.surplus[name] = self.surplus.get(name, 0.0) + difference


def choose_pair(
    rule: str,
    map_: ActivationMap,
    baselines: Mapping[str, Tensor],
    *,
    margin: float,
    tally: Tally,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Less favored and favored place of a pair.

    rule: "extremes", the smallest and the largest activation (Zimmermann et al. 2021);
        "minimum_vs_elsewhere", the smallest, and a place apart from it that is as much worth hiding
        to an object-blind observer (after Fel et al. 2023): one that does not overlap it, or, where
        there is none, by a tenth of its area at most; "random", any two.
    margin: by how much the activations must differ, as a fraction of the map's spread.
    Raises NoPairError if the map does not vary, or no two places are far enough apart; ValueError
    if a rule that compares all places gets a map of which some were left out.
    """
    if rule not in RULES:
        raise ValueError(f"unknown query rule {rule!r}: {', '.join(RULES)}")
    if rule != "extremes" and not map_.is_whole:
        raise ValueError(f"the query rule {rule!r} needs every place of a map: sweep all")
    values = map_.values.flatten()
    if not map_.is_finite:
        raise NoPairError("the activation is not finite for some occluder")
    if map_.spread <= 1e-6 * max(1.0, float(values.abs().nan_to_num().max())):
        raise NoPairError("the activation is the same wherever the occluder lies")
    if rule == "extremes":
        pair = map_.lowest, map_.highest
    elif rule == "random":
        pair = _random_pair(values, margin * map_.spread, rng)
    else:
        pair = _minimum_vs_elsewhere(map_, baselines, margin, tally)
    tally.add(baselines, *pair)
    return pair


def _random_pair(values: Tensor, difference: float, rng: np.random.Generator) -> tuple[int, int]:
    for first in rng.permutation(len(values)):
        apart = (values - values[first]).abs() >= difference
        other = torch.nonzero(apart & (values != values[first])).flatten()
        if len(other):
            pair = int(first), int(other[rng.integers(len(other))])
            return pair if values[pair[0]] < values[pair[1]] else pair[::-1]
    raise NoPairError("no two places differ by the required margin")


def _minimum_vs_elsewhere(
    map_: ActivationMap, baselines: Mapping[str, Tensor], margin: float, tally: Tally
) -> tuple[int, int]:
    values = map_.values.flatten()
    less = map_.lowest
    overlap = _overlap(map_, less)
    enough = (values - values[less] >= margin * map_.spread) & (values > values[less])
    elsewhere = enough & (overlap == 0)
    if not bool(elsewhere.any()):
        elsewhere = enough & (overlap <= _LARGEST_OVERLAP)
    if not bool(elsewhere.any()):
        apart = values[overlap <= _LARGEST_OVERLAP] - values[less]
        most = float(apart.max()) / map_.spread if len(apart) else 0.0
        raise NoPairError(
            f"beside the occluder at the minimum, the best differs by {most:.2f} of the map's"
            f" spread and {margin:g} is required: lower queries.margin, or take another image"
        )
    mismatch = torch.zeros_like(values, dtype=torch.float64)
    tilt = torch.zeros_like(mismatch)
    for name, measured in baselines.items():
        flat = measured.flatten().double()
        difference = flat - flat[less]
        mismatch += (difference / flat.std().clamp(min=1e-12)).square()
        tilt += tally.surplus.get(name, 0.0) * torch.sign(difference)
    cost = mismatch.sqrt() + _BALANCE * tilt
    cost[~elsewhere] = torch.inf
    return less, int(cost.argmin())


def _overlap(map_: ActivationMap, index: int) -> Tensor:
    """Which share of its area each place (flat) has in common with the occluder at `index`."""
    x, y = map_.place(index)
    wide = (map_.size_px - (map_.xs_px - x).abs()).clamp(min=0)
    high = (map_.size_px - (map_.ys_px - y).abs()).clamp(min=0)
    return (high[:, None] * wide[None, :]).flatten() / map_.size_px**2
