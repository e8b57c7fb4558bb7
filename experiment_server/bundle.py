"""The study bundle in memory: what a participant may see of it, and what only the server knows."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from stimuli.schema import IMAGE_FOLDER, STUDY_FILE, Study, Trial, read_study, verify_images


class Bundle:
    """A verified study bundle. Raises ValueError, one line, if it is incomplete or was changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _require_built(folder)
        self.study: Study = read_study(folder)
        verify_images(folder, self.study)
        self.digest = hashlib.sha256((folder / STUDY_FILE).read_bytes()).hexdigest()
        self.trials: dict[str, Trial] = {trial.id: trial for trial in self.study.trials}
        self.images_of = lru_cache(maxsize=256)(self._images_of)
        self.sequence = lru_cache(maxsize=1024)(self._sequence)

    def practice(self, list_index: int) -> list[str]:
        """Ids of the practice trials of a list, in order."""
        return [
            name for name in self.study.lists[list_index] if self.trials[name].kind == "practice"
        ]

    def _sequence(self, list_index: int, practice_rounds: int) -> tuple[str, ...]:
        """Ids of all trials a participant is shown: some rounds of practice, then the others."""
        practice = self.practice(list_index)
        others = [
            name for name in self.study.lists[list_index] if self.trials[name].kind != "practice"
        ]
        return (*practice * practice_rounds, *others)

    def shown(self, trial_id: str, trial_index: int, condition: str) -> dict[str, Any]:
        """What a browser is told of a trial: image names, and nothing that tells the answer."""
        trial = self.trials[trial_id]
        return {
            "trial_index": trial_index,
            "trial_id": trial.id,
            "references": list(trial.references[condition]),
            "base": trial.base_image.image if self.study.show_base_image else None,
            "queries": [query.image for query in trial.queries],
        }

    def _images_of(self, condition: str, list_index: int) -> frozenset[str]:
        names = set()
        for index, trial_id in enumerate(self.study.lists[list_index]):
            shown = self.shown(trial_id, index, condition)
            names |= {*shown["references"], *shown["queries"]}
            names |= {shown["base"]} - {None}
        return frozenset(names)

    def image_path(self, name: str) -> Path:
        """Where an image of the study is; KeyError for any other name."""
        if name not in self.study.images:
            raise KeyError(name)
        return self.folder / IMAGE_FOLDER / name


def _require_built(folder: Path) -> None:
    if (folder / STUDY_FILE).is_file():
        return
    if folder.suffix == ".partial" or folder.with_name(f"{folder.name}.partial").is_dir():
        raise ValueError(f"STUDY = {folder}: its build did not end; run the same build again")
    raise ValueError(
        f"STUDY = {folder}: there is no {STUDY_FILE} in it, so it is no study bundle; set STUDY to"
        " what python -m stimuli.build wrote"
    )
