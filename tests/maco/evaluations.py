"""A small world to evaluate in, and the command."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from maco.evaluate.__main__ import main as command
from maco.images import encode_png

CLASSES = ("hen", "jay", "owl")
SETTINGS = """
[methods.maco]
steps = 2
size_px = 32
crops = 2
precision = "float32"
[methods.cbr]
steps = 2
size_px = 32
precision = "float32"
[methods.maco_wide]
base = "maco"
crop_side = 0.6
"""


def make_world(folder: Path) -> Path:
    """Two small networks of three classes, and four photographs of each class."""
    text = SETTINGS
    for name in ("test_resnet", "test_vit"):
        network = timm.create_model(name, num_classes=3)
        save_file(network.state_dict(), folder / f"{name}.safetensors")
        text += (
            f"[[networks]]\nname = '{name}'\nmodel = '{name}'\nweights = '{name}.safetensors'\n"
            f"options = {{ num_classes = 3 }}\nlabels = {list(CLASSES)}\n"
        )
    (folder / "file.toml").write_text(text)
    generator = torch.Generator().manual_seed(0)
    for label in CLASSES:
        (folder / "photographs" / label).mkdir(parents=True)
        for number in range(4):
            image = torch.rand(3, 40, 48, generator=generator)
            (folder / "photographs" / label / f"{number}.png").write_bytes(encode_png(image))
    return folder


def evaluate(world, out, *more, models=("test_resnet", "test_vit"), classes=("hen", "owl")):
    words = ["--models", *models, "--networks", world / "file.toml", "--settings"]
    words += [world / "file.toml", "--classes", *classes, "--real-images", world / "photographs"]
    words += ["--real-size", 40, "--neighbours", 1, 3, "--out", out, "--device", "cpu", *more]
    return CliRunner().invoke(command, [str(word) for word in words])
