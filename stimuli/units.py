"""The networks and units of a study, ready for use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maco import Classifier, Objective, channel, logit
from maco.weights import load_weights
from stimuli import schema
from stimuli.study_tables import Channel, NetworkSource

DEMO = "demo/"


@dataclass(frozen=True)
class StudyUnit:
    """A unit as the networks know it. `key` is its name among the study's units."""

    unit: schema.Unit
    objective: Objective

    @property
    def key(self) -> str:
        """For instance "class:84" or "inception4a.branch2.1.bn:12"."""
        return self.unit.name


def load_network(source: NetworkSource, folder: Path, device: str) -> Classifier:
    """The classifier of a study's network; files are looked for beside the study file.

    Raises ValueError naming the network and what is wrong.
    """
    weights = None if source.weights is None else folder / source.weights
    try:
        if source.model.startswith(DEMO):
            return _load_demo(source.model.removeprefix(DEMO), weights, device)
        labels = source.labels
        if isinstance(labels, str):
            labels = None if labels == "imagenet" else _read_labels(folder / labels)
        return Classifier.load(
            source.model,
            weights=weights,
            options=source.options,
            input_size_px=source.input_size_px,
            mean=source.mean,
            std=source.std,
            labels=labels,
            device=device,
        )
    except ValueError as error:
        raise ValueError(f"network {source.name}: {error}") from error


def _load_demo(name: str, weights: Path | None, device: str) -> Classifier:
    from stimuli.demo import networks, world

    if name not in networks.WEIGHTS:
        raise ValueError(f"the demo has no network {name!r}: {', '.join(networks.WEIGHTS)}")
    network = networks.build(name)
    load_weights(network, weights or networks.WEIGHTS[name], DEMO + name)
    return Classifier(
        network.float(),
        name=DEMO + name,
        input_size_px=networks.INPUT_SIZE,
        mean=networks.MEAN,
        std=networks.STD,
        labels=world.CLASSES,
    ).to(device)


def _read_labels(path: Path) -> tuple[str, ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def find_unit(wanted: int | str | Channel, networks: dict[str, Classifier]) -> StudyUnit:
    """A unit by what the study file calls it; every network must agree on its class index.

    Raises ValueError if a network does not have it.
    """
    if isinstance(wanted, Channel):
        label = f"{wanted.layer} {wanted.index}"
        unit = schema.Unit(kind="channel", index=wanted.index, label=label, layer=wanted.layer)
        return StudyUnit(unit, channel(wanted.layer, wanted.index))
    found = {name: classifier.class_index(wanted) for name, classifier in networks.items()}
    indices = sorted(set(found.values()))
    if len(indices) > 1:
        where = ", ".join(f"{index} in {name}" for name, index in found.items())
        raise ValueError(f"units: the networks disagree on class {wanted!r}: {where}")
    labels = next(iter(networks.values())).class_labels
    label = labels[indices[0]].split(",")[0]
    unit = schema.Unit(kind="class", index=indices[0], label=label)
    return StudyUnit(unit, logit(indices[0]))
