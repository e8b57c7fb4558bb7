"""The occluder sweep of one 224 px photograph beside the bare network on the same batches."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from networks import SHARED, load
from torch import Tensor

from maco import Classifier, logit
from maco.images import read_image, to_bytes
from stimuli.occlusion import sweep

NAMES = ("squeezenet1_1", "mobilenetv2_100", "vit_tiny_patch16_224")


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, default=NAMES, show_default=True)
@click.option("--stride", "stride_px", default=6, show_default=True, help="In pixels.")
@click.option("--repeats", default=9, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(names: tuple[str, ...], stride_px: int, repeats: int, out: Path | None) -> None:
    """The command line."""
    results = []
    for name in names:
        results.append(compare(name, stride_px, repeats))
        click.echo(
            "{model}, {places} places, {threads} threads: forward passes {forward_s:.2f} s,"
            " sweep {sweep_s:.2f} s, ratio {ratio:.3f} ({ratio_range[0]:.3f} to"
            " {ratio_range[1]:.3f}, {repeats} repeats)".format(**results[-1])
        )
    if out is not None:
        out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def compare(name: str, stride_px: int, repeats: int) -> dict[str, Any]:
    """Median seconds of both, and median and range of their ratio; the two take turns."""
    classifier = load(name)
    [path, *_] = sorted((SHARED / "imagenet_sample").glob("084_*.jpg"))
    image = to_bytes(read_image(path))[:, 16:240, 16:240]

    def swept() -> None:
        sweep(classifier, logit(84), image, size_px=90, stride_px=stride_px)

    batches = record_inputs(classifier, swept)

    def forward() -> None:
        with torch.inference_mode():
            for batch in batches:
                classifier.network(batch)

    times = [(seconds(forward), seconds(swept)) for _ in range(repeats)]
    ratios = [sweep_s / forward_s for forward_s, sweep_s in times]
    return {
        "model": name,
        "places": sum(map(len, batches)) - 1,  # the last is the unoccluded photograph
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "forward_s": statistics.median(forward_s for forward_s, _ in times),
        "sweep_s": statistics.median(sweep_s for _, sweep_s in times),
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }


def record_inputs(classifier: Classifier, run: Callable[[], None]) -> list[Tensor]:
    """Copies of the batches that the network is fed in a run."""
    batches: list[Tensor] = []
    hook = classifier.network.register_forward_pre_hook(
        lambda network, inputs: batches.append(inputs[0].clone())
    )
    run()
    hook.remove()
    return batches


def seconds(run: Callable[[], None]) -> float:
    """How long a run takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
