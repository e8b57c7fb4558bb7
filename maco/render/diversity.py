"""Diversity: visualizations of one unit that push each other apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from maco.objectives import Objective

_MEMORY = 0.9  # of matrices from step to step: those of a few crops differ by chance


@dataclass(frozen=True)
class Diversity:
    """Images of the same objective, rendered in one call, made to differ (Olah et al. 2017).

    They are to differ in the Gram matrix of a layer's activations: which channels answer together,
    wherever it is. Each image is pushed down the mean cosine between its matrix and its siblings'.

    layer: module name; matrices of its channels are held for each image.
    weight: how strong the push is beside the pull of the objective. At every step their gradients
        by the image's parameters have this ratio of lengths, so that one weight means the same for
        a logit and a channel; below 1 the objective still rises.
    Raises ValueError for a weight that is not positive.
    """

    layer: str
    weight: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"diversity's weight is {self.weight}: it must be positive")

    def apply(self, pull: Tensor, push: Tensor) -> Tensor:
        """The gradient (n, ...) to follow, of objectives' gradients and those of the likeness."""
        strength, given = (one.flatten(1).norm(dim=1) for one in (pull, push))
        ratio = torch.where(given > 0, self.weight * strength / given, 0)
        return pull - ratio.view(-1, *[1] * (pull.ndim - 1)) * push


class Siblings:
    """Which units of a call have the same objective, and how alike their images are.

    An image's matrix is that of all its views, a running mean over the steps before. So views can
    go part by part; at the first step there is nothing to compare with.
    """

    def __init__(self, objectives: Sequence[Objective], diversity: Diversity) -> None:
        names = [repr(objective) for objective in objectives]
        self.diversity = diversity
        self.families = [
            [unit for unit, theirs in enumerate(names) if theirs == name] for name in names
        ]
        self._known: dict[int, Tensor] = {}
        self._now: dict[int, Tensor] = {}
        self._slopes: dict[int, Tensor] = {}

    @classmethod
    def among(cls, objectives: Sequence[Objective], diversity: Diversity | None) -> Siblings | None:
        """Those of a call; None if no two objectives are the same, or nobody asked for them."""
        if diversity is None:
            return None
        siblings = cls(objectives, diversity)
        return siblings if any(len(family) > 1 for family in siblings.families) else None

    def configuration(self, unit: int, seeds: Sequence[int]) -> dict[str, Any]:
        """What a unit's image depends on: its siblings' seeds too. Empty without siblings."""
        family = self.families[unit]
        if len(family) == 1:
            return {}
        return {"diversity": {**asdict(self.diversity), "seeds": [seeds[one] for one in family]}}

    def matrix(self, unit: int, activations: Mapping[str, Tensor]) -> Tensor | None:
        """Gram matrix (c, c) of some views of a unit; None for one without siblings."""
        return gram(activations[self.diversity.layer]) if len(self.families[unit]) > 1 else None

    def likeness(self, unit: int, matrix: Tensor) -> Tensor | None:
        """A number whose gradient is that of the mean cosine; None at the first step."""
        return (matrix * self._slopes[unit]).sum() if unit in self._slopes else None

    def note(self, unit: int, matrix: Tensor) -> None:
        """Adds the matrix of some of a unit's views to those of this step."""
        self._now[unit] = self._now[unit] + matrix if unit in self._now else matrix

    def next_step(self) -> None:
        """Takes in what was seen in this step, with which the next is compared."""
        for unit, matrix in self._now.items():
            before = self._known.get(unit, matrix)
            self._known[unit] = _MEMORY * before + (1 - _MEMORY) * matrix
        self._now = {}
        unit_length = {
            unit: matrix / matrix.norm().clamp(min=1e-12) for unit, matrix in self._known.items()
        }
        for unit, own in unit_length.items():
            others = [unit_length[one] for one in self.families[unit] if one != unit]
            mean = torch.stack(others).mean(0)
            self._slopes[unit] = mean - (mean * own).sum() * own


def gram(activation: Tensor) -> Tensor:
    """Gram matrix (c, c) of activations (n, c, *places): how channels go together in n views."""
    vectors = activation.movedim(1, 0).flatten(1)
    return vectors @ vectors.mT
