"""Whether a fitted model could have made the data: scaled residuals (Hartig's DHARMa)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import DASHED, GREY, INK, PAGE, require, sheet

MANY = 1000  # points; more are stored as a picture, or an SVG takes megabytes
BINS = 10
QUARTILES = (0.25, 0.5, 0.75)


def residuals(table: pd.DataFrame) -> Figure:
    """Scaled residuals against the uniform distribution, and against the predictions.

    table: a row an observation: predicted (any scale), residual (0 to 1: the share of simulated
    answers below the observed one). Left, residuals of a right model lie on the diagonal; the band
    holds all of them in 95 % of samples (Dvoretzky, Kiefer & Wolfowitz; Massart, 1990). Right,
    the quartiles in bins of equally many predictions lie on the dashed lines. Raises ValueError
    naming a missing column, or a residual that is not in 0 to 1.
    """
    require(table, ["predicted", "residual"], "the table of residuals")
    outside = table.loc[~table["residual"].between(0, 1), "residual"]
    if len(outside):
        raise ValueError(f"residual {outside.iloc[0]}: scaled residuals lie between 0 and 1")
    with sheet(PAGE, 3.2) as figure:
        left, right = figure.subplots(1, 2)
        _uniform(left, table["residual"])
        _predicted(right, table)
    return figure


def _uniform(axes: Axes, values: pd.Series[float]) -> None:
    found = np.sort(values.to_numpy(dtype=float))
    expected = (np.arange(len(found)) + 0.5) / len(found)
    half = np.sqrt(np.log(2 / 0.05) / (2 * len(found)))
    line = np.array([0.0, 1.0])
    axes.fill_between(line, line - half, line + half, color=GREY, alpha=0.25, linewidth=0)
    axes.plot(line, line, color=GREY, linewidth=0.8, linestyle=DASHED)
    axes.plot(expected, found, "o", **_points(len(found)))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xlabel("Expected (uniform)")
    axes.set_ylabel("Scaled residual")
    axes.set_title("Distribution, with 95 % band", loc="left")


def _predicted(axes: Axes, table: pd.DataFrame) -> None:
    axes.plot(
        table["predicted"],
        table["residual"],
        "o",
        alpha=0.3 if len(table) > MANY else 0.6,
        **_points(len(table)),
    )
    for share in QUARTILES:
        axes.axhline(share, color=GREY, linewidth=0.8, linestyle=DASHED, zorder=3)
    quartiles = _quartiles(table)
    for share in QUARTILES:
        axes.plot(quartiles["predicted"], quartiles[share], color="white", linewidth=3, zorder=4)
        axes.plot(quartiles["predicted"], quartiles[share], color=INK, linewidth=1.4, zorder=5)
    axes.set(ylim=(-0.02, 1.02), yticks=(0, *QUARTILES, 1))
    axes.set_xlabel("Predicted by the model")
    axes.set_ylabel("Scaled residual")
    axes.set_title("By prediction, with quartiles", loc="left")


def _quartiles(table: pd.DataFrame) -> pd.DataFrame:
    """The quartiles of the residuals in bins of equally many predictions: predicted, .25, .5, .75.

    Fewer bins if there are few observations: a bin holds ten or more.
    """
    bins = int(np.clip(len(table) // 10, 1, BINS))
    ranks = table["predicted"].rank(method="first")
    groups = table.groupby(np.ceil(ranks / len(table) * bins))
    return (
        groups["residual"]
        .quantile(np.array(QUARTILES))
        .unstack()
        .assign(predicted=groups["predicted"].mean())
    )


def _points(count: int) -> dict[str, Any]:
    size = 0.9 if count > MANY else 3.0
    return {"color": INK, "markersize": size, "markeredgewidth": 0, "rasterized": count > MANY}
