"""Where in a photograph a concept is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from maco.classifiers import Classifier
from maco.concepts.factors import Factors
from maco.photographs import read_square

_TINT = torch.tensor([1.0, 0.72, 0.15])[:, None, None]  # amber: seen on fur, water and leaves alike


def map_concepts(
    classifier: Classifier,
    layer: str,
    factors: Factors,
    photographs: Sequence[Path],
    *,
    progress: bool = True,
) -> Tensor:
    """Coefficients (photographs, concepts, h, w) at each place of the photographs' squares."""
    found = []
    for path in tqdm(photographs, desc="heatmaps", unit="photograph", disable=not progress):
        image = read_square(path, classifier.input_size_px)[None].to(classifier.device)
        with torch.no_grad():
            found.append(factors.find(classifier.maps(image, layer)))
    return torch.cat(found)


def scale_maps(coefficients: Tensor, percentile: float = 98.0) -> Tensor:
    """Maps (photographs, concepts, h, w) in [0, 1]: each concept by its percentile over all."""
    values = coefficients.movedim(1, 0).flatten(1)
    rank = max(1, round(percentile / 100 * values.shape[1]))
    limit = values.kthvalue(rank, dim=1).values
    limit = torch.where(limit > 0, limit, values.amax(1)).clamp(min=1e-12)
    return (coefficients / limit[:, None, None]).clamp(0, 1)


def overlay(image: Tensor, heat: Tensor) -> Tensor:
    """The image (3, h, w) in its colours, amber at the edge, where heat (rows, columns) is near 1.

    Where heat is 0 it is dark and grey. Heat is in [0, 1] and brought up to the image's size.
    """
    large = F.interpolate(heat[None, None], image.shape[-2:], mode="bicubic", antialias=True)[0]
    large = large.clamp(0, 1).to(image)
    grey = image.mean(0, keepdim=True).expand_as(image) * 0.45
    edge = 0.35 * (4 * large * (1 - large)) ** 2
    lit = image * (1 - edge) + _TINT.to(image) * edge
    return (grey * (1 - large) + lit * large).clamp(0, 1)
