"""What a machine observer would answer, as `python -m stimuli.observers` writes it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from stimuli.schema import Study


def read_observed(path: Path, observer: str, study: Study) -> dict[tuple[str, str], float]:
    """(condition, trial id) -> an observer's probability of choosing the favored query.

    Raises ValueError if the file does not have this observer, or not for every main trial of the
    study in every condition.
    """
    from stimuli.observers.table import read_observations

    rows = list(read_observations(path))
    found = {
        (one.condition, one.trial_id): one.p_favored for one in rows if one.observer == observer
    }
    if not found:
        known = ", ".join(dict.fromkeys(row.observer for row in rows))
        raise ValueError(f"{path} has no observer {observer!r}; it has {known or 'none'}")
    mains = [trial.id for trial in study.trials if trial.kind == "main"]
    missing = [pair for pair in product(study.conditions, mains) if pair not in found]
    if missing:
        condition, trial_id = missing[0]
        raise ValueError(
            f"{path}: observer {observer!r} says nothing of {len(missing)} of the"
            f" {len(mains) * len(study.conditions)} main trials and conditions of the study"
            f" {study.name!r}, such as trial {trial_id} in {condition}; run python -m"
            " stimuli.observers on this very bundle"
        )
    return found
