"""python -m maco.render: visualizations of a network's classes, channels or layers, as PNG files.

What is already in the output folder with the same configuration is left alone, so that a stopped
command can be run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from maco.classifiers import Classifier
from maco.commandline import (
    ListCommand,
    device_option,
    given,
    memory_option,
    network_options,
    one_line_errors,
)
from maco.devices import fastest_group
from maco.files import class_file_name
from maco.networks import load_network
from maco.objectives import Objective, channel, logit
from maco.objectives import layer as whole_layer
from maco.presets import PRESETS, Preset, find_preset
from maco.render import Diversity, configuration, render
from maco.render.diversity import Siblings
from maco.spectrum import Spectrum, natural_spectrum
from maco.visualization import read_config


@click.command(cls=ListCommand, help=__doc__)
@network_options
@click.option("--classes", multiple=True, help="Index, label or wnid; several may follow.")
@click.option("--layer", help="Module name: of --channels, or of all it answers (deep dream).")
@click.option(
    "--channels", multiple=True, type=int, help="Channels of the layer; several may follow."
)
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--preset", default="paper", show_default=True, help=", ".join(PRESETS))
@click.option(
    "--copies",
    default=1,
    type=click.IntRange(min=1),
    show_default=True,
    help="Visualizations of each unit.",
)
@click.option("--diversity", metavar="LAYER", help="Copies of a unit differ in this layer.")
@click.option(
    "--seed", default=0, show_default=True, help="Of the first copy; the next has one more."
)
@click.option("--steps", type=int, help="Instead of the preset's.")
@click.option("--size", "size_px", type=int, help="Side in pixels, instead of the preset's.")
@click.option(
    "--spectrum", "spectrum_file", type=click.Path(path_type=Path), help="Of maco.spectrum."
)
@device_option
@memory_option
def main(
    model: str,
    classes: tuple[str, ...],
    layer: str | None,
    channels: tuple[int, ...],
    out: Path,
    preset: str,
    copies: int,
    diversity: str | None,
    seed: int,
    steps: int | None,
    size_px: int | None,
    weights: Path | None,
    networks: Path | None,
    spectrum_file: Path | None,
    device: str,
    memory_gib: float | None,
) -> None:
    """The command line."""
    with one_line_errors(out):
        settings = find_preset(preset, **given(steps=steps, size_px=size_px))
        classifier = load_network(model, networks=networks, weights=weights, device=device)
        spectrum = Spectrum.load(spectrum_file) if spectrum_file else natural_spectrum()
        wanted = _objectives(classifier, classes, layer, channels)
        seeds = range(seed, seed + copies)
        differing = Diversity(diversity) if diversity is not None else None
        groups = [
            _missing(group, classifier, settings, spectrum, differing)
            for group in _groups(wanted, seeds, out, differing, fastest_group(classifier.device))
        ]
        for group in filter(None, groups):
            visualizations = render(
                classifier,
                [objective for _, objective, _ in group],
                settings,
                seeds=[copy for _, _, copy in group],
                spectrum=spectrum,
                diversity=differing,
                memory_gib=memory_gib,
            )
            for (path, _, _), visualization in zip(group, visualizations, strict=True):
                visualization.save(path)
    made = sum(len(group) for group in groups)
    click.echo(f"{made} rendered, {len(wanted) * copies - made} were there: {out}")


Copy = tuple[Path, Objective, int]  # where it is saved, what it pleases, its seed


def _groups(
    wanted: dict[str, Objective],
    seeds: range,
    out: Path,
    diversity: Diversity | None,
    fastest: int,
) -> Iterator[list[Copy]]:
    """What is rendered in one pass: as many as are fast, or all that are to differ."""
    copies = [
        (out / (name if len(seeds) == 1 else f"{name}-{seed}"), objective, seed)
        for name, objective in wanted.items()
        for seed in seeds
    ]
    size = len(seeds) if diversity is not None else fastest
    for start in range(0, len(copies), size):
        yield copies[start : start + size]


def _missing(
    group: list[Copy],
    classifier: Classifier,
    preset: Preset,
    spectrum: Spectrum,
    diversity: Diversity | None,
) -> list[Copy]:
    """The copies that are not there; all of them if they are to differ and one is not there.

    Raises ValueError for a file of another configuration.
    """
    siblings = Siblings.among([objective for _, objective, _ in group], diversity)
    seeds = [seed for _, _, seed in group]
    missing = []
    for unit, (path, objective, seed) in enumerate(group):
        wanted = configuration(classifier, objective, preset, spectrum, seed)
        if siblings is not None:
            wanted |= siblings.configuration(unit, seeds)
        if not _is_done(path, wanted):
            missing.append(group[unit])
    return group if siblings is not None and missing else missing


def _objectives(
    classifier: Classifier, classes: tuple[str, ...], layer: str | None, channels: tuple[int, ...]
) -> dict[str, Objective]:
    """File name -> objective."""
    if bool(classes) == bool(layer):
        raise ValueError("give --classes, or --layer with or without --channels")
    if channels and not layer:
        raise ValueError("--channels are those of a --layer: give it too")
    if layer:
        named = {f"{layer}-{index}": channel(layer, index) for index in channels}
        return named or {layer: whole_layer(layer)}
    indices = [classifier.class_index(name) for name in classes]
    labels = classifier.class_labels
    return {class_file_name(labels[i], i): logit(i) for i in indices}


def _is_done(path: Path, config: dict[str, object]) -> bool:
    try:
        found = read_config(path)
    except ValueError:
        return False
    if found != config:
        raise ValueError(f"{path}.png was made by another configuration: choose another --out")
    return True


if __name__ == "__main__":
    main()
