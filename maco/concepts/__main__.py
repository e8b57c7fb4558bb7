"""python -m maco.concepts: what a network sees in a class (CRAFT), as MACO pictures (Figure 6b).

Finds the concepts of each class in photographs of it, measures how much the class's logit hangs on
each, and renders each one's direction. A class that is in the output folder with the same
configuration is left alone, so that a stopped command can be run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from maco.classifiers import Classifier
from maco.commandline import (
    ListCommand,
    device_option,
    given,
    network_options,
    one_line_errors,
)
from maco.concepts import ClassConcepts, Search, find_concepts
from maco.concepts.folder import RECORD, read_record, write_concepts
from maco.files import class_file_name, file_name
from maco.networks import load_network
from maco.objectives import direction
from maco.photographs import find_photographs
from maco.presets import PRESETS, Preset, find_preset
from maco.render import render
from maco.visualization import Visualization

_FILE = click.Path(path_type=Path, dir_okay=False)
_DEFAULT = Search()


@click.command(cls=ListCommand, help=__doc__)
@network_options
@click.option(
    "--images",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with a folder of photographs a class, or with an index.csv.",
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    required=True,
    help="Index, label or wnid; several may follow.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--layer", help="Module name; without it the last stage that has places.")
@click.option("--concepts", default=_DEFAULT.concepts, show_default=True)
@click.option("--patches", default=_DEFAULT.patches, show_default=True, help="Of each class.")
@click.option(
    "--photographs",
    default=_DEFAULT.photographs,
    show_default=True,
    help="Of each class, at most; drawn at random.",
)
@click.option(
    "--rows",
    default=_DEFAULT.rows,
    show_default=True,
    help="Of the Sobol sequence of masks: a power of 2.",
)
@click.option("--preset", default="paper", show_default=True, type=click.Choice(list(PRESETS)))
@click.option("--steps", type=int, help="Instead of the preset's.")
@click.option("--size", "size_px", type=int, help="Side in pixels, instead of the preset's.")
@click.option("--no-render", "no_render", is_flag=True, help="No pictures of the concepts.")
@click.option("--seed", default=0, show_default=True)
@device_option
def main(out: Path, **options: Any) -> None:
    """The command line."""
    with one_line_errors(out):
        done, there = make_concepts(out=out, **options)
    click.echo(f"{done} classes done, {there} were there: {out}")


def make_concepts(
    model: str,
    networks: Path | None,
    weights: Path | None,
    images: Path,
    classes: Sequence[str],
    out: Path,
    layer: str | None,
    concepts: int,
    patches: int,
    photographs: int,
    rows: int,
    preset: str,
    steps: int | None,
    size_px: int | None,
    no_render: bool,
    seed: int,
    device: str,
) -> tuple[int, int]:
    """Writes OUT/<network>/<slug>-<class index>/; returns how many were made and were there."""
    settings = find_preset(preset, **given(steps=steps, size_px=size_px))
    search = Search(
        concepts=concepts, patches=patches, photographs=photographs, rows=rows, seed=seed
    )
    classifier = load_network(model, networks=networks, weights=weights, device=device)
    indices = [classifier.class_index(name) for name in classes]
    found = find_photographs(images, classifier, indices)
    todo = {}
    for index, paths in found.items():
        configuration = _configuration(
            classifier, paths, search, layer, None if no_render else settings
        )
        label = classifier.class_labels[index]
        folder = out / file_name(classifier.name) / class_file_name(label, index)
        if not _is_done(folder, configuration):
            todo[index] = (folder, paths, configuration)
    for index, (folder, paths, configuration) in todo.items():
        tqdm.write(f"{folder.name}: {len(paths)} photographs")
        its = find_concepts(classifier, index, paths, search, layer=layer)
        pictures = None if no_render else _render(classifier, its, settings, seed)
        write_concepts(folder, classifier, its, pictures, configuration)
    return len(todo), len(found) - len(todo)


def _render(
    classifier: Classifier, found: ClassConcepts, settings: Preset, seed: int
) -> list[Visualization]:
    """The same seed for all: what differs between the pictures is the concept."""
    wanted = [direction(found.layer, concept.direction) for concept in found.concepts]
    return render(classifier, wanted, settings, seeds=[seed] * len(wanted))


def _configuration(
    classifier: Classifier,
    photographs: Sequence[Path],
    search: Search,
    layer: str | None,
    settings: Preset | None,
) -> dict[str, Any]:
    return {
        "weights_digest": classifier.weights_digest(),
        "input": classifier.input_form,
        "photographs": [path.name for path in photographs],
        "search": asdict(search),
        "layer": layer,
        "preset": settings.to_dict() if settings is not None else None,
    }


def _is_done(folder: Path, configuration: dict[str, Any]) -> bool:
    record = read_record(folder)
    if record is None:
        return False
    if record.get("configuration") != configuration:
        raise ValueError(
            f"{folder / RECORD} was made by another configuration: choose another --out"
        )
    return True


if __name__ == "__main__":
    main()
