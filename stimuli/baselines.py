"""Object-blind observers: what someone sees in a query who knows nothing of the network.

Each measure is a number for an occluder's place, higher where such an observer would guess that the
network favors the query: because less of the picture seems to be lost.

    centre_distance    of the occluder's centre from the image's, in pixels
    visible_contrast   minus the standard deviation of brightness in the hidden square
    visible_saliency   minus the share of the image's saliency in the hidden square; saliency is the
                       distance of the blurred colour from the mean colour (Achanta et al. 2009)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from maco.color import decorrelate
from stimuli.occlusion import blur, corners

NAMES = ("centre_distance", "visible_contrast", "visible_saliency")
_BLUR_SD = 0.02  # of the image's side


def saliency(image: Tensor) -> Tensor:
    """Frequency-tuned saliency (h, w) of an image, uint8 (3, h, w); sums to 1."""
    channels = decorrelate(image.double() / 255)
    smooth = blur(channels, _BLUR_SD * min(image.shape[-2:]))
    distance = (smooth - channels.mean((1, 2), keepdim=True)).square().sum(0).sqrt()
    total = distance.sum()
    return distance / total if total > 0 else torch.full_like(distance, 1 / distance.numel())


def baseline_maps(image: Tensor, size_px: int, stride_px: int) -> dict[str, Tensor]:
    """Each measure (rows, columns), float64, for every place of an occluder on an image."""
    height, width = image.shape[-2:]
    ys = corners(height, size_px, stride_px).double() + size_px / 2 - height / 2
    xs = corners(width, size_px, stride_px).double() + size_px / 2 - width / 2
    bright = decorrelate(image.double() / 255)[0]
    squares = _patch_means(
        torch.stack([bright, bright.square(), saliency(image)]), size_px, stride_px
    )
    spread = (squares[1] - squares[0].square()).clamp(min=0).sqrt()
    return {
        "centre_distance": torch.hypot(ys[:, None], xs[None, :]),
        "visible_contrast": -spread,
        "visible_saliency": -squares[2] * size_px**2,
    }


def measure(image: Tensor, x_px: int, y_px: int, size_px: int) -> dict[str, float]:
    """Each measure of one occluder on an image, uint8 (3, h, w)."""
    height, width = image.shape[-2:]
    bright = decorrelate(image.double() / 255)[0]
    window = (slice(y_px, y_px + size_px), slice(x_px, x_px + size_px))
    dx, dy = x_px + (size_px - width) / 2, y_px + (size_px - height) / 2
    return {
        "centre_distance": float(torch.tensor([dx, dy]).double().norm()),
        "visible_contrast": -float(bright[window].std(correction=0)),
        "visible_saliency": -float(saliency(image)[window].sum()),
    }


def _patch_means(channels: Tensor, size_px: int, stride_px: int) -> Tensor:
    return F.avg_pool2d(channels[None], size_px, stride_px)[0]
