"""Random views of an image: what the network sees of it at each step.

A transform turns images (n, 3, h, w) into views (n * count, 3, ...), `count` in a row for each
image, drawn from that image's own generator. So what is drawn for one never depends on the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor


class Transform(Protocol):
    """Images to views; `progress` runs from 0 at the first step to 1 at the last."""

    @property
    def count(self) -> int:
        """Views an image and step."""

    def __call__(
        self, images: Tensor, generators: Sequence[Generator], size_px: int, progress: float
    ) -> Tensor:
        """Views (n * count, 3, ...) of images (n, 3, h, w); size_px is the network's input side."""


@dataclass(frozen=True)
class CropAndNoise:
    """Random square crops at the network's input size, under noise (Fel et al. 2023, section 3).

    count: crops an image and step.
    side: mean of the crop's side as a fraction of the image's shorter side; `side_end`, if given,
        is its value at the last step, reached linearly.
    side_sd: its standard deviation; sides are clamped to [smallest, 1].
    centre_sd: standard deviation of the crop's centre about the image's, as a fraction of its
        height and width (as in public code; the paper says nothing). Crops stay inside the image.
    uniform, normal: half-width and standard deviation of the noise on pixels in [0, 1].
    """

    count: int = 8
    side: float = 0.25
    side_end: float | None = None
    side_sd: float = 0.1
    smallest: float = 0.05
    centre_sd: float = 0.15
    uniform: float = 0.1
    normal: float = 0.0

    def __call__(
        self, images: Tensor, generators: Sequence[Generator], size_px: int, progress: float
    ) -> Tensor:
        """Views (n * count, 3, size_px, size_px)."""
        boxes = self.boxes(generators, images.shape[-2], images.shape[-1], progress)
        views = resample(images, boxes, size_px)
        return views + self._noise(views, generators)

    def boxes(
        self, generators: Sequence[Generator], height_px: int, width_px: int, progress: float = 0
    ) -> Tensor:
        """Left, top and side of the crops in pixels, (n * count, 3), whole image = (0, 0, side)."""
        end = self.side if self.side_end is None else self.side_end
        mean = self.side + progress * (end - self.side)
        drawn = torch.stack(
            [torch.randn(self.count, 3, generator=g, device=g.device) for g in generators]
        ).flatten(0, 1)
        side = (mean + self.side_sd * drawn[:, 0]).clamp(self.smallest, 1) * min(
            height_px, width_px
        )
        centre = 0.5 + self.centre_sd * drawn[:, 1:]
        extent = drawn.new_tensor([width_px, height_px])
        corner = (centre * extent - side[:, None] / 2).clamp(min=0)
        return torch.cat([torch.minimum(corner, extent - side[:, None]), side[:, None]], dim=1)

    def _noise(self, views: Tensor, generators: Sequence[Generator]) -> Tensor:
        shape = (self.count, *views.shape[1:])
        noise = torch.zeros_like(views)
        for own, g in zip(noise.view(-1, *shape), generators, strict=True):
            if self.uniform:
                own += self.uniform * (2 * torch.rand(shape, generator=g, device=g.device) - 1)
            if self.normal:
                own += self.normal * torch.randn(shape, generator=g, device=g.device)
        return noise


def resample(images: Tensor, boxes: Tensor, size_px: int) -> Tensor:
    """Square parts of images, resized with antialiased bilinear weights.

    images (n, 3, h, w); boxes (n * count, 3): left, top, side in pixels, fractions allowed.
    Returns (n * count, 3, size_px, size_px). Differentiable, and the same sum in the same order on
    every run: a resize is a product with a matrix of weights on either side.
    """
    left, top, side = boxes.unbind(1)
    across = _weights(left, side, images.shape[-1], size_px)
    down = _weights(top, side, images.shape[-2], size_px)
    count = len(boxes) // len(images)
    if images.is_cuda:  # the whole matrices: more arithmetic, but one launch
        n = len(images)
        return torch.einsum(
            "nkih,nchw,nkjw->nkcij",
            down.view(n, count, *down.shape[1:]),
            images,
            across.view(n, count, *across.shape[1:]),
        ).flatten(0, 1)
    views = []
    own = images.unbind(0)
    for index, (x, y, length) in enumerate(boxes.tolist()):
        reach = max(1.0, length / size_px) + 1
        columns = slice(max(0, math.floor(x - reach)), math.ceil(x + length + reach))
        rows = slice(max(0, math.floor(y - reach)), math.ceil(y + length + reach))
        part = own[index // count][:, rows, columns]
        views.append(down[index, :, rows] @ part @ across[index, :, columns].T)
    return torch.stack(views)


def _weights(start: Tensor, side: Tensor, length_px: int, size_px: int) -> Tensor:
    """Weights (n, size_px, length_px) that read intervals off a row of pixels; rows sum to 1."""
    step = (side / size_px)[:, None]
    at = start[:, None] + (torch.arange(size_px, device=start.device) + 0.5) * step - 0.5
    distance = at[..., None] - torch.arange(length_px, device=start.device)
    weights = (1 - distance.abs() / step.clamp(min=1)[..., None]).clamp(min=0)
    return weights / weights.sum(-1, keepdim=True)


@dataclass(frozen=True)
class WholeImage:
    """The image itself, `count` times, without crop or noise: what is left of an ablation."""

    count: int = 1

    def __call__(
        self, images: Tensor, generators: Sequence[Generator], size_px: int, progress: float
    ) -> Tensor:
        """Views (n * count, 3, h, w): the classifier resizes them."""
        return images.repeat_interleave(self.count, 0)
