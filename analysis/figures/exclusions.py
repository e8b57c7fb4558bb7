"""Who was left out, step by step, as CONSORT diagrams show it."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.figures.style import GREY, INK, PAGE, require, sheet

RULES = {
    "incomplete": "left before the end",
    "late": "completed after the place had been given to someone else",
    "duplicate": "answered the same trial more than once",
    "below_chance": "worse than chance",
    "catch_trials": "failed the catch trials",
    "too_fast": "answered too fast",
    "one_sided": "chose almost always the same side",
}
STEP, BOX, TRUNK = 0.62, 0.42, 2.1  # inches: between rules, height of a box, where the line runs
LETTER = 0.06  # inches: how wide one is, on average


def exclusions_flow(flow: pd.DataFrame) -> Figure:
    """From those who arrived, past each rule, to those analysed in each condition.

    flow: the table `Exclusions.flow`: a row "arrived" and a row a rule in the order of their use:
    rule, break_it, dropped, left and a column left_CONDITION each. Raises ValueError naming a
    missing column.
    """
    require(flow, ["rule", "break_it", "dropped", "left"], "the table of exclusions")
    rules, last = flow.iloc[1:], flow.iloc[-1]
    groups = _groups(last)
    height = 0.3 + BOX + STEP * (len(rules) + 1) + (1.0 if groups else 0)
    with sheet(PAGE, height) as figure:
        figure.set_layout_engine("none")  # one unit of these axes is an inch
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, PAGE), ylim=(0, height))
        axes.axis("off")
        y = height - 0.15 - BOX / 2
        _box(axes, TRUNK, y, 2.2, f"Arrived ({_n(flow.iloc[0]['left'])})")
        top = y - BOX / 2
        for row in rules.to_dict("records"):
            y -= STEP
            _arrow(axes, (TRUNK, y), (3.5, y))
            _box(axes, 5.15, y, 3.3, _dropped(row))
            if row["left"] != last["left"]:
                told = f"{row['left']} left"
                axes.text(TRUNK - 0.1, y - STEP / 2, told, ha="right", va="center", color=GREY)
        y -= STEP
        _arrow(axes, (TRUNK, top), (TRUNK, y + BOX / 2))
        _box(axes, TRUNK, y, 2.2, f"Analysed ({_n(last['left'])})")
        _conditions(axes, y - BOX / 2, groups)
    return figure


def _groups(last: pd.Series[int]) -> dict[str, int]:
    """How many are analysed in each condition, and how many have none."""
    groups = {
        str(column).removeprefix("left_").replace("_", " "): int(last[column])
        for column in last.index
        if str(column).startswith("left_")
    }
    others = int(last["left"]) - sum(groups.values())
    return groups | ({"no condition": others} if groups and others else {})


def _dropped(row: dict[Hashable, Any]) -> str:
    rule, gone, broke = str(row["rule"]), int(row["dropped"]), int(row["break_it"])
    reason = RULES.get(rule, rule.replace("_", " "))
    before = f"; {broke - gone} more had been excluded before" if broke > gone else ""
    return f"Excluded: {reason} ({_n(gone)}{before})"


def _n(count: int) -> str:
    return f"n = {count}".replace(" ", "\N{NO-BREAK SPACE}")


def _conditions(axes: Axes, top: float, groups: dict[str, int]) -> None:
    """The boxes of the conditions, in a row under the line that splits."""
    if not groups:
        return
    width = min(1.7, (PAGE - 0.2) / len(groups) - 0.1)
    apart = width + 0.1
    first = max(0.1, TRUNK - apart * len(groups) / 2) + apart / 2
    places = [first + apart * i for i in range(len(groups))]
    fork = top - 0.2
    axes.plot([TRUNK, TRUNK], [top, fork], color=INK, linewidth=0.8)
    axes.plot([min(*places, TRUNK), max(*places, TRUNK)], [fork] * 2, color=INK, linewidth=0.8)
    for x, (name, count) in zip(places, groups.items(), strict=True):
        _arrow(axes, (x, fork), (x, fork - 0.2))
        _box(axes, x, fork - 0.2 - 0.3, width, f"{name} ({_n(count)})", height=0.6)


def _box(axes: Axes, x: float, y: float, width: float, text: str, *, height: float = BOX) -> None:
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(
        Rectangle(corner, width, height, facecolor="white", edgecolor=INK, linewidth=0.8)
    )
    told = textwrap.fill(text, int((width - 0.12) / LETTER))
    axes.text(x, y, told, ha="center", va="center")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=style)
