"""Concepts as factors: activations = coefficients x basis, nothing in either below zero."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Factors:
    """The concepts of a layer (Fel et al. 2023, arXiv 2211.10154, equation 1).

    coefficients: (patches, concepts), how much of each concept is in each patch.
    basis: (concepts, parts), rows of length 1. A layer whose activations are never negative has one
        part a channel; one with signs has two, what is above zero and what is below.
    explained: share of the patches' squared activations that the product gives back.
    """

    coefficients: Array
    basis: Array
    channels: int
    explained: float
    _fitted: Any

    @property
    def signed(self) -> bool:
        """Whether positive and negative activations were taken as parts of their own."""
        return bool(self.basis.shape[1] != self.channels)

    @property
    def directions(self) -> Tensor:
        """The direction (concepts, channels) of each concept in the layer."""
        return torch.from_numpy(_join(self.basis, self.channels))

    def find(self, activations: Tensor) -> Tensor:
        """Coefficients (n, concepts, *places) of activations (n, channels, *places).

        Non-negative least squares at each place, the basis as it stands.
        """
        parts = split_signs(activations) if self.signed else activations.clamp(min=0)
        rows = parts.flatten(2).movedim(1, 2).reshape(-1, parts.shape[1])
        found = self._fitted.transform(rows.cpu().numpy().astype(np.float32))
        shape = (len(activations), *activations.shape[2:], len(self.basis))
        return torch.from_numpy(found.astype(np.float32)).reshape(shape).movedim(-1, 1)

    def compose(self, coefficients: Tensor) -> Tensor:
        """Activations (n, channels, *places) of coefficients (n, concepts, *places)."""
        directions = self.directions.to(coefficients)
        return torch.einsum("nk...,kc->nc...", coefficients, directions)


def factorise(maps: Iterable[Tensor], concepts: int, *, seed: int = 0) -> Factors:
    """Factors of the patches' feature maps (n, channels, h, w), averaged over their places.

    By scikit-learn's NMF from a singular value decomposition, so that the seed decides little.
    A layer with negative activations (a transformer's block, the end of a ConvNeXt) is split into
    what is above and what is below zero, two non-negative parts a channel: nothing is thrown away.
    Raises ValueError for fewer patches or channels than concepts, or a layer with less to find.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    signed, means, channels = False, [], 0
    for own in maps:
        signed, channels = signed or bool((own < 0).any()), own.shape[1]
        means.append(split_signs(own).mean((2, 3)))
    patches = torch.cat(means).numpy()
    patches = patches if signed else patches[:, :channels]
    if not 1 <= concepts <= min(patches.shape):
        raise ValueError(
            f"{concepts} concepts of {len(patches)} patches and {channels} channels: ask for"
            f" 1 to {min(patches.shape)}"
        )
    fitted = NMF(concepts, init="nndsvda", max_iter=2000, random_state=seed)
    with warnings.catch_warnings():  # how much was found is told by `explained`
        warnings.simplefilter("ignore", ConvergenceWarning)
        coefficients = fitted.fit_transform(patches)
    length = np.linalg.norm(fitted.components_, axis=1)
    if not (length > 0).all():
        raise ValueError(f"only {int((length > 0).sum())} concepts were found: ask for fewer")
    rest = patches - coefficients @ fitted.components_
    fitted.components_ = (fitted.components_ / length[:, None]).astype(np.float32)
    return Factors(
        coefficients=(coefficients * length).astype(np.float32),
        basis=fitted.components_,
        channels=channels,
        explained=float(1 - (rest**2).sum() / (patches**2).sum()),
        _fitted=fitted,
    )


def split_signs(activations: Tensor) -> Tensor:
    """Activations (n, c, ...) as (n, 2c, ...): those above zero, then the size of those below."""
    return torch.cat([activations.clamp(min=0), (-activations).clamp(min=0)], 1)


def _join(parts: Array, channels: int) -> Array:
    if parts.shape[1] == channels:
        return parts.astype(np.float32)
    joined: Array = (parts[:, :channels] - parts[:, channels:]).astype(np.float32)
    return joined
