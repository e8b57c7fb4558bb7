"""A planned study: its conditions, networks and classes, and the effects its authors assume."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.marginal_means import marginal_means
from analysis.mixed_logit import MixedLogitResults

Floats = NDArray[np.float64]

RANDOM = "(1 | participant) + (1 | class_label)"


@dataclass(frozen=True)
class Plan:
    """A study in which each participant answers a trial of each class with each network.

    conditions, networks: name -> log-odds it adds. intercept: log-odds of a condition and network
    that add 0. participant_sd, class_sd: of their random intercepts. class_network_sd: how much a
    network's effect differs between classes.
    formula: of the model to be fitted, in the columns participant, condition, network, class_label;
    without it, main effects and random intercepts.
    """

    conditions: Mapping[str, float]
    networks: Mapping[str, float]
    classes: int
    intercept: float = 0.0
    participant_sd: float = 0.5
    class_sd: float = 0.4
    class_network_sd: float = 0.0
    formula: str = ""

    def __post_init__(self) -> None:
        if len(self.conditions) < 2 or not self.networks or self.classes < 2:
            raise ValueError(
                f"a plan needs two conditions, a network and two classes; this one has "
                f"{len(self.conditions)}, {len(self.networks)} and {self.classes}"
            )
        for name in ("participant_sd", "class_sd", "class_network_sd"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} = {getattr(self, name)}: a spread is 0 or more")
        for name, value in {
            **self.conditions,
            **self.networks,
            "intercept": self.intercept,
        }.items():
            if not np.isfinite(value):
                raise ValueError(f"{name} = {value}: give a finite number of log-odds")
        if not self.formula:
            network = " + network" if len(self.networks) > 1 else ""
            object.__setattr__(self, "formula", f"correct ~ condition{network} + {RANDOM}")
        if not re.search(r"\bcondition\b", self.formula.split("|")[0]):
            raise ValueError(f"formula {self.formula!r} has no effect of condition to be found")

    def trials(self, participants: int) -> pd.DataFrame:
        """The rows of a study: participants are dealt the conditions in turn. No outcome yet."""
        if participants < 2 * len(self.conditions):
            raise ValueError(
                f"participants = {participants}: give at least two for each of the "
                f"{len(self.conditions)} conditions"
            )
        sizes = (participants, self.classes, len(self.networks))
        person, label, network = (index.ravel() for index in np.indices(sizes))
        conditions, networks = list(self.conditions), list(self.networks)
        dealt = [conditions[i % len(conditions)] for i in person]
        return pd.DataFrame(
            {
                "participant": [f"p{i:04d}" for i in person],
                "class_label": [f"c{i:03d}" for i in label],
                "condition": pd.Categorical(dealt, categories=conditions),
                "network": pd.Categorical([networks[i] for i in network], categories=networks),
            }
        )

    def log_odds(
        self, trials: pd.DataFrame, generator: np.random.Generator, scale: float = 1.0
    ) -> Floats:
        """Log-odds (n,) of a study with participants and classes of its own.

        scale: multiplies what the conditions add; 0 is a study without an effect of condition.
        """
        eta = self.intercept + scale * _values(trials["condition"], self.conditions)
        eta += _values(trials["network"], self.networks)
        for columns, sd in (
            (["participant"], self.participant_sd),
            (["class_label"], self.class_sd),
            (["class_label", "network"], self.class_network_sd),
        ):
            codes = trials.groupby(columns, observed=True).ngroup().to_numpy()
            eta += sd * generator.standard_normal(codes.max() + 1)[codes]
        return eta

    @classmethod
    def from_fit(cls, results: MixedLogitResults) -> Plan:
        """The plan of a study like one that was run, with its estimates as the assumed effects.

        `results` are of condition and network with random intercepts for participant and
        class_label. Raises ValueError for another model.
        """
        design = results.design
        found = {
            label: float(np.sqrt(covariance.to_numpy()[0, 0]))
            for label, covariance in results.random_effects_cov.items()
        }
        for name in ("participant", "class_label"):
            if name not in found:
                raise ValueError(
                    f"{design.formula.text!r} has no (1 | {name}): a plan needs its spread"
                )
        conditions = _added(results, "condition")
        if design.data.get("network", pd.Series(dtype=object)).nunique() > 1:
            networks = _added(results, "network")
            cells = marginal_means(results, ["condition", "network"]).estimates
        else:
            networks, cells = {"network": 0.0}, marginal_means(results, "condition").estimates
        pairs = [a + b for b in networks.values() for a in conditions.values()]
        spreads = (
            found["participant"],
            found["class_label"],
            found.get("class_label:network", 0.0),
        )
        return cls(
            conditions,
            networks,
            int(design.data["class_label"].nunique()),
            float(np.mean(cells - pairs)),
            *spreads,
            design.formula.text,
        )


def _added(results: MixedLogitResults, factor: str) -> dict[str, float]:
    """What each level adds to the first one's log-odds."""
    means = marginal_means(results, factor)
    values = means.estimates - means.estimates[0]
    return dict(zip(means.cells[factor].astype(str), values.tolist(), strict=True))


def _values(column: pd.Series[str], added: Mapping[str, float]) -> Floats:
    return np.array([added[level] for level in column.cat.categories])[column.cat.codes]


FEL2023 = Plan(
    conditions={"control": 0.0, "olah": 0.26, "maco_with_transparency": 0.69, "maco": 0.92},
    networks={"ViT": 0.0, "VGG16": 0.35, "ResNet50": 0.49},
    classes=19,
    intercept=0.1,
    participant_sd=0.55,
    class_sd=0.5,
)
"""The human study of Fel et al. (2023). Its contrasts are recollected from the supplement and not
verified; intercept and spreads are chosen to give its standard errors and AIC (`docs/analysis.md`).
"""
