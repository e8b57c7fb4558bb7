"""The occluder sweep: what a unit still answers when a square of a photograph is hidden.

Images here are 8-bit, uint8 (3, h, w), as they are stored: an activation in the bundle is the
network's answer to the very pixels a participant sees. Places are top-left corners in pixels, x to
the right and y down; a map's rows are y, its columns x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from maco import Classifier, Objective
from stimuli.search import search_extremes

SEARCHES = ("all", "extremes")
FILLS = ("mean", "grey", "blur")
_GREY = 128
_BLUR_SD = 0.1  # of the image's side: what is hidden leaves no shape behind


@dataclass(frozen=True)
class ActivationMap:
    """A unit's activation for every place of an occluder.

    values: (rows, columns) float32; NaN for a place that a search left out, infinite where the
    network gave no finite number. xs_px, ys_px: the corners. size_px: the occluder's side.
    base: the activation of the unoccluded image.
    """

    values: Tensor
    xs_px: Tensor
    ys_px: Tensor
    size_px: int
    base: float

    @property
    def spread(self) -> float:
        """Largest minus smallest activation."""
        values = self.values.flatten()
        return float(values[self.highest] - values[self.lowest])

    @property
    def lowest(self) -> int:
        """Flat index of the smallest activation."""
        return int(torch.where(self.values.isnan(), torch.inf, self.values).argmin())

    @property
    def highest(self) -> int:
        """Flat index of the largest activation."""
        return int(torch.where(self.values.isnan(), -torch.inf, self.values).argmax())

    @property
    def is_whole(self) -> bool:
        """Whether every place was evaluated."""
        return not bool(self.values.isnan().any())

    @property
    def is_finite(self) -> bool:
        """Whether the network gave a finite number wherever it was evaluated."""
        return not bool(self.values.isinf().any())

    def place(self, index: int) -> tuple[int, int]:
        """Corner (x, y) in pixels of a flat index into `values`."""
        row, column = divmod(index, self.values.shape[1])
        return int(self.xs_px[column]), int(self.ys_px[row])


def corners(side_px: int, size_px: int, stride_px: int) -> Tensor:
    """Every corner along one side so that the occluder lies inside the image; the first is 0."""
    if not 0 < size_px <= side_px:
        raise ValueError(f"an occluder of {size_px} px does not fit an image side of {side_px} px")
    if stride_px < 1:
        raise ValueError(f"stride_px is {stride_px}: it must be at least 1")
    return torch.arange(0, side_px - size_px + 1, stride_px)


def fill_colours(image: Tensor, size_px: int, stride_px: int) -> Tensor:
    """Mean colour of every patch, uint8 (rows, columns, 3), rounded to nearest."""
    means = F.avg_pool2d(image[None].double(), size_px, stride_px)[0]
    return means.round().to(torch.uint8).permute(1, 2, 0)


def occlude(image: Tensor, x_px: int, y_px: int, size_px: int, fill: str = "mean") -> Tensor:
    """A copy of an image, uint8 (3, h, w), with a square hidden.

    fill: "mean", the mean colour of the hidden pixels; "grey"; or "blur", the image itself beyond
    recognition. Raises ValueError for another fill, or a square that is not inside the image.
    """
    height, width = image.shape[-2:]
    if not (0 <= x_px <= width - size_px and 0 <= y_px <= height - size_px and size_px > 0):
        raise ValueError(
            f"an occluder of {size_px} px at ({x_px}, {y_px}) is not inside {width} x {height} px"
        )
    hidden = image.clone()
    rows, columns = slice(y_px, y_px + size_px), slice(x_px, x_px + size_px)
    if fill == "mean":
        patch = image[:, rows, columns]
        hidden[:, rows, columns] = fill_colours(patch, size_px, 1)[0, 0][:, None, None]
    elif fill in FILLS:
        hidden[:, rows, columns] = _background(image, fill)[:, rows, columns]
    else:
        raise ValueError(f"unknown fill {fill!r}: {', '.join(FILLS)}")
    return hidden


def _background(image: Tensor, fill: str) -> Tensor:
    if fill == "grey":
        return torch.full_like(image, _GREY)
    return blur(image.float(), _BLUR_SD * min(image.shape[-2:])).round().to(torch.uint8)


def blur(image: Tensor, sd_px: float) -> Tensor:
    """Gaussian blur of a float image (c, h, w), mirrored at its borders."""
    radius = min(round(3 * sd_px), min(image.shape[-2:]) - 1)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sd_px) ** 2)
    kernel = (kernel / kernel.sum()).to(image)
    channels = image[:, None]
    channels = F.conv2d(
        F.pad(channels, (radius, radius, 0, 0), mode="reflect"), kernel.view(1, 1, 1, -1)
    )
    channels = F.conv2d(
        F.pad(channels, (0, 0, radius, radius), mode="reflect"), kernel.view(1, 1, -1, 1)
    )
    return channels[:, 0]


def answers_of(classifier: Classifier, objectives: Sequence[Objective], images: Tensor) -> Tensor:
    """What some units answer (units, n), float32 on the CPU, to 8-bit images (n, 3, h, w)."""
    return _read(classifier, objectives, _scale(classifier, images), prepared=False)


def activations(classifier: Classifier, objective: Objective, images: Tensor) -> Tensor:
    """The unit's answer (n,), float32 on the CPU, to 8-bit images (n, 3, h, w)."""
    return answers_of(classifier, [objective], images)[0]


def _scale(classifier: Classifier, images: Tensor) -> Tensor:
    return images.to(classifier.device).float() / 255


def _read(
    classifier: Classifier, objectives: Sequence[Objective], images: Tensor, *, prepared: bool
) -> Tensor:
    layers = frozenset().union(*(objective.layers for objective in objectives))
    with torch.inference_mode():
        read = classifier.read(images, layers, prepared=prepared)
        return torch.stack([objective(read) for objective in objectives]).float().cpu()


def sweep(
    classifier: Classifier,
    objective: Objective,
    image: Tensor,
    *,
    size_px: int,
    stride_px: int,
    fill: str = "mean",
    search: str = "all",
    progress: Callable[[int], object] = lambda done: None,
) -> ActivationMap:
    """The activation of a unit for every place of an occluder on an image, uint8 (3, h, w).

    search: "all" places, or a fifth of them among which the "extremes" very probably are.
    Places go in batches, the unoccluded image apart, so that every place counts whatever their
    number. `progress` is told how many places are done.
    """
    if search not in SEARCHES:
        raise ValueError(f"unknown search {search!r}: {', '.join(SEARCHES)}")
    queries = _Queries(classifier, image, size_px, stride_px, fill)
    rows, columns = len(queries.ys_px), len(queries.xs_px)

    def answers(places: Tensor) -> Tensor:
        values = []
        for part in torch.split(places, classifier.batch):
            values.append(queries.answers(objective, part))
            progress(len(part))
        found = torch.cat(values)
        return torch.where(found.isnan(), torch.inf, found)

    if search == "extremes":
        values = search_extremes(answers, rows, columns)
    else:
        values = answers(torch.arange(rows * columns)).view(rows, columns)
    base = float(activations(classifier, objective, image[None])[0])
    return ActivationMap(values, queries.xs_px, queries.ys_px, size_px, base)


class _Queries:
    """The queries of an image as the network reads them, a batch of places at a time.

    One batch stays in memory. An image of the network's input side lies there as the network is fed
    it, since normalising goes pixel by pixel and so may come before painting; resizing may not.
    """

    def __init__(
        self, classifier: Classifier, image: Tensor, size_px: int, stride_px: int, fill: str
    ) -> None:
        if fill not in FILLS:
            raise ValueError(f"unknown fill {fill!r}: {', '.join(FILLS)}")
        self.ys_px = corners(image.shape[-2], size_px, stride_px)
        self.xs_px = corners(image.shape[-1], size_px, stride_px)
        self._size_px = size_px
        self._classifier = classifier
        self._prepared = image.shape[-2:] == (classifier.input_size_px,) * 2
        self._image = self._pixels(image[None])
        if self._prepared:
            self._image = self._image.contiguous(memory_format=torch.channels_last)
        self._batch = self._image.expand(classifier.batch, -1, -1, -1).clone()
        if fill == "mean":
            colours = fill_colours(image, size_px, stride_px).flatten(0, 1)
            self._colours: Tensor | None = self._pixels(colours[:, :, None, None])
        else:
            self._colours = None
            self._background = self._pixels(_background(image, fill)[None])[0]

    def answers(self, objective: Objective, places: Tensor) -> Tensor:
        """What a unit answers (n,) to the queries of some flat places, a batch at most."""
        batch = self._batch[: len(places)].copy_(self._image)
        for query, place in zip(batch, places.tolist(), strict=True):
            row, column = divmod(place, len(self.xs_px))
            y, x = int(self.ys_px[row]), int(self.xs_px[column])
            square = (slice(None), slice(y, y + self._size_px), slice(x, x + self._size_px))
            colours = self._colours
            query[square] = self._background[square] if colours is None else colours[place]
        return _read(self._classifier, [objective], batch, prepared=self._prepared)[0]

    def _pixels(self, images: Tensor) -> Tensor:
        """8-bit images (n, 3, h, w) of any size as their pixels lie in the batch."""
        scaled = _scale(self._classifier, images)
        return self._classifier.normalise(scaled) if self._prepared else scaled
