"""Accuracy by how much the two queries differ in activation."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import (
    COLUMN,
    PAGE,
    Look,
    levels,
    looks,
    mark,
    percent,
    require,
    sheet,
    words,
)


def activation(bins: pd.DataFrame, *, level: float = 0.95) -> Figure:
    """Accuracy in bins of trials by their difference in activation, a panel a network.

    bins: what `descriptives.activation_bins` gives: network, bin, mean, low, high (shares correct)
    and activation_difference (mean of the bin, in the network's own units, which is why each panel
    has its own axis). level: of the intervals. Raises ValueError naming a missing column.
    """
    columns = ["network", "bin", "mean", "low", "high", "activation_difference"]
    require(bins, columns, "the table of activation bins")
    networks = levels(bins["network"])
    across = min(len(networks), 3)
    down = -(-len(networks) // across)
    with sheet(PAGE if across > 1 else COLUMN, 0.4 + 2.1 * down) as figure:
        panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
        styles = looks(list(map(str, networks)))
        ends = [*panels[across - 1 : len(networks) : across], panels[len(networks) - 1]]
        for axes, network in zip(panels, networks, strict=False):
            _panel(axes, bins[bins["network"] == network], styles[str(network)])
            mark(axes, 0.5, "chance" if axes in ends else "")
            axes.set_title(words(network, 30), fontweight="bold")
        for spare in panels[len(networks) :]:
            spare.remove()
        for first in panels[::across]:
            first.set_ylabel(f"Proportion correct\n({percent(level)} interval)")
        figure.supxlabel("Difference in activation (the network's own units)", fontsize=8)
    return figure


def _panel(axes: Axes, bins: pd.DataFrame, look: Look) -> None:
    table = bins.sort_values("bin")
    x = table["activation_difference"]
    axes.vlines(x, table["low"], table["high"], color=look.color, linewidth=1.4)
    axes.plot(x, table["mean"], color=look.color, marker=look.marker, markersize=4.5, linewidth=0.8)
    axes.margins(x=0.1)
    axes.xaxis.set_major_locator(MaxNLocator(4))
