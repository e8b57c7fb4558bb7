"""python -m stimuli.observers BUNDLE: the accuracy to expect, before anyone is paid.

Machine observers see what participants see and choose. Their answers go to a CSV file; figures of
them go to a JSON file beside it and to the terminal. docs/observers.md says how they decide.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from maco.files import write_atomically
from maco.images import read_image
from stimuli.observers.embedding import Embedding, Source, parse_observer, study_sources
from stimuli.observers.figures import ATTENUATION, summarise
from stimuli.observers.matching import MEASURES
from stimuli.observers.page import page
from stimuli.observers.panel import Target, observe
from stimuli.observers.table import dump_observations
from stimuli.schema import IMAGE_FOLDER, Study, read_study, verify_images

PEERS = "peers"


@click.command(help=__doc__)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV file to write.")
@click.option(
    "--observer",
    multiple=True,
    metavar="NAME=MODEL",
    help="An embedding network: NAME=MODEL[@WEIGHTS][:LAYER], several joined by +, MODEL as in"
    " study files. Again for each observer. [peers: for each network, the study's other ones]",
)
@click.option("--softness", default=1.0, show_default=True, type=click.FloatRange(min=0))
@click.option(
    "--fit",
    metavar="CONDITION=ACCURACY",
    help="Instead of a softness: what people reached in a condition.",
)
@click.option("--measure", default="local", show_default=True, type=click.Choice(MEASURES))
@click.option("--power", multiple=True, type=click.IntRange(min=1), help="Participants planned.")
@click.argument("more", nargs=-1, type=click.IntRange(min=1))
@click.option(
    "--attenuation",
    default=ATTENUATION,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of the machine's effect that is expected of people.",
)
@click.option(
    "--weights",
    default=Path(),
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of weights files, if not the current one: that of the study file.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, mps or auto.")
def main(
    bundle: Path,
    out: Path,
    observer: tuple[str, ...],
    softness: float,
    fit: str | None,
    measure: str,
    power: tuple[int, ...],
    more: tuple[int, ...],
    attenuation: float,
    weights: Path,
    device: str,
) -> None:
    """The command line."""
    try:
        _check_out(out)
        study = _read(bundle)
        target = None if fit is None else _parse_target(fit)
        embeddings = _load(bundle, study, observer, weights, device)
        panel = observe(
            study, bundle, embeddings, softness=softness, target=target, measure=measure
        )
        figures = summarise(study, panel, attenuation)
        write_atomically(out, dump_observations(panel.observations).encode())
        text = json.dumps(figures, indent=1, ensure_ascii=False) + "\n"
        write_atomically(out.with_suffix(".json"), text.encode())
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename or out}: {error.strerror or error}") from error
    except torch.OutOfMemoryError as error:
        raise click.ClickException(f"the GPU's memory is full: {error}") from error
    click.echo(page(study, figures, bundle, (*power, *more)))
    click.echo(f"Written: {out} and {out.with_suffix('.json')}")


def _check_out(out: Path) -> None:
    """Fails before the work, not after it."""
    if out.suffix == ".json":
        raise ValueError(f"--out {out}: the CSV file cannot end in .json, which the figures' does")
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise ValueError(f"--out {out} cannot be written: name a file in a folder of yours")


def _read(bundle: Path) -> Study:
    partial = bundle.with_name(bundle.name + ".partial")
    if bundle.suffix == ".partial" or (not bundle.exists() and partial.is_dir()):
        raise ValueError(
            f"{bundle} is not finished: run python -m stimuli.build again, it continues"
        )
    study = read_study(bundle)
    verify_images(bundle, study)
    if all(trial.kind != "main" for trial in study.trials):
        raise ValueError(f"{bundle} has no main trials: there is nothing to predict")
    return study


def _parse_target(text: str) -> Target:
    condition, _, accuracy = text.partition("=")
    try:
        return Target(condition, float(accuracy))
    except ValueError:
        raise ValueError(f"--fit {text!r}: write CONDITION=ACCURACY, as in maco=0.7") from None


def _load(
    bundle: Path, study: Study, options: Sequence[str], weights: Path, device: str
) -> dict[str, list[Embedding]]:
    sources: dict[str, list[Source]] = {}
    for option in options:
        name, wanted = parse_observer(option)
        if name in sources:
            raise ValueError(f"--observer {name} is given twice")
        sources[name] = wanted
    if not options:
        sources[PEERS] = study_sources(study)
    share = _occluder_share(bundle, study)
    return {
        name: [source.load(share, weights, device) for source in wanted]
        for name, wanted in sources.items()
    }


def _occluder_share(bundle: Path, study: Study) -> float:
    """The side of the smallest occluder of the main trials, as a share of the photograph's."""
    queries = [query for trial in study.trials if trial.kind == "main" for query in trial.queries]
    smallest = min(queries, key=lambda query: query.occluder.size_px)
    image = read_image(bundle / IMAGE_FOLDER / smallest.image)
    return smallest.occluder.size_px / max(image.shape[1:])


if __name__ == "__main__":
    main()
