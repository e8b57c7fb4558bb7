"""The real classifiers and photographs beside the repository, for benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

from maco import Classifier

SHARED = Path(__file__).parents[3] / "shared" / "data"
REAL = ("squeezenet1_1", "mobilenetv2_100", "vit_tiny_patch16_224")


def load(name: str) -> Classifier:
    """One of `REAL`; exits if its file is absent."""
    weights = SHARED / "weights" / f"{name}.fp16.safetensors"
    if not weights.is_file():
        sys.exit(f"this benchmark needs {weights}")
    if name == "squeezenet1_1":
        return Classifier.load(f"torchvision/{name}", weights=weights)
    if name == "mobilenetv2_100":
        half = (0.5, 0.5, 0.5)
        options = {"pad_type": "same"}
        return Classifier.load(name, weights=weights, options=options, mean=half, std=half)
    return Classifier.load(name, weights=weights)
