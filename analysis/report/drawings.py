"""The figures of a report: name -> figure, each with its words for who cannot see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis import figures
from analysis.findings import Analysis, Findings
from analysis.mixed_logit import MixedLogitResults
from analysis.report.apa import count, listed, number, percent, term, word
from analysis.report.separation import usable

__all__ = ["Drawing", "drawings", "filed", "flat_groups"]

FEW = 8  # levels; the residuals of fewer show no distribution
FLAT = 1e-6  # log-odds; random effects that are all smaller have no variance


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure still to be drawn, its caption, and what it shows in words."""

    name: str
    caption: str
    words: str
    draw: Callable[[], Figure]


def drawings(analysis: Analysis) -> list[Drawing]:
    """All figures that the data allow, in the order of the report."""
    kept = analysis.kept
    return [
        *_performance(kept),
        _exclusions(analysis),
        *_times(kept),
        *_forests(kept),
        *_residuals(kept),
        *_caterpillars(kept),
        *_activation(kept),
    ]


def _performance(kept: Findings) -> Iterator[Drawing]:
    if not kept.models.factors:
        return
    link, response = (_cells(kept, scale) for scale in ("log_odds", "probability"))
    trials = kept.trials if "network" in kept.trials else kept.trials.assign(network="all trials")
    keys = ["participant", "condition", "network"]
    people = trials.groupby(keys, observed=True)["correct"].agg(correct="sum", trials="size")
    shares = [
        f"{word(row['condition'])}, {word(row['network'])}: {percent(row['probability'])}"
        for _, row in response.iterrows()
    ]
    yield Drawing(
        "performance",
        "Correct choices by condition and network, as log-odds and as proportion.",
        f"Mean proportion correct by the model: {'; '.join(shares)}.",
        lambda: figures.performance(people.reset_index(), link, response),
    )


def _cells(findings: Findings, scale: str) -> pd.DataFrame:
    """The model's means with a condition and a network, whatever factors it has."""
    table = findings.means[f"{'_and_'.join(findings.models.factors)}_{scale}"]
    missing = {"condition", "network"} - set(table)
    only = {name: findings.trials[name].iloc[0] for name in missing if name in findings.trials}
    return table.assign(**{name: only.get(name, "all trials") for name in sorted(missing)})


def _exclusions(analysis: Analysis) -> Drawing:
    flow = analysis.exclusions.flow
    steps = [f"{row['dropped']} by {word(row['rule'])}" for _, row in flow.iloc[1:].iterrows()]
    first, last = flow.iloc[0]["left"], flow.iloc[-1]["left"]
    return Drawing(
        "exclusions",
        "From those who arrived to those analysed, rule by rule.",
        f"{count(first)} arrived; excluded {listed(steps) or 'nobody'}; {count(last)} analysed.",
        lambda: figures.exclusions_flow(flow),
    )


def _times(kept: Findings) -> Iterator[Drawing]:
    table = kept.descriptives.get("reaction_times")
    if table is None:
        return
    medians = [
        f"{word(row['condition'])} {count(row['median_ms'])} ms"
        for _, row in table[table["responses"] == "all"].iterrows()
    ]
    yield Drawing(
        "reaction_times",
        "Reaction times by condition, of correct and of wrong choices.",
        f"Median reaction times: {listed(medians)}.",
        lambda: figures.reaction_times(kept.trials),
    )


def _forests(kept: Findings) -> Iterator[Drawing]:
    factors = kept.models.factors
    if not factors:
        return
    table = pd.concat([usable(kept, name).assign(family=word(name)) for name in factors])
    yield Drawing(
        "contrasts",
        "Differences between conditions and between networks, Tukey-adjusted.",
        "Estimates and intervals of the table of contrasts.",
        lambda: figures.forest(table, adjustment="Tukey"),
    )
    if kept.models.has_interaction:
        by = usable(kept, "condition", "network")
        split = by.assign(family=by["network"].map(word))
        yield Drawing(
            "contrasts_by_network",
            "Differences between conditions for each network, Tukey-adjusted within it.",
            "Estimates and intervals of the table of contrasts by network.",
            lambda: figures.forest(split, adjustment="Tukey"),
        )


def _residuals(kept: Findings) -> Iterator[Drawing]:
    for group, found in kept.residuals.items():
        if len(found.table) < FEW:
            continue
        yield Drawing(
            f"residuals_{filed(group)}",
            f"Scaled residuals by {term(group)}: on the diagonal and on the dashed lines if the "
            "model holds.",
            f"Scaled residuals of {count(len(found.table))} levels of {term(group)}; their tests "
            "are in the table of residual checks.",
            lambda table=found.table: figures.residuals(table),  # type: ignore[misc]
        )


def _caterpillars(kept: Findings) -> Iterator[Drawing]:
    for label, modes in kept.models.chosen.random_effects.items():
        if label in flat_groups(kept.models.chosen):
            continue
        table = modes.rename_axis("level").reset_index()
        table = table.rename(columns={"Intercept": "mode", "Intercept_se": "se"})
        ordered = table.sort_values("mode", kind="stable")
        lowest, highest = ordered.iloc[0], ordered.iloc[-1]
        yield Drawing(
            f"random_effects_{filed(label)}",
            f"How far each {word(label)} lies from the mean, with 95% intervals.",
            f"From {word(lowest['level'])} ({number(lowest['mode'])}) to {word(highest['level'])} "
            f"({number(highest['mode'])}) in log-odds.",
            lambda table=table, label=label: figures.caterpillar(table, word(label)),  # type: ignore[misc]
        )


def filed(group: str) -> str:
    """A grouping factor in the name of a file: "class_label_by_network"."""
    return group.replace(":", "_by_")


def flat_groups(fit: MixedLogitResults) -> list[str]:
    """The grouping factors whose random intercepts have no variance."""
    modes = fit.random_effects.items()
    return [label for label, table in modes if table["Intercept"].abs().max() < FLAT]


def _activation(kept: Findings) -> Iterator[Drawing]:
    bins = kept.descriptives.get("activation_bins")
    if bins is not None:
        yield Drawing(
            "activation",
            "Accuracy by the difference in activation of the two queries.",
            "Accuracy in bins of trials by their difference in activation, as in its table.",
            lambda: figures.activation(bins),
        )
