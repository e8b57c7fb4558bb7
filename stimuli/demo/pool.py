"""The photographs of the demo world, each drawn when a build reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from maco import Classifier
from stimuli.demo.world import CLASSES, photograph_file, photograph_rng, scene
from stimuli.photographs import Photograph, Pool, is_class
from stimuli.units import StudyUnit


class DrawnPool(Pool):
    """The files of `write_photographs` as a pool, without the files."""

    def __init__(self, per_class: int, seed: int, size_px: int) -> None:
        super().__init__(Path("the demo world"), None, size_px)
        self.seed = seed
        self._drawn = {
            self.folder / photograph_file(label, number): (label, number)
            for label in range(len(CLASSES))
            for number in range(per_class)
        }

    def read(self, path: Path) -> Photograph:
        """A photograph, drawn at the study's size."""
        label, number = self._drawn[path]
        drawn = scene(photograph_rng(self.seed, label, number), label, self.size_px).image
        pixels = torch.from_numpy(np.ascontiguousarray(drawn.transpose(2, 0, 1)))
        return Photograph(path.relative_to(self.folder).as_posix(), pixels)

    def all_files(self) -> list[Path]:
        """Every photograph, sorted."""
        return sorted(self._drawn)

    def files_of(self, unit: StudyUnit, classifier: Classifier) -> list[Path]:
        """The photographs of a class, sorted. Raises ValueError if the world has no such class."""
        files = [path for path in self.all_files() if is_class(path.parent.name, unit, classifier)]
        if not files:
            raise ValueError(f"{self.folder} has no {unit.unit.label}: {', '.join(CLASSES)}")
        return files
