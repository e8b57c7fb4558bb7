"""The 4,624-position occluder sweep of one 224 px image beside the bare forward pass in batches."""

from __future__ import annotations

import statistics
import time

import click
import torch
from networks import SHARED, load

from maco import logit
from maco.images import read_image, to_bytes
from stimuli.occlusion import sweep


@click.command(help=__doc__)
@click.option("--model", default="squeezenet1_1", show_default=True)
@click.option("--stride", default=2, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(model: str, stride: int, repeats: int) -> None:
    """The command line."""
    network = load(model)
    [path, *_] = sorted((SHARED / "imagenet_sample").glob("084_*.jpg"))
    image = to_bytes(read_image(path))[:, 16:240, 16:240]
    places = len(range(0, 224 - 90 + 1, stride)) ** 2
    batch = network.batch
    inputs = network.prepare(torch.rand(batch, 3, 224, 224))
    ratios, swept, bare = [], [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        with torch.inference_mode():
            for first in range(0, places, batch):
                network.network(inputs[: min(batch, places - first)])
        bare.append(time.perf_counter() - start)
        start = time.perf_counter()
        sweep(network, logit(84), image, size_px=90, stride_px=stride)
        swept.append(time.perf_counter() - start)
        ratios.append(swept[-1] / bare[-1])
    print(f"{model}, {places} places, {torch.get_num_threads()} threads")
    print(f"  forward passes alone {statistics.median(bare[1:]):6.1f} s")
    print(f"  sweep                {statistics.median(swept[1:]):6.1f} s")
    print(f"  ratio                {statistics.median(ratios[1:]):6.3f}")


if __name__ == "__main__":
    main()
