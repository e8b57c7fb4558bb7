"""python -m maco.invert: what the layers of a network keep of a photograph (Figure 6a).

Inverts the photograph's central square at each layer and lays them out in strip.png, early to late.
Layers that are in the output folder with the same configuration are left alone, so that a stopped
command can be run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from torch import Tensor

from maco.classifiers import Classifier
from maco.commandline import (
    ListCommand,
    device_option,
    given,
    network_options,
    one_line_errors,
)
from maco.files import write_atomically
from maco.invert import (
    in_order,
    inversion_preset,
    invert,
    provenance,
    similarity,
    spread_layers,
)
from maco.invert.strip import draw_strip
from maco.networks import load_network
from maco.objectives import logit
from maco.photographs import read_square
from maco.presets import PRESETS, Preset
from maco.render import configuration
from maco.spectrum import natural_spectrum
from maco.visualization import Visualization, read_config

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(cls=ListCommand, help=__doc__)
@network_options
@click.option(
    "--layer",
    "layers",
    multiple=True,
    help="Module names; several may follow. Without it, six layers early to late.",
)
@click.option("--image", "photograph", required=True, type=_FILE, help="The photograph.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--preset",
    default="whole",
    show_default=True,
    type=click.Choice(["whole", *PRESETS]),
    help="whole: all of the picture in every step, at the network's input size.",
)
@click.option("--steps", type=int, help="Instead of the preset's.")
@click.option("--size", "size_px", type=int, help="Side in pixels, instead of the preset's.")
@click.option("--seed", default=0, show_default=True)
@device_option
def main(out: Path, **options: Any) -> None:
    """The command line."""
    with one_line_errors(out):
        write_inversions(out=out, **options)


def write_inversions(
    model: str,
    networks: Path | None,
    weights: Path | None,
    layers: Sequence[str],
    photograph: Path,
    out: Path,
    preset: str,
    steps: int | None,
    size_px: int | None,
    seed: int,
    device: str,
) -> None:
    """Inverts each layer that is not there yet, and writes the strip of all."""
    classifier = load_network(model, networks=networks, weights=weights, device=device)
    settings = inversion_preset(classifier, preset, **given(steps=steps, size_px=size_px))
    side = classifier.input_size_px
    square = read_square(photograph, side, smallest_px=side)
    names = in_order(classifier, layers or spread_layers(classifier))
    done = {name: _is_done(out, classifier, square, name, settings, seed) for name in names}
    made, captions = [], []
    for name in names:
        if not done[name]:
            click.echo(name)
            invert(classifier, square, name, settings, seed=seed).save(_stem(out, name))
        made.append(Visualization.load(_stem(out, name)))
        cosine = similarity(classifier, made[-1].image, square, name)
        captions.append((name, f"cosine {cosine:.2f}"))
    write_atomically(out / "strip.png", draw_strip(square, made, captions))
    for name, note in captions:
        click.echo(f"{name:24s} {note}")
    there = sum(done.values())
    click.echo(f"{len(names) - there} inverted, {there} were there: {out / 'strip.png'}")


def _stem(out: Path, layer: str) -> Path:
    return out / layer.strip("<>")


def _is_done(
    out: Path, classifier: Classifier, square: Tensor, layer: str, preset: Preset, seed: int
) -> bool:
    try:
        found = read_config(_stem(out, layer))
    except ValueError:
        return False
    # Of the objective only its layer and photograph count: see `provenance`.
    wanted = configuration(classifier, logit(0), preset, natural_spectrum(), seed)
    wanted |= provenance(square, layer)
    if any(found.get(key) != wanted[key] for key in wanted if key != "objective"):
        raise ValueError(
            f"{_stem(out, layer)}.png was made of another photograph or by another configuration:"
            " choose another --out"
        )
    return True


if __name__ == "__main__":
    main()
