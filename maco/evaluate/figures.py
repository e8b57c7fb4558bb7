"""Figures of an evaluation: spectra beside photographs' (Figure 2 of the paper), and scores."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from maco.evaluate.tables import POOLED, heading, more_is_better
from maco.files import write_atomically
from maco.metrics.naturalness import RadialSpectrum

_CHANNELS = ("brightness", "blue - red", "green - magenta")
_STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def draw_spectra(spectra: Mapping[str, RadialSpectrum]) -> Figure:
    """Mean spectra, a panel a colour channel and a line a method; the first is the photographs'."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True)
        for channel, (panel, name) in enumerate(zip(panels, _CHANNELS, strict=True)):
            for line, (title, one) in enumerate(spectra.items()):
                style = {"color": "black", "lw": 2.2} if line == 0 else {"color": f"C{line - 1}"}
                panel.loglog(one.frequencies, one.amplitude[channel], label=title, **style)
            panel.set(title=name, xlabel="cycles per pixel")
        panels[0].set_ylabel("mean amplitude")
        panels[-1].legend(frameon=False, fontsize=8)
    return figure


def draw_scores(
    summary: pd.DataFrame,
    titles: Mapping[str, str],
    measures: Sequence[str],
    view: float,
) -> Figure:
    """Means with intervals: a panel a measure, a row a method, a marker a network."""
    part = summary[np.isclose(summary["view"], view, atol=1e-3)]
    methods = [name for name in titles if name in set(part["method"])]
    networks = list(dict.fromkeys(part["network"]))
    with mpl.rc_context(_STYLE):
        height = 1.4 + 0.32 * len(methods)
        figure = Figure(figsize=(2.6 * len(measures) + 1.2, height), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(measures), sharey=True))
        for panel, measure in zip(panels, measures, strict=True):
            for order, network in enumerate(networks):
                offset = (order - (len(networks) - 1) / 2) * 0.16
                own = part[(part["network"] == network) & (part["measure"] == measure)]
                _draw_means(panel, own.set_index("method"), methods, offset, network, order)
            notes = {True: "more is better", False: "less is better", None: ""}
            panel.set(title=heading(measure), xlabel=notes[more_is_better(measure)])
        panels[0].set_yticks(range(len(methods)), [titles[name] for name in methods])
        panels[0].invert_yaxis()
        handles, labels = panels[-1].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=len(networks),
            frameon=False,
            fontsize=8,
        )
    return figure


def _draw_means(
    panel: Axes, own: pd.DataFrame, methods: Sequence[str], offset: float, network: str, order: int
) -> None:
    own = own.reindex(list(methods))
    errors = np.stack([own["mean"] - own["low"], own["high"] - own["mean"]]).clip(min=0)
    pooled = network == POOLED
    panel.errorbar(
        own["mean"],
        np.arange(len(methods)) + offset,
        xerr=errors,
        fmt="D" if pooled else "o",
        color="black" if pooled else f"C{order}",
        ms=5 if pooled else 4,
        lw=1,
        label=network,
    )


def save_figure(figure: Figure, path: Path) -> None:
    """Writes PATH.png (200 dpi) and PATH.svg, without dates."""
    with mpl.rc_context({"svg.hashsalt": path.name}):
        for suffix, options in (("png", {"dpi": 200}), ("svg", {"metadata": {"Date": None}})):
            content = io.BytesIO()
            figure.savefig(content, format=suffix, **options)
            write_atomically(path.with_name(f"{path.name}.{suffix}"), content.getvalue())
