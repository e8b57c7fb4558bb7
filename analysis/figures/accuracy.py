"""How well people did: each participant, and the model's means (the MACO paper's Figure 5)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.figures.style import (
    PAGE,
    Look,
    binned,
    levels,
    looks,
    mark,
    percent,
    require,
    sheet,
    words,
)

SPREAD = 0.84  # of the distance between two conditions is taken by their networks
MANY = 15  # cells; more have a row for each panel
LETTER = 0.054  # inches: how wide one is, on average
ROWS = 45  # of dots from the bottom of a panel to its top


def performance(
    participants: pd.DataFrame,
    link: pd.DataFrame,
    response: pd.DataFrame,
    *,
    level: float = 0.95,
) -> Figure:
    """Log-odds and proportion of correct choices by condition and network.

    participants: a row a participant and network: participant, condition, network, correct and
    trials (counts). link: the model's means, a row a condition and network: condition, network,
    log_odds, low, high. response: the same with probability in place of log_odds. level: of the
    intervals low to high, said in the note. A participant's dot on the left is the empirical
    log-odds, log((correct + 0.5) / (wrong + 0.5)), which exists at 0 and at 100 %.

    Means without an interval (NaN) are drawn without. Raises ValueError naming a missing column.
    """
    keys = ["condition", "network"]
    require(participants, ["participant", *keys, "correct", "trials"], "the participants' table")
    require(link, [*keys, "log_odds", "low", "high"], "the table of means on the link scale")
    require(response, [*keys, "probability", "low", "high"], "the table of mean probabilities")
    conditions, networks = (_union(participants, link, response, key) for key in keys)
    people = participants[participants["trials"] > 0]
    right, wrong = people["correct"], people["trials"] - people["correct"]
    odds = people.assign(value=np.log((right + 0.5) / (wrong + 0.5)))
    shares = people.assign(value=right / people["trials"])
    styles = looks(networks)
    crowded = len(conditions) * len(networks) > MANY
    with sheet(PAGE, 6 if crowded else 3.3) as figure:
        first, second = figure.subplots(2, 1) if crowded else figure.subplots(1, 2)
        means = link.rename(columns={"log_odds": "value"})
        _panel(first, odds, means, conditions, styles, chance=0)
        means = response.rename(columns={"probability": "value"})
        _panel(second, shares, means, conditions, styles, chance=0.5)
        first.set_ylabel("Log-odds of a correct choice")
        second.set_ylabel("Proportion correct")
        room = (6 if crowded else 2.8) / len(conditions) / LETTER
        for axes in (first, second):
            axes.set_xticks(range(len(conditions)), [_name(one, int(room)) for one in conditions])
        _legend(figure, styles)
        figure.supxlabel(
            f"Large: means of the model with {percent(level)} intervals. Dots: participants; "
            "log-odds with 0.5 added to the counts of correct and wrong choices.",
            fontsize=7,
        )
    return figure


def _union(
    people: pd.DataFrame, link: pd.DataFrame, response: pd.DataFrame, column: str
) -> list[str]:
    found = [level for table in (people, link, response) for level in levels(table[column])]
    return list(dict.fromkeys(map(str, found)))


def _panel(
    axes: Axes,
    people: pd.DataFrame,
    means: pd.DataFrame,
    conditions: Sequence[str],
    styles: dict[str, Look],
    *,
    chance: float,
) -> None:
    slot = SPREAD / len(styles)
    low, high = _range(people["value"], means, chance)
    axes.set_ylim(low, high)
    for i, (network, look) in enumerate(styles.items()):
        shift = (i - (len(styles) - 1) / 2) * slot
        for place, condition in enumerate(conditions):
            dots = _cell(people, condition, network)["value"].to_numpy(dtype=float)
            _dots(axes, place + shift, dots, slot, (high - low) / ROWS, look)
            _mean(axes, place + shift, _cell(means, condition, network), look)
    axes.set_xlim(-0.5, len(conditions) - 0.5)
    axes.tick_params(axis="x", length=0)
    mark(axes, chance, "chance")


def _name(condition: str, letters: int) -> str:
    """The name in lines that leave room for its neighbours', words broken if they must be."""
    lines = words(condition, letters).splitlines()
    return "\n".join(textwrap.fill(line, letters) for line in lines)


def _cell(table: pd.DataFrame, condition: str, network: str) -> pd.DataFrame:
    here = (table["condition"].astype(str) == condition) & (table["network"].astype(str) == network)
    return table[here]


def _range(dots: pd.Series[float], means: pd.DataFrame, chance: float) -> tuple[float, float]:
    drawn = np.concatenate([dots, means["value"], means["low"], means["high"], [chance]])
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    margin = 0.05 * (high - low) or 0.05
    return float(low - margin), float(high + margin)


def _dots(
    axes: Axes, x: float, values: NDArray[np.float64], slot: float, height: float, look: Look
) -> None:
    if not len(values):
        return
    places = binned(values, height)
    step = min(slot / 7, 0.9 * slot / (2 * np.abs(places).max() + 1))
    axes.scatter(
        x + step * places, values, s=3.5, color=look.color, alpha=0.55, linewidths=0, zorder=2
    )


def _mean(axes: Axes, x: float, mean: pd.DataFrame, look: Look) -> None:
    ends = mean["low"], mean["high"]
    axes.vlines([x] * len(mean), *ends, color="white", linewidth=3.2, zorder=3)
    axes.vlines(
        [x] * len(mean), *ends, color=look.color, linewidth=1.6, zorder=4, label="_interval"
    )
    axes.plot([x] * len(mean), mean["value"], zorder=5, label="_mean", **_marker(look))


def _marker(look: Look) -> dict[str, Any]:
    return {
        "color": look.color,
        "marker": look.marker,
        "markersize": 5.5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.8,
        "linestyle": "none",
    }


def _legend(figure: Figure, styles: dict[str, Look]) -> None:
    handles = [Line2D([], [], label=words(n, 40), **_marker(look)) for n, look in styles.items()]
    figure.legend(
        handles=handles, title="Network", loc="outside upper center", ncols=min(len(handles), 6)
    )
