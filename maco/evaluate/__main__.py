"""python -m maco.evaluate: the paper's Tables 1 to 3 and Figure 2 on any networks and classes.

Renders each class of each network with each method, measures every picture, and writes
measurements.csv, tables (CSV, Markdown) and figures. Stopped and run again it goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pandas as pd

from maco import __version__
from maco.classifiers import Classifier
from maco.commandline import (
    ListCommand,
    device_option,
    memory_option,
    one_line_errors,
    shard_options,
)
from maco.evaluate.checks import check_classes, check_layers, check_neighbours
from maco.evaluate.ledger import Ledger, Rows, check_parts
from maco.evaluate.measures import (
    PAPER_TRANSFER,
    SET_COLUMNS,
    Photographs,
    Rules,
    feature_networks,
    measure_pictures,
    measure_sets,
)
from maco.evaluate.methods import ABLATION, Method, read_methods
from maco.evaluate.renders import (
    Render,
    plan_groups,
    plan_renders,
    render_missing,
    write_index,
)
from maco.evaluate.reporting import write_report
from maco.files import digest, write_atomically
from maco.networks import load_network
from maco.photographs import find_photographs
from maco.shards import Shard, check_complete, find_shards
from maco.spectrum import Spectrum, natural_spectrum

SHARDS = "shards"  # a file for each that is done
MEASURED = "measured"
_PATH = click.Path(path_type=Path)


@click.command(cls=ListCommand, help=__doc__)
@click.option("--models", multiple=True, required=True, help="timm or torchvision/NAME.")
@click.option("--networks", type=_PATH, help="TOML file with [[networks]]: their names too.")
@click.option("--methods", multiple=True, default=("maco", "maco_masked", "olah", "cbr"))
@click.option("--ablation", is_flag=True, help="Also the methods of Table 3.")
@click.option("--settings", type=_PATH, help="TOML file with [methods.NAME]: fields of a preset.")
@click.option("--classes", multiple=True, help="Index, label or wnid; else every folder's.")
@click.option("--seeds", multiple=True, type=int, default=(0,), show_default=True)
@click.option("--real-images", required=True, type=_PATH, help="A folder a class, or index.csv.")
@click.option("--real-size", default=512, show_default=True, help="Side they are compared at, px.")
@click.option("--transfer", multiple=True, help="Classifiers; 'paper' for its six; else --models.")
@click.option("--views", multiple=True, type=click.FloatRange(0, 1, min_open=True))
@click.option("--neighbours", multiple=True, type=click.IntRange(min=1), default=(1, 5))
@click.option("--layers", multiple=True, metavar="NETWORK=LAYER,LAYER", help="For Deep-KNN.")
@click.option("--inception", type=_PATH, help="Inception's weights: FID as the paper has it.")
@click.option("--spectrum", "spectrum_file", type=_PATH, help="Of maco.spectrum.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--render-only", is_flag=True, help="Stop before anything is measured.")
@device_option
@memory_option
@shard_options
def main(**options: Any) -> None:
    """The command line."""
    with one_line_errors(options["out"]):
        evaluate(**options)


def evaluate(
    models: Sequence[str],
    networks: Path | None,
    methods: Sequence[str],
    ablation: bool,
    settings: Path | None,
    classes: Sequence[str],
    seeds: Sequence[int],
    real_images: Path,
    real_size: int,
    transfer: Sequence[str],
    views: Sequence[float],
    neighbours: Sequence[int],
    layers: Sequence[str],
    inception: Path | None,
    spectrum_file: Path | None,
    out: Path,
    render_only: bool,
    device: str,
    memory_gib: float | None,
    shard: Shard | None = None,
    merge: bool = False,
) -> None:
    """The whole evaluation; arguments as the command's. Raises ValueError for what cannot be.

    shard: render and measure this share of the pictures alone, and write no tables. merge: refuse
    if a shard is not done, or was measured under other circumstances.
    """
    if shard and merge:
        raise ValueError("--shard does one share, --merge joins all: give one of them")
    chosen = _choose(read_methods(settings), (*methods, *(ABLATION if ablation else ())))
    rules = Rules(
        views=tuple(dict.fromkeys(views)) or Rules.views,
        neighbours=tuple(dict.fromkeys(neighbours)),
        layers=_layers(layers, models),
    )
    spectrum = Spectrum.load(spectrum_file) if spectrum_file else natural_spectrum()
    classifiers = {name: load_network(name, networks=networks, device=device) for name in models}
    jury = _jury(transfer, classifiers, networks, device)
    first = next(iter(classifiers.values()))
    indices = [first.class_index(name) for name in classes] or None
    photographs = Photographs(find_photographs(real_images, first, indices), real_size)
    check_classes({**classifiers, **jury}, list(photographs.files))
    check_neighbours(photographs, rules, first)
    check_layers(classifiers, rules)
    extractors = feature_networks({**classifiers, **jury}, inception, rules)
    seeds = list(dict.fromkeys(seeds))
    planned = plan_renders(classifiers, chosen, list(photographs.files), seeds)
    whole = {"plan": _digest(planned), "measured": not render_only}
    if merge:
        check_complete(_finished_shards(out, whole), out)
    groups: Sequence[Sequence[Render]] = plan_groups(planned, classifiers)
    if shard:
        groups = shard.share(groups)
        planned = [one for group in groups for one in group]
    pictures = _pictures(planned, chosen)
    presets = {method.render: method.preset for method in chosen}
    made = render_missing(
        groups, classifiers, presets, out, spectrum=spectrum, memory_gib=memory_gib
    )
    click.echo(f"{made} rendered, {len(planned) - made} were there: {out / 'renders'}")
    record = _circumstances(classifiers, jury, photographs, rules, spectrum)
    rows: Rows = []
    if not render_only:
        ledger = _open_ledger(out, record, shard, merge)
        rows = measure_pictures(
            pictures, classifiers, jury, photographs, rules, spectrum, out, ledger
        )
    if shard:
        write_atomically(out / SHARDS / f"{shard.step}.json", json.dumps(whole).encode())
        click.echo(f"Shard {shard} is done.")
        return
    write_index(planned, out)
    if render_only:
        return
    _write_csv(pd.DataFrame(rows), out / "measurements.csv")
    known = {**jury, **classifiers}
    sets = measure_sets(pictures, known, extractors, photographs, rules.views, out)
    _write_csv(pd.DataFrame(sets, columns=list(SET_COLUMNS)), out / "distributions.csv")
    record |= {
        "methods": {method.name: method.preset.to_dict() for method in chosen},
        "classes": {str(i): first.class_labels[i].split(",")[0] for i in photographs.files},
        "seeds": seeds,
        "feature_networks": sorted(extractors),
    }
    write_atomically(out / "evaluation.json", (json.dumps(record, indent=1) + "\n").encode())
    write_report(out, chosen, pictures, photographs)
    click.echo(f"The result: {out / 'tables.md'}")


def _digest(planned: Sequence[Render]) -> str:
    """What tells one plan from another: of other classes, methods or seeds."""
    return digest(json.dumps([asdict(one) for one in planned]).encode())


def _finished_shards(out: Path, whole: dict[str, Any]) -> list[Shard]:
    """The shards that were done of this very plan; what was measured was rendered, too."""
    done = []
    for path in (out / SHARDS).glob("*.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["plan"] == whole["plan"] and found["measured"] >= whole["measured"]:
            done.append(path.stem)
    return find_shards(done)


def _open_ledger(
    out: Path, circumstances: dict[str, Any], shard: Shard | None, merge: bool
) -> Ledger:
    """The ledger of a shard, or that of the whole, which also finds what shards have measured."""
    parts = sorted(out.glob(f"{MEASURED}-*.jsonl"))
    if merge:
        check_parts(parts, circumstances)
    name = f"{MEASURED}-{shard.step}" if shard else MEASURED
    return Ledger(out / f"{name}.jsonl", circumstances, parts)


def _circumstances(
    classifiers: Mapping[str, Classifier],
    jury: Mapping[str, Classifier],
    photographs: Photographs,
    rules: Rules,
    spectrum: Spectrum,
) -> dict[str, Any]:
    """What the measures of a picture depend on beside the picture, as plain values."""
    circumstances = {
        "networks": {name: _identity(one) for name, one in classifiers.items()},
        "transfer": {name: _identity(one) for name, one in jury.items()},
        "views": list(rules.views),
        "neighbours": list(rules.neighbours),
        "layers": {name: list(rules.layers_of(name, one)) for name, one in classifiers.items()},
        "real_size": photographs.size_px,
        "photographs": {str(i): _listing(files) for i, files in photographs.files.items()},
        "spectrum": spectrum.digest(),
        "software": {"maco": __version__, **{n: version(n) for n in ("torch", "timm")}},
    }
    plain: dict[str, Any] = json.loads(json.dumps(circumstances))
    return plain


def _identity(classifier: Classifier) -> dict[str, Any]:
    return {"weights": classifier.weights_digest(), "input": classifier.input_form}


def _listing(files: Sequence[Path]) -> dict[str, int]:
    """File names and sizes in bytes: what tells one set of photographs from another."""
    return {file.name: file.stat().st_size for file in files}


def _choose(known: Mapping[str, Method], names: Sequence[str]) -> list[Method]:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown method {name!r}: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]


def _layers(given: Sequence[str], models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    layers = {}
    for word in given:
        name, _, listed = word.partition("=")
        if name not in models or not listed:
            raise ValueError(f"--layers {word}: write NETWORK=LAYER,LAYER with one of --models")
        layers[name] = tuple(listed.split(","))
    return layers


def _jury(
    names: Sequence[str], classifiers: Mapping[str, Classifier], networks: Path | None, device: str
) -> dict[str, Classifier]:
    """The transfer set: pictures are shown to each but the network they were made for."""
    if not names:
        return dict(classifiers)
    listed = [own for name in names for own in (PAPER_TRANSFER if name == "paper" else (name,))]
    return {
        name: classifiers.get(name) or load_network(name, networks=networks, device=device)
        for name in dict.fromkeys(listed)
    }


def _pictures(planned: Sequence[Render], chosen: Sequence[Method]) -> list[tuple[Method, Render]]:
    return [(method, one) for method in chosen for one in planned if one.method == method.render]


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    write_atomically(path, table.to_csv(index=False, float_format="%.6g").encode())


if __name__ == "__main__":
    main()
