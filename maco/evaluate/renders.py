"""Stage one: every class of every network with every method, each file written once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from maco.classifiers import Classifier
from maco.devices import fastest_group
from maco.evaluate.methods import Method
from maco.files import class_file_name, file_name, write_atomically
from maco.objectives import logit
from maco.presets import Preset
from maco.render import configuration, render
from maco.spectrum import Spectrum, natural_spectrum
from maco.visualization import read_config

INDEX = "renders.json"


@dataclass(frozen=True)
class Render:
    """One picture to make: what it shows and where it lies, without suffix, below the folder."""

    render: str
    network: str
    method: str
    label: str
    index: int
    seed: int


def plan_renders(
    classifiers: Mapping[str, Classifier],
    methods: Sequence[Method],
    classes: Sequence[int],
    seeds: Sequence[int],
) -> list[Render]:
    """Every picture that the methods need, network by network; a masked method needs none."""
    planned = []
    for network, classifier in classifiers.items():
        for method in dict.fromkeys(method.render for method in methods):
            for index in classes:
                label = classifier.class_labels[index].split(",")[0]
                for seed in seeds:
                    stem = f"{class_file_name(label, index)}-s{seed}"
                    where = f"renders/{file_name(network)}/{method}/{stem}"
                    planned.append(Render(where, network, method, label, index, seed))
    return planned


def plan_groups(
    planned: Sequence[Render], classifiers: Mapping[str, Classifier]
) -> list[list[Render]]:
    """Pictures of one network, method and seed, as many as its device renders well in one pass.

    They stay together whatever is there already, so that a picture is the same however it came
    about. Classes and seeds that are asked for later make groups of their own, but for one.
    """
    alike: dict[tuple[str, str, int], list[Render]] = {}
    for one in planned:
        alike.setdefault((one.network, one.method, one.seed), []).append(one)
    groups = []
    for (network, _, _), pictures in alike.items():
        # On a CPU nothing is won by more, and what an interruption costs grows.
        device = classifiers[network].device
        size = 2 if device.type == "cpu" else fastest_group(device)
        groups += [pictures[start : start + size] for start in range(0, len(pictures), size)]
    return groups


def render_missing(
    groups: Sequence[Sequence[Render]],
    classifiers: Mapping[str, Classifier],
    presets: Mapping[str, Preset],
    out: Path,
    *,
    spectrum: Spectrum | None = None,
    memory_gib: float | None = None,
) -> int:
    """Renders what is not there yet; returns how many were made. A group is one pass.

    memory_gib: as `maco.render` has it.
    Raises ValueError for a file of another configuration, before anything is rendered.
    """
    spectrum = spectrum or natural_spectrum()
    missing = [
        {one for one in group if not _is_done(one, classifiers, presets, out, spectrum)}
        for group in groups
    ]
    todo = [(group, lacking) for group, lacking in zip(groups, missing, strict=True) if lacking]
    steps = sum(presets[one.method].steps for group, _ in todo for one in group)
    with tqdm(total=steps, unit="step", desc="rendering", disable=not todo) as bar:
        for group, lacking in todo:
            network, method = group[0].network, group[0].method
            bar.set_postfix_str(f"{network}, {method}")
            made = render(
                classifiers[network],
                [logit(one.index) for one in group],
                presets[method],
                seeds=[one.seed for one in group],
                spectrum=spectrum,
                memory_gib=memory_gib,
                progress=bar.update,
            )
            for one, visualization in zip(group, made, strict=True):
                if one in lacking:
                    visualization.save(out / one.render)
    return sum(map(len, missing))


def write_index(planned: Sequence[Render], out: Path) -> None:
    """Lists what is planned, and what other calls left in the folder: a gallery shows it all."""
    listed = {one.render: asdict(one) for one in planned}
    path = out / INDEX
    for entry in json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []:
        if (out / f"{entry['render']}.safetensors").is_file():
            listed.setdefault(entry["render"], entry)
    write_atomically(path, (json.dumps(list(listed.values()), indent=1) + "\n").encode())


def _is_done(
    one: Render,
    classifiers: Mapping[str, Classifier],
    presets: Mapping[str, Preset],
    out: Path,
    spectrum: Spectrum,
) -> bool:
    path = out / one.render
    try:
        found = read_config(path)
    except ValueError:
        return False
    wanted = configuration(
        classifiers[one.network], logit(one.index), presets[one.method], spectrum, one.seed
    )
    changed = sorted(key for key in wanted if found.get(key) != wanted[key])
    if changed:
        raise ValueError(
            f"{path}.png was made with another {' and '.join(changed)}: choose another --out"
        )
    return True
