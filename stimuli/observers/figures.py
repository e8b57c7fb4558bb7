"""What the observers' answers come to: the figures of `observers.json`, over main trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from stimuli.observers.choice import interval
from stimuli.observers.panel import MAP, Panel
from stimuli.observers.table import Observation
from stimuli.schema import Study

Figures = dict[str, Any]
ATTENUATION = 0.5
MISLED = 0.1  # further below the control than a mere lack of evidence


def summarise(study: Study, panel: Panel, attenuation: float = ATTENUATION) -> Figures:
    """Every observer's accuracy by condition and network; of embedding ones also their effects,
    units, and the trials on which references mislead.

    attenuation: the share of the machine's effect that is expected of people.
    """
    main = [one for one in panel.observations if one.trial_kind == "main"]
    observers: Figures = {}
    for name in dict.fromkeys(one.observer for one in main):
        rows = [one for one in main if one.observer == name]
        observers[name] = {"conditions": _conditions(study, rows)}
        if name in panel.softness:
            observers[name]["softness"] = panel.softness[name]
        if name in panel.embeddings:
            observers[name] |= {
                "embeddings": panel.embeddings[name],
                "wrong_references": {
                    condition: accuracy(values)
                    for condition, values in panel.wrong[name].items()
                    if values
                },
                "effects": effects(study, rows, attenuation),
                "units": _units(study, rows),
                "misled": misled(study, rows),
            }
    return {
        "study": study.name,
        "attenuation": attenuation,
        "remarks": remarks(observers),
        "observers": observers,
    }


def remarks(observers: Figures) -> list[str]:
    """What a researcher should know before believing the figures; a sentence each."""
    found = []
    for name, own in observers.items():
        if name == MAP:
            continue
        blind = next(iter(own["conditions"].values()))
        if "effects" not in own and not blind["low"] <= 0.5 <= blind["high"]:
            found.append(
                f"{name} needs no references and has {blind['right']:.2f} of the main trials right:"
                " change the query rule"
            )
        for condition, one in own.get("wrong_references", {}).items():
            if one["low"] > 0.5:
                found.append(
                    f"{name} chooses right in {condition} also with another unit's references"
                    f" ({one['accuracy']:.2f}): what it knows is not in the references"
                )
    return found


def accuracy(values: Sequence[float]) -> Figures:
    """Mean probability of choosing the favored query, with its 95 % interval over trials."""
    low, high = interval(values, np.random.default_rng(0))  # the same resamples for every figure
    return {"accuracy": float(np.mean(values)), "low": low, "high": high, "trials": len(values)}


def _conditions(study: Study, rows: Sequence[Observation]) -> Figures:
    return {
        condition: accuracy(_chosen(rows, condition))
        | {
            "right": _right([row for row in rows if row.condition == condition]),
            "networks": {
                network: accuracy(_chosen(rows, condition, network))
                for network in _asked(study, rows)
            },
        }
        for condition in study.conditions
    }


def _asked(study: Study, rows: Sequence[Observation]) -> list[str]:
    """The networks that have main trials, in the study's order."""
    asked = {row.network for row in rows}
    return [network.name for network in study.networks if network.name in asked]


def _chosen(rows: Sequence[Observation], condition: str, network: str | None = None) -> list[float]:
    return [
        row.p_favored
        for row in rows
        if row.condition == condition and network in (None, row.network)
    ]


def _right(rows: Sequence[Observation]) -> float:
    """Share of trials whose evidence is for the favored query; none at all counts half."""
    return float(np.mean([0.5 if row.evidence == 0 else row.evidence > 0 for row in rows]))


def control_of(study: Study) -> str | None:
    """The first condition that shows no references."""
    references = study.trials[0].references
    return next((name for name in study.conditions if not references[name]), None)


def effects(study: Study, rows: Sequence[Observation], attenuation: float) -> Figures:
    """What each condition and network adds in log-odds, and what is expected of people.

    Log-odds are those of mean accuracies. Conditions are compared with the control, or with chance
    where there is none, networks with the first one, over all conditions.
    """
    control = control_of(study)
    start = _log_odds(_chosen(rows, control)) if control else 0.0
    conditions = {name: _log_odds(_chosen(rows, name)) - start for name in study.conditions}
    means = {
        network: float(np.mean([_log_odds(_chosen(rows, c, network)) for c in study.conditions]))
        for network in _asked(study, rows)
    }
    first = next(iter(means.values()))
    networks = {network: mean - first for network, mean in means.items()}
    return {
        what: {name: {"log_odds": v, "attenuated": attenuation * v} for name, v in found.items()}
        for what, found in (("conditions", conditions), ("networks", networks))
    }


def _log_odds(values: Sequence[float]) -> float:
    """Of the mean; that of 0 or 1 counts as half a trial away from it."""
    edge = 0.5 / len(values)
    mean = min(max(float(np.mean(values)), edge), 1 - edge)
    return math.log(mean / (1 - mean))


def _units(study: Study, rows: Sequence[Observation]) -> dict[str, float]:
    """Label -> mean probability over the conditions with references; the best unit first."""
    references = study.trials[0].references
    found: dict[str, list[float]] = {}
    for row in rows:
        if references[row.condition]:
            found.setdefault(row.class_label, []).append(row.p_favored)
    means = {label: float(np.mean(values)) for label, values in found.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def misled(study: Study, rows: Sequence[Observation]) -> list[Figures]:
    """Main trials that references make clearly worse than the control, or chance; worst first."""
    control = control_of(study)
    without = {row.trial_id: row.p_favored for row in rows if row.condition == control}
    worse = [row for row in rows if row.p_favored < without.get(row.trial_id, 0.5) - MISLED]
    trials = {trial.id: trial for trial in study.trials}
    return [
        {
            "trial_id": row.trial_id,
            "condition": row.condition,
            "network": row.network,
            "class_label": row.class_label,
            "p_favored": row.p_favored,
            "favored_image": trials[row.trial_id].queries[trials[row.trial_id].favored].image,
            "references": trials[row.trial_id].references[row.condition],
        }
        for row in sorted(worse, key=lambda row: row.p_favored)
    ]
