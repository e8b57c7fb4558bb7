"""Random views of an image: what the network sees of it at each step.

A transform turns images (n, 3, h, w) into views (n * count, 3, ...), `count` in a row for each
image, drawn from that image's own generator. So what is drawn for one never depends on the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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
        noise = torch.empty_like(views) if self.uniform else torch.zeros_like(views)
        for own, g in zip(noise.view(len(generators), -1), generators, strict=True):
            if self.uniform:
                # One random byte a value: 256 levels, in half the time of as many random numbers.
                own.copy_(_random_bytes(own.numel(), g))
                own.mul_(2 * self.uniform / 255).sub_(self.uniform)
            if self.normal:
                own.add_(torch.randn(own.shape, generator=g, device=g.device), alpha=self.normal)
        return noise


def _random_bytes(count: int, generator: Generator) -> Tensor:
    """Whole numbers (count,), uniform on 0 to 255."""
    words = torch.empty(-(-count // 8), dtype=torch.int64, device=generator.device)
    return words.random_(-(2**63), None, generator=generator).view(torch.uint8)[:count]


def resample(images: Tensor, boxes: Tensor, size_px: int) -> Tensor:
    """Square parts of images, resized with antialiased bilinear weights.

    images (n, 3, h, w); boxes (n * count, 3): left, top, side in pixels, fractions allowed.
    Returns (n * count, 3, size_px, size_px). Differentiable, and the same sum in the same order on
    every run: a resize is a product with a matrix of weights on either side.
    """
    if images.is_cuda:
        return resample_whole(images, boxes, size_px)
    views: Tensor = _ResampleParts.apply(images, boxes, size_px)
    return views


def resample_whole(images: Tensor, boxes: Tensor, size_px: int) -> Tensor:
    """`resample` by products with whole images: more arithmetic, but few launches."""
    n, count = len(images), len(boxes) // len(images)
    left, top, side = boxes.unbind(1)
    across, down = (
        weights(*centres(start, side, size_px), torch.arange(length, device=images.device))
        for start, length in ((left, images.shape[-1]), (top, images.shape[-2]))
    )
    return torch.einsum(
        "nkih,nchw,nkjw->nkcij",
        down.view(n, count, *down.shape[1:]),
        images,
        across.view(n, count, *across.shape[1:]),
    ).flatten(0, 1)


class _ResampleParts(torch.autograd.Function):
    """`resample` box by box, from the pixels near the box alone; its gradient likewise.

    Written out since autograd would make and add up a whole image for each box.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, boxes: Tensor, size_px: int) -> Tensor:
        ctx.shape, ctx.parts = images.shape, []
        count = len(boxes) // len(images)
        views = images.new_empty(len(boxes), images.shape[1], size_px, size_px)
        left, top, side = boxes.unbind(1)
        columns = _nearby(*centres(left, side, size_px), images.shape[-1])
        rows = _nearby(*centres(top, side, size_px), images.shape[-2])
        for index, (row, column) in enumerate(zip(rows, columns, strict=True)):
            (own_rows, down), (own_columns, across) = row, column
            part = index // count, slice(None), own_rows, own_columns
            torch.matmul(down, images[part] @ across.T, out=views[index])
            ctx.parts.append((part, down, across))
        return views

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].new_zeros(ctx.shape)
        for own, (part, down, across) in zip(gradients[0], ctx.parts, strict=True):
            gradient[part] += down.T @ own @ across
        return gradient, None, None


def _nearby(at: Tensor, reach: Tensor, length_px: int) -> Iterator[tuple[slice, Tensor]]:
    """For each interval the pixels of a row that it needs, and their weights (size_px, p)."""
    first, last = (at[:, 0] - reach[:, 0]).tolist(), (at[:, -1] + reach[:, 0]).tolist()
    for index, (start, end) in enumerate(zip(first, last, strict=True)):
        pixels = slice(max(0, math.floor(start)), min(length_px, math.ceil(end) + 1))
        own = slice(index, index + 1)
        yield pixels, weights(at[own], reach[own], torch.arange(pixels.start, pixels.stop))[0]


def centres(start: Tensor, side: Tensor, size_px: int) -> tuple[Tensor, Tensor]:
    """Where size_px equal parts of intervals lie in a row of pixels, and how far each reads.

    start, side (n,) in pixels. Returns (n, size_px) and (n, 1).
    """
    step = (side / size_px)[:, None]
    parts = torch.arange(0.5, size_px, device=start.device)
    return torch.addcmul(start[:, None] - 0.5, step, parts), step.clamp(min=1)


def weights(at: Tensor, reach: Tensor, pixels: Tensor) -> Tensor:
    """Weights (n, size_px, p) of pixels (p,) that fall linearly to 0 at their reach; sums are 1."""
    found = (at[..., None] - pixels).abs_().div_(-reach[..., None]).add_(1).clamp_(min=0)
    return found.div_(found.sum(-1, keepdim=True))


@dataclass(frozen=True)
class WholeImage:
    """The image itself, `count` times, without crop or noise: what is left of an ablation."""

    count: int = 1

    def __call__(
        self, images: Tensor, generators: Sequence[Generator], size_px: int, progress: float
    ) -> Tensor:
        """Views (n * count, 3, h, w): the classifier resizes them."""
        return images.repeat_interleave(self.count, 0)
