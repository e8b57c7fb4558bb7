"""python -m maco.layers: a network's layers in the order in which they run, with their shapes.

Shapes are (channels, places...) of one image, as the network sees it. A star marks the layers that
timm calls the network's intermediate features; by default only they and the output are listed.
Nothing is fetched: without a file the weights are random ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from maco.classifiers import Classifier
from maco.commandline import network_options
from maco.construction import construct
from maco.layers import Layer
from maco.networks import load_network, read_networks


@click.command(help=__doc__)
@network_options
@click.option("--all", "every", is_flag=True, help="Every layer that can be read.")
def main(model: str, weights: Path | None, networks: Path | None, every: bool) -> None:
    """The command line."""
    try:
        classifier = _find(model, weights, networks)
        layers = classifier.layers()
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    marked = [layer for layer in layers if layer.intermediate]
    shown = layers if every or not marked else [*marked, layers[-1]]
    click.echo(f"{classifier.name}, {classifier.input_size_px} px")
    click.echo(_table(shown))
    if len(shown) < len(layers):
        click.echo(f"{len(layers) - len(shown)} more with --all")


def _find(model: str, weights: Path | None, networks: Path | None) -> Classifier:
    table = read_networks(networks) if networks is not None else {}
    entry = table.get(model, {"model": model})
    if weights is not None or "weights" in entry:
        return load_network(model, networks=networks, weights=weights, device="cpu")
    network, expected = construct(entry["model"], options=entry.get("options"))
    size_px = entry.get("input_size_px") or expected.input_size_px
    return Classifier(network, name=model, input_size_px=size_px)


def _table(layers: Iterable[Layer]) -> str:
    rows = [("layer", "kind", "shape", "")]
    for layer in layers:
        shape = " x ".join(str(side) for side in layer.shape)
        rows.append((layer.name, layer.kind, shape, "*" if layer.intermediate else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ("  ".join(map(str.ljust, row, (*widths, 0))).rstrip() for row in rows)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
