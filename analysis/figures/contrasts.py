"""Differences between conditions or networks as a forest plot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    DASHED,
    GREY,
    INK,
    PAGE,
    levels,
    number,
    p_value,
    percent,
    require,
    say_beside,
    sheet,
    ticks,
    words,
)

ABOVE_ONE = (1.25, 2, 5, 10, 100, 1e3, 1e4, 1e6, 1e10, 1e20, 1e40, 1e60)
FARTHEST = 700.0  # log-odds whose odds a float can hold
ODDS = (1, *ABOVE_ONE, *(1 / ratio for ratio in ABOVE_ONE))


def forest(contrasts: pd.DataFrame, *, level: float = 0.95, adjustment: str = "") -> Figure:
    """Each contrast's estimate and interval, in log-odds below and as odds ratio above.

    contrasts: a row a contrast: contrast (its name), estimate, low, high (log-odds), p, and if
    they are to stand in groups, family. level: of the intervals. adjustment: how the p-values were
    adjusted ("Tukey"), said in their heading. A contrast that could not be estimated (NaN) keeps
    its line and says so. Raises ValueError naming a missing column.
    """
    table = require(contrasts, ["contrast", "estimate", "low", "high", "p"], "the contrasts' table")
    rows = list(_rows(table))
    with sheet(PAGE, 1.0 + 0.22 * len(rows)) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=GREY, linewidth=0.8, linestyle=DASHED, zorder=1)
        drawn = [(-y, row) for y, row in enumerate(rows) if not isinstance(row, str)]
        for y, contrast in drawn:
            axes.hlines(y, contrast["low"], contrast["high"], color=INK, linewidth=1.4, zorder=2)
            axes.plot(contrast["estimate"], y, "o", color=INK, markersize=4.5, zorder=3)
        if table["estimate"].isna().all():
            axes.set_xlim(-1, 1)
        axes.set_ylim(-len(rows) + 0.5, 0.5)
        axes.set_yticks([-y for y in range(len(rows))], [_name(row) for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        for label, row in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if isinstance(row, str) else "normal")
        axes.set_xlabel("Difference in log-odds")
        _odds_ratios(axes)
        _columns(axes, drawn, level, adjustment)
    return figure


def _rows(table: pd.DataFrame) -> Iterator[str | pd.Series[float]]:
    """The lines of the plot from top to bottom: headings of families, and contrasts."""
    families = levels(table["family"]) if "family" in table else [None]
    for family in families:
        if family is not None:
            yield str(family)
        part = table if family is None else table[table["family"] == family]
        for _, row in part.iterrows():
            yield row


def _name(row: str | pd.Series[float]) -> str:
    name = row if isinstance(row, str) else str(row["contrast"])
    return words(name, 44)


def _odds_ratios(axes: Axes) -> None:
    low, high = axes.get_xlim()
    ends = np.exp(np.clip((low, high), -FARTHEST, FARTHEST))
    ratios = ticks(ODDS, float(ends[0]), float(ends[1]))
    above = axes.twiny()
    above.set_xlim(low, high)
    above.set_xticks(np.log(ratios), [f"{ratio:g}" for ratio in ratios])
    above.spines["top"].set_visible(True)
    above.spines["left"].set_visible(False)
    above.set_xlabel("Odds ratio")


def _columns(
    axes: Axes, drawn: list[tuple[int, pd.Series[float]]], level: float, adjustment: str
) -> None:
    """Beside the plot: estimate [low, high], and p."""
    first = [say_beside(axes, y, _estimate(row), points=12, color=INK) for y, row in drawn]
    first.append(_heading(axes, f"Estimate [{percent(level)} interval]", 12))
    widest = max(text.get_window_extent().width for text in first)
    right = 12 + 12 + 72 * widest / axes.figure.dpi
    for y, row in drawn:
        say_beside(axes, y, p_value(row["p"]), points=right, color=INK)
    _heading(axes, f"p ({adjustment})" if adjustment else "p", right)


def _heading(axes: Axes, text: str, points: float) -> object:
    return axes.annotate(
        text,
        (1, 1),
        xycoords="axes fraction",
        xytext=(points, 5),
        textcoords="offset points",
        fontsize=7,
        color=GREY,
        va="bottom",
    )


def _estimate(row: pd.Series[float]) -> str:
    if np.isnan(row["estimate"]):
        return "cannot be estimated"
    if np.isnan(row["low"]) or np.isnan(row["high"]):
        return f"{number(row['estimate'])} [no interval]"
    return f"{number(row['estimate'])} [{number(row['low'])}, {number(row['high'])}]"
