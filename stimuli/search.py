"""The extremes of an activation map from a fifth of its places.

A lattice of places comes first. What is known then is taken for samples of a Gaussian field, and
round by round those places follow where its upper bound is highest and its lower bound lowest
(Srinivas et al. 2010, "Gaussian process optimization in the bandit setting"). Two properties of
such maps go in. Where an occluder's upright edges lie depends on its column alone, and on its row
where the others do; so maps have ridges along both, and correlation falls with the steps along the
row plus those along the column. And a map may have a deep basin and a wide plateau; so only the
order of values counts, their ranks taken for quantiles of the normal distribution.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_SHARE = 5  # one of so many places is evaluated
_FEWEST = 600  # but so many, if there are
_LATTICE = 5  # steps; most networks divide their input by 2, 4, 8, and would show one phase of it
_ROUND = 16  # places
_BOUND = 2.0  # standard deviations from the estimate
_REACH = 0.25  # of the map's side, over which correlation falls to 1/e
_JITTER = 1e-4  # of the field's variance


def searched_places(places: int) -> int:
    """How many of a map's places `search_extremes` evaluates: a fifth, or all of a small map."""
    return min(places, max(places // _SHARE, _FEWEST))


def search_extremes(answers: Callable[[Tensor], Tensor], rows: int, columns: int) -> Tensor:
    """A map (rows, columns), float32, with NaN for the places that were not evaluated.

    answers: gives the values (n,) of some flat places (n,); none may be NaN.
    """
    count = searched_places(rows * columns)
    if count == rows * columns:
        return answers(torch.arange(count)).view(rows, columns)
    field = _Field(rows, columns, count)
    places = _lattice(rows, columns)[:count]  # a single row has more
    while True:
        field.add(places, answers(places))
        if field.seen == count:
            return field.values.view(rows, columns)
        places = field.promising(min(_ROUND, count - field.seen))


def _lattice(rows: int, columns: int) -> Tensor:
    """Flat places at even steps, those at the borders among them."""
    down, across = (
        torch.linspace(0, side - 1, 1 + -(-(side - 1) // _LATTICE)).round().long()
        for side in (rows, columns)
    )
    return (down[:, None] * columns + across).flatten()


class _Field:
    """A Gaussian field over the flat places of a map, given the values seen so far."""

    def __init__(self, rows: int, columns: int, most: int) -> None:
        """`most`: of the values that will be seen."""
        places = torch.arange(rows * columns)
        self._at = torch.stack([places // columns, places % columns]) / (
            _REACH * max(rows, columns)
        )
        self.values = torch.full((rows * columns,), torch.nan)
        self.seen = 0
        self._order = torch.empty(most, dtype=torch.long)  # the places seen
        # The Cholesky factor of their correlations, and its inverse times those with all places.
        self._root = torch.zeros(most, most)
        self._whitened = torch.empty(most, rows * columns)
        self._variance = torch.ones(rows * columns)

    def add(self, places: Tensor, values: Tensor) -> None:
        """Takes note of the values (n,) of some new places (n,)."""
        old, new = slice(self.seen), slice(self.seen, self.seen + len(places))
        known = self._whitened[old, places].T
        distance = (self._at[:, places, None] - self._at[:, None]).abs().sum(0)
        rest = torch.exp(-distance) - known @ self._whitened[old]
        root = torch.linalg.cholesky(rest[:, places] + _JITTER * torch.eye(len(places)))
        self._root[new, old], self._root[new, new] = known, root
        self._whitened[new] = torch.linalg.solve_triangular(root, rest, upper=False)
        self._variance -= self._whitened[new].square().sum(0)
        self._order[new] = places
        self.values[places] = values
        self.seen = new.stop

    def promising(self, count: int) -> Tensor:
        """New places (count,): half where the map may be highest, half where it may be lowest."""
        seen = slice(self.seen)
        ranks = self.values[self._order[seen]].argsort().argsort()
        scores = torch.special.ndtri((ranks + 0.5) / self.seen)
        whitened = torch.linalg.solve_triangular(
            self._root[seen, seen], scores[:, None], upper=False
        )
        estimate = whitened[:, 0] @ self._whitened[seen]
        margin = _BOUND * self._variance.clamp(min=0).sqrt()
        is_new = self.values.isnan()
        high = torch.where(is_new, estimate + margin, -torch.inf).topk(count // 2).indices
        is_new[high] = False
        low = torch.where(is_new, margin - estimate, -torch.inf).topk(count - count // 2).indices
        return torch.cat([high, low])
