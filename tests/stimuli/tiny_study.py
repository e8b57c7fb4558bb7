"""A small study of the demo world, and what is in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

TINY = """
name = "tiny"
title = "Which?"
seed = 5
lists = 4

[units]
kind = "class"
classes = [0, 3]
practice = [8]

[base_images]
source = "demo"
per_unit = 2
choose = "random"

[[networks]]
name = "ResNet"
model = "demo/resnet"

[[networks]]
name = "Other"
model = "demo/resnet"

[references]
per_trial = 2
size_px = 48

[presets.small]
base = "paper"
size_px = 64
steps = 2
crops = 2

[conditions.olah]
preset = "lucid"
size_px = 48
steps = 2

[conditions.maco]
preset = "small"

[conditions.maco_masked]
preset = "small"
transparency = true

[conditions.control]

[occluder]
stride_px = 16

[queries]
margin = 0.05
size_px = 112

[practice]
trials = 2
[catch]
trials = 1
"""


def write(folder: Path, *replacements: tuple[str, str]) -> Path:
    text = TINY
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def files(folder: Path) -> dict[str, str]:
    """Every file of a folder with its digest and date."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        + f" {path.stat().st_mtime}"
        for path in folder.rglob("*")
        if path.is_file()
    }
