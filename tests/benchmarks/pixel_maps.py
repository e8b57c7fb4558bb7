"""Which map from the decorrelated image to [0, 1]: what survives of the magnitude, and the scores.

For each map, some classes are rendered with the same seeds. `brightness` and `colour`: s.d. over
all bins of log(|F| of the pixels / r), 0 where the constraint survives untouched. `gain`: the
factor on the magnitude that fits best. `saturated`: share of values within .02 of 0 or 1. `crops`:
mean logit and softmax over 64 crops of the finished image. `whole`: of the image as it is.
"""

from __future__ import annotations

import click
import torch
from networks import load

from maco import CropAndNoise, Visualization, logit, natural_spectrum, render
from maco.metrics.naturalness import magnitude_survival
from maco.presets import PIXEL_MAPS

COLUMNS = ("brightness", "colour", "gain", "saturated", "crops", "softmax", "whole", "softmax")


def scores(network: object, made: Visualization, index: int) -> list[float]:
    crops = CropAndNoise(count=64, uniform=0)
    views = crops(made.image[None], [torch.Generator().manual_seed(9)], network.input_size_px, 0)
    with torch.no_grad():
        answers, whole = network(views), network(made.image[None])
    return [
        value
        for answer in (answers, whole)
        for value in (float(answer[:, index].mean()), float(answer.softmax(1)[:, index].mean()))
    ]


@click.command(help=__doc__)
@click.option("--model", default="squeezenet1_1", show_default=True)
@click.option("--steps", default=96, show_default=True)
@click.option("--size", "size_px", default=384, show_default=True)
@click.option("--classes", default="84,410,934", show_default=True)
@click.option("--schedule", default="cosine", show_default=True)
def main(model: str, steps: int, size_px: int, classes: str, schedule: str) -> None:
    """The command line."""
    network = load(model)
    indices = [int(word) for word in classes.split(",")]
    print(f"{model}, {size_px} px, {steps} steps, {schedule}, means over classes {classes}")
    print(f"{'map':14s}" + "".join(f"{name:>12s}" for name in COLUMNS))
    for name in PIXEL_MAPS:
        made = render(
            network,
            [logit(index) for index in indices],
            to_pixels=name,
            steps=steps,
            size_px=size_px,
            schedule=schedule,
            progress=False,
        )
        rows = []
        for one, index in zip(made, indices, strict=True):
            saturated = float(((one.image < 0.02) | (one.image > 0.98)).float().mean())
            found = magnitude_survival(one.image, natural_spectrum())
            survival = (found.brightness, found.colour, found.gain)
            rows.append([*survival, saturated, *scores(network, one, index)])
        means = torch.tensor(rows).mean(0).tolist()
        print(f"{name:14s}" + "".join(f"{value:12.3f}" for value in means), flush=True)


if __name__ == "__main__":
    main()
