"""Distributions of reaction times."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.figures.style import INK, PAGE, levels, require, say_beside, sheet, ticks, words

OUTCOMES = {1: "correct", 0: "wrong"}
SHADES = {"correct": "#5b8db8", "wrong": "#f0e4a0"}
NICE_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
FEW = 10  # trials; fewer are dots, since a smooth curve would promise a shape they do not show


def reaction_times(trials: pd.DataFrame) -> Figure:
    """Reaction times by condition, of correct choices above and of wrong ones below each line.

    trials: a row a trial: condition, correct (0, 1), rt_ms. The areas are equal; beside them stand
    the numbers of trials. Dashed lines are medians and dotted ones quartiles; fewer than ten trials
    are dots. Trials without a time above 0 are left out, and the figure says how many. Raises
    ValueError naming a missing column, or if no trial has a time or correct is not 0 or 1.
    """
    table = require(trials, ["condition", "correct", "rt_ms"], "the trials' table")
    unknown = table.loc[~table["correct"].isin([0, 1]), "correct"]
    if len(unknown):
        raise ValueError(f"the trials' table has correct = {unknown.iloc[0]}: 0 or 1 is allowed")
    timed = table[table["rt_ms"] > 0]
    if timed.empty:
        raise ValueError("no trial has an rt_ms above 0: there is nothing to draw")
    conditions = [str(level) for level in levels(timed["condition"])]
    timed = timed.assign(
        condition=timed["condition"].astype(str), outcome=timed["correct"].map(OUTCOMES)
    )
    with sheet(PAGE, 1.0 + 0.65 * len(conditions)) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        sizes = timed.groupby(["condition", "outcome"])["rt_ms"].transform("size")
        _curves(axes, timed[sizes >= FEW], conditions)
        _dots(axes, timed[sizes < FEW], conditions)
        axes.set_ylim(len(conditions) - 0.5, -0.5)
        axes.set_yticks(range(len(conditions)), [words(name, 16) for name in conditions])
        axes.tick_params(axis="y", length=0)
        axes.set_ylabel("")
        _seconds(axes)
        _counts(axes, timed, conditions)
        _legend(figure, len(table) - len(timed))
    return figure


def _curves(axes: Axes, timed: pd.DataFrame, conditions: list[str]) -> None:
    if timed.empty:
        return
    sns.violinplot(
        timed,
        x="rt_ms",
        y="condition",
        hue="outcome",
        order=conditions,
        hue_order=list(SHADES),
        palette=SHADES,
        saturation=1,
        split=True,
        inner="quart",
        log_scale=True,
        cut=0,
        gap=0.06,
        linewidth=0.8,
        linecolor=INK,
        legend=False,
        ax=axes,
    )


def _dots(axes: Axes, timed: pd.DataFrame, conditions: list[str]) -> None:
    for outcome, shift in (("correct", -0.1), ("wrong", 0.1)):
        cell = timed[timed["outcome"] == outcome]
        axes.scatter(
            cell["rt_ms"],
            [conditions.index(name) + shift for name in cell["condition"]],
            s=16,
            color=SHADES[outcome],
            edgecolors=INK,
            linewidths=0.6,
        )


def _seconds(axes: Axes) -> None:
    low, high = axes.get_xlim()
    seconds = ticks(NICE_S, low / 1000, high / 1000)
    axes.set_xticks([1000 * second for second in seconds], [f"{second:g}" for second in seconds])
    axes.minorticks_off()
    axes.set_xlabel("Reaction time (s, logarithmic; dashed: median, dotted: quartiles)")


def _counts(axes: Axes, timed: pd.DataFrame, conditions: list[str]) -> None:
    for place, condition in enumerate(conditions):
        outcomes = timed.loc[timed["condition"] == condition, "outcome"].value_counts()
        told = "\n".join(f"{outcomes.get(name, 0)} {name}" for name in SHADES)
        say_beside(axes, place, told)


def _legend(figure: Figure, untimed: int) -> None:
    handles = [Patch(facecolor=SHADES[name], edgecolor=INK, label=name) for name in SHADES]
    trials = "1 trial" if untimed == 1 else f"{untimed} trials"
    note = f"; left out: {trials} without a time" if untimed else ""
    figure.legend(handles=handles, title=f"Choice{note}", loc="outside upper center", ncols=2)
