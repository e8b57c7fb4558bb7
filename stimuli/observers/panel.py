"""All observers of a bundle and what each makes of every trial in every condition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from stimuli.observers.choice import fit_softness, probability, scale_of
from stimuli.observers.embedding import Embedding
from stimuli.observers.evidence import Evidence, judges, look, pool, referenced
from stimuli.observers.matching import MEASURES
from stimuli.observers.table import Observation
from stimuli.schema import Study, Trial

RANDOM, MAP = "random", "map"


@dataclass(frozen=True)
class Target:
    """Human data to be matched: the accuracy of people in one condition."""

    condition: str
    accuracy: float


@dataclass(frozen=True)
class Panel:
    """What the observers answered.

    observations: for every observer, condition and trial, in that order. softness: of each observer
    that has one. embeddings: what the embedding observers look with. wrong: their probabilities of
    choosing the favored query when main trials are shown the references of another unit, by
    condition.
    """

    observations: list[Observation]
    softness: dict[str, float]
    embeddings: dict[str, list[str]] = field(default_factory=dict)
    wrong: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def blind_names(study: Study) -> list[str]:
    """The bundle's object-blind measures: those that every trial has."""
    first, *others = (list(trial.baselines) for trial in study.trials)
    return [name for name in first if all(name in other for other in others)]


def observe(
    study: Study,
    bundle: Path,
    embeddings: Mapping[str, Sequence[Embedding]],
    *,
    softness: float = 1.0,
    target: Target | None = None,
    measure: str = "local",
    progress: bool = True,
) -> Panel:
    """Every observer's answers: embedding ones, object-blind ones, `random` and `map`.

    embeddings: observer -> what it looks with; several are averaged. target: fits each embedding
    observer's softness; the others keep `softness`.
    Raises ValueError for a taken name, a network under study without another one to look at its
    trials, or a target that no softness gives.
    """
    taken = {RANDOM, MAP, *blind_names(study)} & set(embeddings)
    if taken:
        raise ValueError(f"observer {min(taken)!r}: the name is taken, choose another")
    if measure not in MEASURES:
        raise ValueError(f"unknown measure {measure!r}: {', '.join(MEASURES)}")
    if not 0 <= softness < math.inf:
        raise ValueError(f"softness is {softness}: it must be 0 or more, and finite")
    observations: list[Observation] = []
    panel = Panel(observations, softness={MAP: softness})
    for name, evidence in _embedded(study, bundle, embeddings, measure, progress).items():
        own = _softness_of(study, name, evidence, target) if target else softness
        panel.softness[name] = own
        panel.embeddings[name] = [repr(one) for one in embeddings[name]]
        observations += _rows(study, name, evidence.right, own)
        panel.wrong[name] = {
            condition: [
                probability(value, own)
                for key, value in evidence.wrong.items()
                if key[0] == condition
            ]
            for condition in _shown(study)
        }
    for name in blind_names(study):
        observations += _rows(study, name, _blind(study, name), softness=0)
    observations += _rows(study, RANDOM, dict.fromkeys(_keys(study), 0.0), softness)
    observations += _rows(study, MAP, _map(study), softness)
    return panel


def _embedded(
    study: Study,
    bundle: Path,
    embeddings: Mapping[str, Sequence[Embedding]],
    measure: str,
    progress: bool,
) -> dict[str, Evidence]:
    networks = {}
    for name, several in embeddings.items():
        try:
            networks[name] = judges(study, several)
        except ValueError as error:
            raise ValueError(f"observer {name!r}: {error}") from error
    tasks = [
        (name, one, [network for network, others in networks[name].items() if one in others])
        for name, several in embeddings.items()
        for one in several
    ]
    total = sum(trial.network in judged for _, _, judged in tasks for trial in study.trials)
    found: dict[str, list[Evidence]] = {name: [] for name in embeddings}
    with tqdm(total=total, desc="observers", unit="trial", disable=not progress) as bar:
        for name, one, judged in tasks:
            found[name].append(look(study, bundle, one, judged, measure, bar.update))
    return {name: pool(study, evidences) for name, evidences in found.items()}


def _softness_of(study: Study, name: str, evidence: Evidence, target: Target) -> float:
    keys = [key for key in referenced(study) if key[0] == target.condition]
    if not keys:
        shown = ", ".join(_shown(study)) or "none"
        raise ValueError(f"no condition {target.condition!r} with references to fit: {shown}")
    try:
        return fit_softness([evidence.right[key] for key in keys], target.accuracy)
    except ValueError as error:
        raise ValueError(f"observer {name!r}, condition {target.condition!r}: {error}") from error


def _shown(study: Study) -> list[str]:
    keys = {condition for condition, _ in referenced(study)}
    return [condition for condition in study.conditions if condition in keys]


def _keys(study: Study) -> list[tuple[str, str]]:
    return [(condition, trial.id) for condition in study.conditions for trial in study.trials]


def _blind(study: Study, name: str) -> dict[tuple[str, str], float]:
    """The measure of the favored query minus the other's."""
    differences = {
        trial.id: trial.baselines[name][trial.favored] - trial.baselines[name][1 - trial.favored]
        for trial in study.trials
    }
    scale = scale_of([differences[trial.id] for trial in study.trials if trial.kind == "main"])
    return {key: differences[key[1]] / scale for key in _keys(study)}


def _map(study: Study) -> dict[tuple[str, str], float]:
    """The difference of the two activations. Networks answer in units of their own, so each has
    its own scale."""
    scales = {
        network.name: scale_of(
            [_spread(t) for t in study.trials if t.kind == "main" and t.network == network.name]
        )
        for network in study.networks
    }
    found = {trial.id: _spread(trial) / scales[trial.network] for trial in study.trials}
    return {key: found[key[1]] for key in _keys(study)}


def _spread(trial: Trial) -> float:
    return abs(trial.queries[0].activation - trial.queries[1].activation)


def _rows(
    study: Study, observer: str, evidence: Mapping[tuple[str, str], float], softness: float
) -> list[Observation]:
    return [
        Observation(
            observer=observer,
            condition=condition,
            network=trial.network,
            unit=trial.unit.name,
            class_label=trial.unit.label,
            base_image=trial.base_image.image,
            trial_id=trial.id,
            trial_kind=trial.kind,
            evidence=evidence[condition, trial.id],
            p_favored=probability(evidence[condition, trial.id], softness),
        )
        for condition in study.conditions
        for trial in study.trials
    ]
