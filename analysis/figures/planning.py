"""Power of a planned design by its number of participants."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    COLUMN,
    levels,
    looks,
    mark,
    percent,
    require,
    sheet,
    words,
)

AIM = 0.8


def power_curves(power: pd.DataFrame, *, alpha: float | None = None) -> Figure:
    """Power by participants, a curve an effect, with the Monte-Carlo interval of each point.

    power: a row an effect and number of participants: effect (its name or size), participants,
    power, low, high (shares of simulated studies). alpha: the test's level, drawn as a line: what
    a true null effect should reach. Raises ValueError naming a missing column.
    """
    columns = ["effect", "participants", "power", "low", "high"]
    table = require(power, columns, "the power table")
    effects = levels(table["effect"])
    with sheet(COLUMN, 2.7 + 0.14 * len(effects)) as figure:
        axes = figure.subplots()
        mark(axes, AIM, percent(AIM))
        if alpha is not None:
            mark(axes, alpha, f"alpha = {percent(alpha)}")
        for effect, look in zip(effects, looks(list(map(str, effects))).values(), strict=True):
            curve = table[table["effect"] == effect].sort_values("participants")
            at, name = curve["participants"], words(effect, 50)
            axes.vlines(at, curve["low"], curve["high"], color=look.color, linewidth=1.2)
            axes.plot(
                at,
                curve["power"],
                color=look.color,
                marker=look.marker,
                linestyle=look.line,
                markersize=4.5,
                label=name,
            )
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("Participants")
        axes.set_ylabel("Power (share of simulated studies)")
        _tick(axes, sorted(table["participants"].unique()))
        figure.legend(title="Effect", loc="outside upper left", alignment="left")
    return figure


def _tick(axes: Axes, sizes: list[int]) -> None:
    if len(sizes) <= 8:
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
