"""Patches: square crops of photographs, and what a layer makes of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from maco.classifiers import Classifier
from maco.images import read_image

SMALLEST_PX = 48  # shorter side of a photograph that can be cut into patches


@dataclass(frozen=True)
class Patch:
    """A square of a photograph; left, top and side in pixels of the upright photograph."""

    photograph: Path
    left_px: int
    top_px: int
    side_px: int

    def cut(self, image: Tensor) -> Tensor:
        """The patch (3, side, side) of its photograph (3, h, w)."""
        rows = slice(self.top_px, self.top_px + self.side_px)
        return image[:, rows, self.left_px : self.left_px + self.side_px]


def draw_patches(
    photographs: Sequence[Path], count: int, rng: Generator, *, side: float = 0.35
) -> list[list[Patch]]:
    """At least `count` patches at random places, as many of each photograph, listed by photograph.

    side: of the patch, as a part of the photograph's shorter side. Raises ImageError for a file
    that is no image or too small, ValueError for a side outside (0, 1].
    """
    if not 0 < side <= 1:
        raise ValueError(f"side is {side}: a part of the photograph in (0, 1]")
    each = -(-count // len(photographs))
    drawn = []
    for path in photographs:
        height, width = read_image(path, smallest_px=SMALLEST_PX).shape[-2:]
        side_px = max(1, round(side * min(height, width)))
        left = rng.integers(0, width - side_px, size=each, endpoint=True)
        top = rng.integers(0, height - side_px, size=each, endpoint=True)
        drawn.append([Patch(path, int(x), int(y), side_px) for x, y in zip(left, top, strict=True)])
    return drawn


def read_patches(
    classifier: Classifier,
    layer: str,
    patches: Sequence[Sequence[Patch]],
    *,
    progress: bool = True,
) -> Iterator[Tensor]:
    """Feature maps (patches, channels, h, w) of a layer for the patches of each photograph in turn.

    Each patch is brought to the network's input size. Raises ValueError for a layer without places.
    """
    size = (classifier.input_size_px,) * 2
    for own in tqdm(patches, desc="reading patches", unit="photograph", disable=not progress):
        image = read_image(own[0].photograph).to(classifier.device)
        views = [
            F.interpolate(patch.cut(image)[None], size, mode="bilinear", antialias=True)
            for patch in own
        ]
        with torch.no_grad():
            maps = [
                classifier.maps(torch.cat(views[at : at + classifier.batch]), layer)
                for at in range(0, len(views), classifier.batch)
            ]
        yield torch.cat(maps).cpu()
