"""What an evaluation of many classes costs: time, disk, files, shards; from a few measured steps.

    python tests/benchmarks/planning.py --device cuda --classes 1000 --shards 75

Networks have random weights: they take the same time as trained ones. Run it on the card that will
do the work; on a CPU the plan is one for CPUs.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from contestants import network
from torch.utils.flop_counter import FlopCounterMode

from maco import Classifier, Preset, Visualization, find_preset, logit, render
from maco.devices import fastest_group
from maco.evaluate.methods import METHODS

NETWORKS = ("vgg16", "resnet50", "vit_base_patch16_224", "convnext_tiny", "efficientnet_b0")

SUSTAINED_TFLOPS = 50  # of bfloat16, a fifth of what the cards of 2023 promise


@dataclass(frozen=True)
class Cost:
    """Of one picture: network and method, seconds, operations, bytes and number of its files."""

    network: str
    method: str
    seconds: float
    tflop: float
    size_bytes: int
    files: int


def measure(classifier: Classifier, method: str, group: int, steps: int, folder: Path) -> Cost:
    """The cost of a picture in a group of them, from runs that differ in `steps` steps.

    The fastest of three runs each: other work of the machine only adds.
    """
    preset = METHODS[method].preset
    run(classifier, preset, group, 1)  # first passes choose and build kernels
    few_s = min(run(classifier, preset, group, 2)[0] for _ in range(3))
    many = [run(classifier, preset, group, 2 + steps) for _ in range(3)]
    each_s = (min(seconds for seconds, _ in many) - few_s) / steps
    save_s, size_bytes, files = write(many[-1][1], folder)
    whole_s = (few_s + (preset.steps - 2) * each_s) / group + save_s
    tflop = flop_of_view(classifier) * preset.steps * preset.crops / 1e12
    return Cost(classifier.name, method, whole_s, tflop, size_bytes, files)


def flop_of_view(classifier: Classifier) -> int:
    """Floating-point operations of one view: forward pass, and gradient by the image."""
    side = classifier.input_size_px
    view = torch.full((1, 3, side, side), 0.5, device=classifier.device, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        classifier.network(view).sum().backward()
    return counter.get_total_flops()


def run(
    classifier: Classifier, preset: Preset, group: int, steps: int
) -> tuple[float, Visualization]:
    """Seconds of some steps, and one of the pictures."""
    begun = time.perf_counter()
    objectives = [logit(index) for index in range(group)]
    short = find_preset(preset, steps=steps)
    pictures = render(classifier, objectives, short, seeds=range(group), progress=lambda _: None)
    if classifier.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun, pictures[0]


def write(picture: Visualization, folder: Path) -> tuple[float, int, int]:
    """Seconds to save a picture, bytes and number of its files."""
    begun = time.perf_counter()
    picture.save(folder / "one")
    seconds = time.perf_counter() - begun
    files = list(folder.glob("one*"))
    return seconds, sum(file.stat().st_size for file in files), len(files)


def told(costs: Sequence[Cost], classes: int, shards: int) -> list[str]:
    """The plan as Markdown."""
    lines = ["| network | method | s a picture | TFLOP a picture | hours | GB | files |"]
    lines.append("|---|---|---|---|---|---|---|")
    for cost in costs:
        hours, size_gb = cost.seconds * classes / 3600, cost.size_bytes * classes / 1e9
        lines.append(
            f"| {cost.network} | {cost.method} | {cost.seconds:.2f} | {cost.tflop:.1f} |"
            f" {hours:.2f} | {size_gb:.1f} | {cost.files * classes} |"
        )
    hours = sum(cost.seconds for cost in costs) * classes / 3600
    pflop = sum(cost.tflop for cost in costs) * classes / 1e3
    size_gb = sum(cost.size_bytes for cost in costs) * classes / 1e9
    files = sum(cost.files for cost in costs) * classes
    largest = max(cost.files for cost in costs) * classes
    return [
        *lines,
        f"| all | | | | {hours:.1f} | {size_gb:.0f} | {files} |",
        "",
        f"{pflop:.0f} PFLOP: {pflop / 3.6 / SUSTAINED_TFLOPS:.1f} hours of a card that sustains"
        f" {SUSTAINED_TFLOPS} TFLOP/s.",
        f"{classes * len(costs)} pictures in {shards} shards: {math.ceil(hours * 60 / shards)}"
        f" minutes each, and no folder with more than {largest} files.",
    ]


@click.command(help=__doc__)
@click.option("--networks", multiple=True, default=NETWORKS, show_default=True)
@click.option("--methods", multiple=True, default=("maco", "olah", "cbr"), show_default=True)
@click.option("--classes", default=1000, show_default=True)
@click.option("--shards", default=75, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--group", type=int, help="Pictures in one pass [as an evaluation has them].")
@click.option("--steps", default=4, show_default=True, help="That are timed.")
@click.option("--json", "path", type=click.Path(path_type=Path, dir_okay=False))
def main(
    networks: Sequence[str],
    methods: Sequence[str],
    classes: int,
    shards: int,
    device: str,
    group: int | None,
    steps: int,
    path: Path | None,
) -> None:
    """The command line."""
    group = group or (2 if device == "cpu" else fastest_group(torch.device(device)))
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        for name in networks:
            classifier = network(name, device)
            costs += [measure(classifier, one, group, steps, Path(folder)) for one in methods]
    print("\n".join(told(costs, classes, shards)))
    if path:
        path.write_text(json.dumps([vars(cost) for cost in costs], indent=1) + "\n")


if __name__ == "__main__":
    main()
