"""MACO beside Horama 0.3: steps a second, and what the final images score.

Same network, size, crops and steps, one run, the two in turn. Needs `horama` and `einops` (see the
Makefile) and the files beside the repository. The spectrum is the public file for both.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable

import click
import torch
from networks import SHARED, load
from torch import Tensor
from torch.nn import functional as F

from maco import Classifier, logit, render


def run_horama(network: Classifier, index: int, steps: int, crops: int, size_px: int) -> Tensor:
    """The final image as the network's input, (1, 3, side, side)."""
    import horama

    image, _ = horama.maco(
        lambda views: network.network(views)[:, index].mean(),
        total_steps=steps,
        image_size=size_px,
        model_input_size=network.input_size_px,
        crops_per_iteration=crops,
        device="cpu",
    )
    side = (network.input_size_px, network.input_size_px)
    return F.interpolate(image.detach()[None], side, mode="bilinear", antialias=True)


def run_ours(network: Classifier, index: int, steps: int, crops: int, size_px: int) -> Tensor:
    """The final image as the network's input, (1, 3, side, side)."""
    [made] = render(
        network, logit(index), "paper", steps=steps, crops=crops, size_px=size_px, progress=False
    )
    return network.prepare(made.image[None])


def seconds(run: Callable[..., Tensor], *arguments: object) -> float:
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


@click.command(help=__doc__)
@click.option("--model", default="vit_tiny_patch16_224", show_default=True)
@click.option("--size", "size_px", default=512, show_default=True)
@click.option("--crops", default=8, show_default=True)
@click.option("--timed-steps", default=12, show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--steps", default=256, show_default=True, help="For the scores; 0 leaves them out.")
@click.option("--classes", default="84,355", show_default=True)
def main(
    model: str, size_px: int, crops: int, timed_steps: int, repeats: int, steps: int, classes: str
) -> None:
    """The command line."""
    network = load(model)
    # Horama leaves the network as it gets it, parameters and all.
    trainable = load(model)
    trainable.network.requires_grad_(True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # it reads its spectrum from the working directory
        shutil.copy(SHARED / "spectrum" / "imagenet_decorrelated.npy", "spectrum_decorrelated.npy")
        ratios, ours, theirs = [], [], []
        for _ in range(repeats + 1):
            theirs.append(seconds(run_horama, trainable, 84, timed_steps, crops, size_px))
            ours.append(seconds(run_ours, network, 84, timed_steps, crops, size_px))
            ratios.append(theirs[-1] / ours[-1])
        ours, theirs, ratios = ours[1:], theirs[1:], ratios[1:]  # the first round warms up
        print(f"{model}, {size_px} px, {crops} crops, {torch.get_num_threads()} threads")
        print(f"  Horama 0.3   {timed_steps / statistics.median(theirs):6.2f} steps/s")
        print(f"  this package {timed_steps / statistics.median(ours):6.2f} steps/s")
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"  ratio        {statistics.median(ratios):6.2f} ({spread})")
        for index in (int(word) for word in classes.split(",") if steps):
            for name, run in (("Horama 0.3", run_horama), ("this package", run_ours)):
                chosen = trainable if run is run_horama else network
                image = run(chosen, index, steps, crops, size_px)
                with torch.no_grad():
                    answer = network.network(image)[0]
                print(
                    f"  class {index}, {steps} steps, {name:12s} logit {answer[index]:6.2f}"
                    f"  softmax {answer.softmax(0)[index]:.3f}"
                )


if __name__ == "__main__":
    main()
