"""Between images in [0, 1] and the decorrelated colour space in which spectra are measured.

A decorrelated image has three nearly independent channels: brightness, blue against red, and
green against magenta. Photographs have a mean near 0 and a standard deviation near 2 in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Square root of the colour covariance of ImageNet pixels, as published with Lucid
# (Olah, Mordvintsev and Schubert 2017, Feature Visualization), columns = decorrelated channels.
_COVARIANCE_ROOT = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
CORRELATION = _COVARIANCE_ROOT / _COVARIANCE_ROOT.norm(dim=0).max()
DECORRELATION = torch.linalg.inv(CORRELATION.double()).float()
_TO_PIXELS = CORRELATION * torch.tensor(IMAGENET_STD)[:, None]


def _mix(matrix: Tensor, images: Tensor) -> Tensor:
    mixed: Tensor = matrix.to(images) @ images.flatten(-2)
    return mixed.view(images.shape)


def correlate(channels: Tensor) -> Tensor:
    """Normalised RGB of decorrelated channels, both (..., 3, h, w)."""
    return _mix(CORRELATION, channels)


def recorrelate(channels: Tensor) -> Tensor:
    """RGB images of decorrelated channels, both (..., 3, h, w); photographs come back in [0, 1]."""
    return _mix(_TO_PIXELS, channels) + _statistics(channels)[0]


def decorrelate(images: Tensor) -> Tensor:
    """Decorrelated channels of RGB images in [0, 1], both (..., 3, h, w); undoes `recorrelate`."""
    mean, std = _statistics(images)
    return _mix(DECORRELATION, (images - mean) / std)


def _statistics(like: Tensor) -> tuple[Tensor, Tensor]:
    mean = like.new_tensor(IMAGENET_MEAN)[:, None, None]
    std = like.new_tensor(IMAGENET_STD)[:, None, None]
    return mean, std
