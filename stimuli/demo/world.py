"""The demo world: photograph-like images of one class object among distractors of no class."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stimuli.demo.backgrounds import blur, draw_fields, paint_ground, photograph
from stimuli.demo.objects import KINDS, Light, Placement, draw_distractor, paint_object

CLASSES: tuple[str, ...] = tuple(KINDS)
PRACTICE_CLASSES: tuple[str, ...] = CLASSES[-2:]
RADII = (0.115, 0.168)
DISTRACTORS = (2, 4)
OCCLUDER = 0.4

_GAP = 0.31


@dataclass(frozen=True)
class Scene:
    """One photograph and what is in it.

    `image` is sRGB, uint8 (n, n, 3); `label` indexes `CLASSES`; `mask` is bool (n, n), the visible
    pixels of the class object; `box` is the mask's (x, y, width, height) in pixels;
    `distractor_masks` are the same as `mask` for each distractor.
    """

    image: NDArray[np.uint8]
    label: int
    mask: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    distractor_masks: tuple[NDArray[np.bool_], ...]


def scene(rng: np.random.Generator, label: int, size_px: int = 224) -> Scene:
    """Draw a square photograph of class `label`; one generator state is one scene at any size."""
    if not 0 <= label < len(CLASSES):
        raise ValueError(f"label is {label}; it must be from 0 to {len(CLASSES) - 1}")
    if size_px < 32:
        raise ValueError(f"size_px is {size_px}; it must be at least 32")
    light = _draw_light(rng)
    ground, dapple = draw_fields(rng, size_px)
    canvas = blur(paint_ground(rng, ground, light), 0.001 * size_px)
    places = _draw_places(rng, int(rng.integers(DISTRACTORS[0], DISTRACTORS[1] + 1)) + 1)
    kinds = [KINDS[CLASSES[label]]] + [draw_distractor(rng) for _ in places[1:]]
    order = rng.permutation(len(places))
    masks: list[NDArray[np.bool_]] = [np.zeros((size_px, size_px), bool)] * len(places)
    for index in order:
        coverage = paint_object(canvas, kinds[index], places[index], light, ground, rng)
        masks = [mask & (coverage < 0.5) for mask in masks]
        masks[index] = coverage >= 0.5
    image = photograph(canvas, dapple, rng)
    return Scene(image, label, masks[0], measure_box(masks[0]), tuple(masks[1:]))


def measure_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The smallest (x, y, width, height) in pixels that holds every true pixel of (h, w)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def photograph_file(label: int, number: int) -> str:
    """What a photograph of a class is called."""
    return f"{CLASSES[label].replace(' ', '_')}/{number:04d}.png"


def photograph_rng(seed: int, label: int, number: int) -> np.random.Generator:
    """The generator from which `scene` draws it."""
    return np.random.default_rng((seed, label, number))


def write_photographs(folder: Path, *, per_class: int, seed: int, size_px: int = 224) -> None:
    """Write `per_class` photographs of each class and `truth.json`, what is in them.

    Files are called as `photograph_file` has it. Photograph i of a class depends on the seed, the
    class and i alone, not on how many are asked for.
    """
    truth = {}
    for label in range(len(CLASSES)):
        for number in range(per_class):
            drawn = scene(photograph_rng(seed, label, number), label, size_px)
            name = photograph_file(label, number)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawn.image).save(folder / name)
            truth[name] = {
                "label": label,
                "box": drawn.box,
                "size_px": size_px,
                "mask_runs": _encode_runs(drawn.mask),
            }
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")


@dataclass(frozen=True)
class Truth:
    """What is in one written photograph: see `Scene` for `label`, `mask` and `box`."""

    label: int
    mask: NDArray[np.bool_]
    box: tuple[int, int, int, int]


def read_truth(folder: Path) -> dict[str, Truth]:
    """Read what `write_photographs` put into `folder`, by file name relative to it."""
    rows = json.loads((folder / "truth.json").read_text())
    return {
        file: Truth(row["label"], _decode_runs(row["mask_runs"], row["size_px"]), tuple(row["box"]))
        for file, row in rows.items()
    }


def _encode_runs(mask: NDArray[np.bool_]) -> list[int]:
    """Lengths of the runs of equal pixels in reading order; the first run is of false ones."""
    flat = np.concatenate([[False], mask.ravel()])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(run) for run in np.diff(np.concatenate([[0], changes, [mask.size]]))]


def _decode_runs(runs: list[int], size_px: int) -> NDArray[np.bool_]:
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size_px, size_px)


def _draw_light(rng: np.random.Generator) -> Light:
    azimuth, elevation = rng.uniform(-0.85, -0.15) * np.pi, rng.uniform(0.7, 1.05)
    flat = np.cos(elevation)
    return Light(flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation))


def _draw_places(rng: np.random.Generator, count: int) -> list[Placement]:
    """Draw `count` placements, uniform over the frame, none of which hides another.

    Centres are so far apart that an occluder centred on one object leaves another mostly in sight.
    """
    while True:
        places: list[Placement] = []
        for _ in range(60):
            radius = rng.uniform(*RADII)
            margin = radius + 0.015
            x, y = rng.uniform(margin, 1 - margin, 2)
            if all(
                max(abs(x - other.x), abs(y - other.y)) >= _GAP
                and np.hypot(x - other.x, y - other.y) >= radius + other.radius + 0.01
                for other in places
            ):
                places.append(Placement(float(x), float(y), float(radius)))
            if len(places) == count:
                # Late placements fill gaps, at the edge more often; the class object is any one.
                return [places[index] for index in rng.permutation(count)]
