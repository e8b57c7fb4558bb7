"""python -m maco.render: visualizations of a network's classes or channels, as PNG and safetensors.

What is already in the output folder with the same configuration is left alone, so that a stopped
command can be run again.
"""

from __future__ import annotations

from pathlib import Path

import click

from maco.classifiers import Classifier
from maco.objectives import Objective, channel, logit
from maco.presets import PRESETS, find_preset
from maco.render import configuration, render
from maco.spectrum import Spectrum, natural_spectrum
from maco.visualization import Visualization

GROUP = 16  # rendered in one pass, and saved


@click.command(help=__doc__)
@click.option("--model", required=True, help="timm name, or torchvision/NAME.")
@click.option("--classes", multiple=True, help="Index, label or wnid; several may follow.")
@click.option("--layer", help="With --channels: the layer's module name.")
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
@click.option(
    "--seed", default=0, show_default=True, help="Of the first copy; the next has one more."
)
@click.option("--steps", type=int, help="Instead of the preset's.")
@click.option("--size", "size_px", type=int, help="Side in pixels, instead of the preset's.")
@click.option("--weights", type=click.Path(path_type=Path), help="File with the network's weights.")
@click.option(
    "--spectrum", "spectrum_file", type=click.Path(path_type=Path), help="Of maco.spectrum."
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, mps or auto.")
@click.argument("more", nargs=-1)
def main(
    model: str,
    classes: tuple[str, ...],
    layer: str | None,
    channels: tuple[int, ...],
    out: Path,
    preset: str,
    copies: int,
    seed: int,
    steps: int | None,
    size_px: int | None,
    weights: Path | None,
    spectrum_file: Path | None,
    device: str,
    more: tuple[str, ...],
) -> None:
    """The command line."""
    try:
        given = {"steps": steps, "size_px": size_px}
        settings = find_preset(preset, **{k: v for k, v in given.items() if v is not None})
        classifier = Classifier.load(model, weights=weights, device=device)
        spectrum = Spectrum.load(spectrum_file) if spectrum_file else natural_spectrum()
        wanted = _objectives(classifier, classes, layer, channels, more)
        todo = []
        for name, objective in wanted.items():
            for copy in range(seed, seed + copies):
                path = out / (name if copies == 1 else f"{name}-{copy}")
                config = configuration(classifier, objective, settings, spectrum, copy)
                if not _is_done(path, config):
                    todo.append((path, objective, copy))
        for start in range(0, len(todo), GROUP):
            part = todo[start : start + GROUP]
            made = render(
                classifier,
                [objective for _, objective, _ in part],
                settings,
                seeds=[copy for _, _, copy in part],
                spectrum=spectrum,
            )
            for (path, _, _), visualization in zip(part, made, strict=True):
                visualization.save(path)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror or error}") from error
    click.echo(f"{len(todo)} rendered, {len(wanted) * copies - len(todo)} were there: {out}")


def _objectives(
    classifier: Classifier,
    classes: tuple[str, ...],
    layer: str | None,
    channels: tuple[int, ...],
    more: tuple[str, ...],
) -> dict[str, Objective]:
    """File name -> objective. What stands alone on the command line continues the last list."""
    if bool(layer) != bool(channels):
        raise ValueError("--layer and --channels go together")
    if classes and channels:
        raise ValueError("give --classes or --channels, not both")
    if layer:
        if not all(word.isdecimal() for word in more):
            raise ValueError(f"--channels are numbers: {' '.join(more)}")
        indices = [*channels, *(int(word) for word in more)]
        return {f"{layer}-{index}": channel(layer, index) for index in indices}
    if not classes:
        raise ValueError("nothing to render: give --classes, or --layer and --channels")
    indices = [classifier.class_index(name) for name in (*classes, *more)]
    labels = classifier.class_labels
    return {f"{labels[i].split(',')[0].replace(' ', '_')}-{i}": logit(i) for i in indices}


def _is_done(path: Path, config: dict[str, object]) -> bool:
    try:
        found = Visualization.load(path).config
    except ValueError:
        return False
    if found != config:
        raise ValueError(f"{path}.png was made by another configuration: choose another --out")
    return True


if __name__ == "__main__":
    main()
