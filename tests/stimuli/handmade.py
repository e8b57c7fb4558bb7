"""Bundles whose trials a test makes itself, and so knows the right answers of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from maco.images import encode_png
from stimuli.schema import Study, dump_study


class HandmadeBundle:
    """A bundle in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: dict[str, str] = {}
        (folder / "images").mkdir(parents=True)

    def store(self, image: torch.Tensor) -> str:
        """Keeps an image (3, h, w) of 0 to 255; its name."""
        content = encode_png(image / 255)
        digest = hashlib.sha256(content).hexdigest()
        name = f"{digest[:20]}.png"
        (self.folder / "images" / name).write_bytes(content)
        self.images[name] = digest
        return name

    def finish(
        self,
        networks: Sequence[dict[str, Any]],
        conditions: Sequence[str],
        trials: Sequence[dict[str, Any]],
    ) -> Path:
        """Writes the study, with one list of all trials; the folder."""
        study = Study.model_validate(
            {
                "schema_version": 1,
                "name": "handmade",
                "title": "Which?",
                "config": {
                    "networks": [{"name": n["name"], "model": n["model"]} for n in networks]
                },
                "software": {},
                "networks": networks,
                "conditions": list(conditions),
                "images": self.images,
                "trials": trials,
                "lists": [[trial["id"] for trial in trials]],
            }
        )
        (self.folder / "study.json").write_text(dump_study(study), encoding="utf-8")
        return self.folder
