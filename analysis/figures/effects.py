"""Random effects of a grouping factor as a caterpillar plot."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import norm

from analysis.figures.style import COLUMN, DASHED, GREY, INK, percent, require, sheet, words

MOST_LABELS = 60


def caterpillar(effects: pd.DataFrame, group: str, *, level: float = 0.95) -> Figure:
    """Each level's deviation from the mean, smallest at the bottom.

    effects: a row a level: level, mode (log-odds), se (conditional). group: the grouping factor,
    as the title says it. level: of the intervals, mode +- z se. With more than 60 levels their
    names are left out. Raises ValueError naming a missing column.
    """
    require(effects, ["level", "mode", "se"], f"the table of effects of {group}")
    table = effects.sort_values("mode", kind="stable")
    half = norm.ppf((1 + level) / 2) * table["se"]
    count = f"{len(table)} level{'s' * (len(table) != 1)}"
    places, many = range(len(table)), len(table) > MOST_LABELS
    with sheet(COLUMN, 4.5 if many else 0.9 + 0.13 * len(table)) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=GREY, linewidth=0.8, linestyle=DASHED, zorder=1)
        ends = table["mode"] - half, table["mode"] + half
        axes.hlines(places, *ends, color=GREY, linewidth=0.5 if many else 0.9, zorder=2)
        axes.plot(table["mode"], places, "o", color=INK, markersize=1.5 if many else 3, zorder=3)
        axes.set_ylim(-0.8, len(table) - 0.2)
        axes.set_yticks([] if many else places, [] if many else [_name(n) for n in table["level"]])
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"Deviation in log-odds, with {percent(level)} interval")
        axes.set_title(words(f"{group} ({count})", 40), fontweight="bold")
        if many:
            axes.set_ylabel("Levels, sorted by their deviation")
    return figure


def _name(level: object) -> str:
    return textwrap.shorten(words(level, 200), 32, placeholder=" ...")
