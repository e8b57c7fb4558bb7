"""What embedding observers find in the trials of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stimuli.observers.choice import scale_of
from stimuli.observers.embedding import Embedding, FeatureMaps
from stimuli.observers.matching import match, seen_only_here
from stimuli.schema import Study, Trial

Key = tuple[str, str]  # condition, trial id
Found = dict[Key, float]  # evidence for the favored query


@dataclass(frozen=True)
class Evidence:
    """For the favored query of every trial and condition, and of main trials with references of
    another unit of the same network (`wrong`), which should speak for neither."""

    right: Found
    wrong: Found


def judges(study: Study, embeddings: Sequence[Embedding]) -> dict[str, list[Embedding]]:
    """Network under study -> the embeddings that are not that network.

    Networks are told apart by their weights. Raises ValueError for a network without a judge.
    """
    found = {}
    for network in study.networks:
        others = [one for one in embeddings if one.digest != network.weights_digest]
        if not others:
            own = ", ".join(one.classifier.name for one in embeddings)
            raise ValueError(
                f"{own} is the network under study in {network.name}'s trials: an observer needs"
                " another network there; add one with +, or name one with --observer NAME=MODEL"
            )
        found[network.name] = others
    return found


def wrong_references(study: Study) -> dict[tuple[str, str], Mapping[str, Sequence[str]]]:
    """(network, unit) -> the references of the network's next unit, the last one's the first's."""
    found: dict[tuple[str, str], Mapping[str, Sequence[str]]] = {}
    for network in study.networks:
        shown = {
            trial.unit.name: trial.references
            for trial in sorted(study.trials, key=lambda trial: trial.unit.name)
            if trial.network == network.name and trial.kind == "main"
        }
        units = list(shown)
        if len(units) > 1:
            following = zip(units, units[1:] + units[:1], strict=True)
            found |= {(network.name, unit): shown[after] for unit, after in following}
    return found


def look(
    study: Study,
    bundle: Path,
    embedding: Embedding,
    networks: Sequence[str],
    measure: str,
    progress: Callable[[int], object] = lambda done: None,
) -> Evidence:
    """One embedding's evidence in the trials about some networks, divided by its scale."""
    maps = FeatureMaps(embedding, bundle)
    others = wrong_references(study)
    right: Found = {}
    wrong: Found = {}
    trials = [trial for trial in study.trials if trial.network in networks]
    # Trials of one unit share references: together, these are computed once.
    for trial in sorted(trials, key=lambda trial: (trial.network, trial.unit.name, trial.id)):
        right |= _look_at(trial, trial.references, maps, measure)
        if trial.kind == "main" and (trial.network, trial.unit.name) in others:
            wrong |= _look_at(trial, others[trial.network, trial.unit.name], maps, measure)
        progress(1)
    return _standardised(study, right, wrong)


def _look_at(
    trial: Trial, references: Mapping[str, Sequence[str]], maps: FeatureMaps, measure: str
) -> Found:
    names = [query.image for query in trial.queries]
    shown = maps.of([*names, *(name for group in references.values() for name in group)])
    left, right = (shown[name] for name in names)
    one, other = (query.occluder for query in trial.queries)
    size, cells = maps.sizes[names[0]], left.shape[-1]
    seen = seen_only_here(one, other, size, cells), seen_only_here(other, one, size, cells)
    sign = -1 if trial.favored else 1
    return {
        (condition, trial.id): sign
        * match(measure, (left, right), seen, [shown[name] for name in group])
        + 0.0  # no evidence has no sign
        for condition, group in references.items()
    }


def _standardised(study: Study, right: Found, wrong: Found) -> Evidence:
    """Divided by the root mean square over main trials and conditions with references."""
    scale = scale_of([right[key] for key in referenced(study) if key in right])
    return Evidence(*({key: value / scale for key, value in one.items()} for one in (right, wrong)))


def referenced(study: Study) -> list[Key]:
    """Main trials in the conditions that show references."""
    return [
        (condition, trial.id)
        for trial in study.trials
        if trial.kind == "main"
        for condition in study.conditions
        if trial.references[condition]
    ]


def pool(study: Study, evidences: Sequence[Evidence]) -> Evidence:
    """The mean evidence of the embeddings that look at a trial, divided by its scale."""
    right, wrong = (
        {
            key: float(np.mean([one[key] for one in parts if key in one]))
            for key in dict.fromkeys(key for one in parts for key in one)
        }
        for parts in ([one.right for one in evidences], [one.wrong for one in evidences])
    )
    return _standardised(study, right, wrong)
