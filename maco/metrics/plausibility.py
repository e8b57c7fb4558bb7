"""Plausibility: how near visualizations are to photographs of their class, in a network's features.

The Deep-KNN score of Sun et al. (2022, arXiv 2204.06507), which Fel et al. (2023) report in their
Tables 1 and 3: smaller is more plausible. Its size depends on the network, the layers and whether
features are normalised: compare only numbers that agree in all three.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def knn_distance(features: Tensor, real: Tensor, k: int = 1, *, normalise: bool = True) -> Tensor:
    """Euclidean distance (n,) of features (n, c) to the k-th nearest of real ones (m, c).

    normalise: features are brought to unit length first, as Sun et al. do; distances then lie in
    [0, 2] and do not depend on how strong activations are. float64.
    Raises ValueError for fewer real images than k.
    """
    if features.ndim != 2 or real.ndim != 2 or features.shape[1] != real.shape[1]:
        raise ValueError(
            f"features of shape {tuple(features.shape)} and {tuple(real.shape)} cannot be compared:"
            " (n, channels) and (m, channels) are needed"
        )
    if len(real) == 0:
        raise ValueError("there is no real image to compare with")
    if not 1 <= k <= len(real):
        raise ValueError(f"k is {k}, and there are {len(real)} real images: 1 to {len(real)}")
    features, real = features.double(), real.double()
    if normalise:
        features, real = F.normalize(features), F.normalize(real)
    # The faster way, by a product of matrices, gives an image's distance to itself as 1e-3.
    distances = torch.cdist(features, real, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.kthvalue(k, dim=1).values


def plausibility(
    features: Mapping[str, Tensor],
    real: Mapping[str, Tensor],
    k: int = 1,
    *,
    normalise: bool = True,
) -> Tensor:
    """Mean over layers of the Deep-KNN distance, (n,): layer -> (n, c) and layer -> (m, c).

    Without `normalise`, the layers with the largest activations rule the mean.
    Raises ValueError for layers that differ, or for fewer real images than k.
    """
    if features.keys() != real.keys() or not features:
        raise ValueError(
            f"the images have features of layers {sorted(features)}, the real images of"
            f" {sorted(real)}: read the same layers of both"
        )
    distances = [
        knn_distance(features[layer], real[layer], k, normalise=normalise) for layer in features
    ]
    return torch.stack(distances).mean(0)
