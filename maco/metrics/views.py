"""Which part of an image is measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

FID_FRACTION = 299 / 512  # the paper's crop for FID: 299 px of 512


def central(images: Tensor, fraction: float) -> Tensor:
    """The central part (..., round(h * fraction), round(w * fraction)) of images (..., h, w).

    Raises ValueError for a fraction outside (0, 1], or one that leaves no pixel.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}: it must lie in (0, 1]")
    height, width = images.shape[-2:]
    rows, columns = round(height * fraction), round(width * fraction)
    if rows == 0 or columns == 0:
        raise ValueError(f"a fraction of {fraction} of {width} x {height} px leaves no pixel")
    top, left = (height - rows) // 2, (width - columns) // 2
    return images[..., top : top + rows, left : left + columns]


def squares(images: Iterable[Tensor], size_px: int, batch: int) -> Iterator[Tensor]:
    """Central squares of images (3, h, w) of any size, in batches (<= batch, 3, size_px, size_px).

    Resized with antialiased bilinear weights, as `Classifier.prepare` resizes.
    Raises ValueError for something that is no image.
    """
    rest = iter(images)
    while group := [_square(image, size_px) for image in islice(rest, batch)]:
        yield torch.cat(group)


def _square(image: Tensor, size_px: int) -> Tensor:
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ValueError(f"an image has shape {tuple(image.shape)}: (3, h, w) is needed")
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[None, :, top : top + side, left : left + side].float()
    if side == size_px:
        return square
    return F.interpolate(square, (size_px, size_px), mode="bilinear", antialias=True)
