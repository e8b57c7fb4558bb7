"""Base images: which photographs a study takes of a folder, and the pixels it stores of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from maco import Classifier
from maco.images import ImageError, TooSmallError, find_images, to_bytes
from maco.photographs import read_index, read_square
from stimuli.occlusion import answers_of
from stimuli.units import StudyUnit


@dataclass(frozen=True)
class Photograph:
    """One base image: where it came from (relative to the images folder) and what is shown of it.

    pixels: uint8 (3, side, side), the central square at the study's size.
    """

    source: str
    pixels: Tensor


class Pool:
    """The photographs of a folder, by class where classes are needed."""

    def __init__(self, folder: Path, index: str | None, size_px: int) -> None:
        self.folder = folder
        self.index = index
        self.size_px = size_px

    def read(self, path: Path) -> Photograph:
        """A photograph, cut to its central square and brought to the study's size.

        Raises ImageError for a file that cannot be used, TooSmallError for one below that size.
        """
        square = read_square(path, self.size_px, smallest_px=self.size_px)
        return Photograph(path.relative_to(self.folder).as_posix(), to_bytes(square))

    def all_files(self) -> list[Path]:
        """Every image of the folder."""
        return find_images(self.folder)

    def files_of(self, unit: StudyUnit, classifier: Classifier) -> list[Path]:
        """The images of a class, in order of their names (or of the index file).

        Raises ValueError if there is none, or a listed file is missing.
        """
        if not self.folder.is_dir():
            raise ImageError(f"{self.folder} is not a folder of images")
        if self.index is not None:
            rows = self._indexed(self.folder / self.index)
            files = [path for name, path in rows if is_class(name, unit, classifier)]
        else:
            folders = sorted(path for path in self.folder.iterdir() if path.is_dir())
            own = [path for path in folders if is_class(path.name, unit, classifier)]
            files = [path for folder in own for path in find_images(folder)]
        if not files:
            how = f"rows of {self.index}" if self.index else "folder named by index, wnid or label"
            raise ValueError(f"{self.folder} has no images of {unit.unit.label} ({how})")
        return files

    def _indexed(self, path: Path) -> Iterator[tuple[str, Path]]:
        if not path.is_file():
            raise ValueError(f"base_images.index: there is no file {path}")
        for number, name, image in read_index(path, self.folder):
            if not image.is_file():
                raise ValueError(f"{path}, line {number}: there is no file {image}")
            yield name, image


def is_class(name: str, unit: StudyUnit, classifier: Classifier) -> bool:
    try:
        return classifier.class_index(name) == unit.unit.index
    except ValueError:
        return False  # a folder of something else


def order_files(
    pool: Pool,
    units: Sequence[StudyUnit],
    how: str,
    networks: dict[str, Classifier],
    rng: np.random.Generator,
    *,
    progress: bool = False,
) -> dict[str, list[Path]]:
    """For each unit, by its key, the files that may stand for it, in the order they are tried.

    A class has its own files, a channel every file of the folder. how: "in_order"; "random";
    "correct", random too; "activation", those with the highest mean activation over the networks
    (each in units of its own standard deviation) first. Raises ValueError where there is none.
    """
    first = next(iter(networks.values()))
    files = {}
    for unit in units:
        own = pool.all_files() if unit.unit.kind == "channel" else pool.files_of(unit, first)
        if how in {"random", "correct"}:
            own = [own[at] for at in rng.permutation(len(own))]
        files[unit.key] = own
    if how == "activation":
        return _most_active_first(pool, units, files, networks, progress)
    return files


def candidates(
    pool: Pool,
    files: Sequence[Path],
    unit: StudyUnit,
    how: str,
    networks: dict[str, Classifier],
) -> Iterator[Photograph]:
    """The photographs of some files in turn, read as they are asked for.

    Too small ones are passed over with a line on stderr; for "correct", those that some network
    gets wrong are passed over too. Raises ImageError for a bad file.
    """
    for path in files:
        try:
            photograph = pool.read(path)
        except TooSmallError as error:
            tqdm.write(f"passed over: {error}", file=sys.stderr)
            continue
        if how != "correct" or _all_right(photograph, unit, networks):
            yield photograph


def _all_right(photograph: Photograph, unit: StudyUnit, networks: dict[str, Classifier]) -> bool:
    return all(is_right(network, unit, photograph.pixels) for network in networks.values())


def is_right(classifier: Classifier, unit: StudyUnit, pixels: Tensor) -> bool:
    """Whether a network's highest logit for an image, uint8 (3, h, w), is the unit's class."""
    with torch.inference_mode():
        logits = classifier(pixels[None].to(classifier.device).float() / 255)[0]
    return int(logits.argmax()) == unit.unit.index


def _most_active_first(
    pool: Pool,
    units: Sequence[StudyUnit],
    files: dict[str, list[Path]],
    networks: dict[str, Classifier],
    progress: bool,
) -> dict[str, list[Path]]:
    """One pass over the folder, whatever the number of units; no pixels are kept."""
    owners: dict[Path, list[StudyUnit]] = {}
    for unit in units:
        for path in files[unit.key]:
            owners.setdefault(path, []).append(unit)
    found: dict[str, list[Path]] = {unit.key: [] for unit in units}
    answers: dict[str, list[list[float]]] = {unit.key: [] for unit in units}
    bar = tqdm(sorted(owners), desc="ranking photographs", unit="image", disable=not progress)
    for path in bar:
        try:
            pixels = pool.read(path).pixels
        except TooSmallError as error:
            tqdm.write(f"passed over: {error}", file=sys.stderr)
            continue
        its_answers = [
            answers_of(classifier, [unit.objective for unit in owners[path]], pixels[None])[:, 0]
            for classifier in networks.values()
        ]
        for unit, by_network in zip(owners[path], torch.stack(its_answers, 1), strict=True):
            found[unit.key].append(path)
            answers[unit.key].append(by_network.tolist())
    return {key: _by_score(found[key], torch.tensor(answers[key])) for key in found}


def _by_score(paths: list[Path], answers: Tensor) -> list[Path]:
    """Files by the sum of their standardised answers (files, networks), highest first."""
    if not paths:
        return []
    spread = answers.std(0, correction=0).clamp(min=1e-12)
    score = ((answers - answers.mean(0)) / spread).sum(1)
    return [paths[int(at)] for at in score.argsort(descending=True, stable=True)]
