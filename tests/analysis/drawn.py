"""A small example of every figure, and what can be read off a figure."""

from __future__ import annotations

from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis import figures

CONDITIONS = ["control", "olah", "maco", "maco_with_transparency"]
NETWORKS = ["VGG16", "ResNet50", "ViT"]
NAN = float("nan")


def participants(each: int = 45) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows = [
        (f"{condition}{i}", condition, network, generator.binomial(17, 0.5 + 0.1 * k), 17)
        for k, condition in enumerate(CONDITIONS)
        for i in range(each)
        for network in NETWORKS
    ]
    return pd.DataFrame(rows, columns=["participant", "condition", "network", "correct", "trials"])


def means(name: str, start: float, step: float) -> pd.DataFrame:
    rows = [
        (condition, network, value := start + step * k + step / 5 * j, value - step, value + step)
        for k, condition in enumerate(CONDITIONS)
        for j, network in enumerate(NETWORKS)
    ]
    return pd.DataFrame(rows, columns=["condition", "network", name, "low", "high"])


PEOPLE, LINK, RESPONSE = participants(), means("log_odds", 0.1, 0.3), means("probability", 0.5, 0.1)
CONTRASTS = pd.DataFrame(
    {
        "contrast": ["maco - control", "maco_with_transparency - control", "ResNet50 - ViT"],
        "estimate": [0.92, -0.69, 0.49],
        "low": [0.6, -1.02, 0.35],
        "high": [1.24, -0.36, 0.63],
        "p": [1e-9, 0.0214, 0.3],
        "family": ["Visualization", "Visualization", "Network"],
    }
)


EFFECTS = pd.DataFrame(
    {"level": ["llama", "nile_crocodile"], "mode": [0.4, -0.2], "se": [0.1, 0.2]}
)


FLOW = pd.DataFrame(
    {
        "rule": ["arrived", "incomplete", "below_chance"],
        "break_it": [0, 9, 11],
        "dropped": [0, 9, 8],
        "left": [191, 182, 174],
        "left_control": [95, 91, 87],
        "left_maco_with_transparency": [95, 90, 86],
    }
)


POWER = pd.DataFrame(
    {
        "effect": ["strong", "strong", "none", "none"],
        "participants": [80, 40, 40, 80],
        "power": [0.9, 0.6, 0.05, 0.04],
        "low": [0.88, 0.55, 0.03, 0.02],
        "high": [0.93, 0.65, 0.07, 0.06],
    }
)


RESIDUALS = pd.DataFrame(
    {
        "predicted": np.repeat(np.linspace(0.2, 0.8, 10), 99),
        "residual": np.tile(np.arange(1, 100) / 100, 10),
    }
)


TIMES = pd.DataFrame(
    {
        "condition": ["control"] * 41 + ["maco_with_transparency"] * 3,
        "correct": [1] * 21 + [0] * 20 + [1, 1, 0],
        "rt_ms": [*np.geomspace(500, 8000, 21), *np.geomspace(900, 9000, 20), 700.0, 2500.0, 0.0],
    }
)


BINS = pd.DataFrame(
    [
        (network, number, 0.5 + number / 10, 0.4 + number / 10, 0.55 + number / 10, scale * number)
        for network, scale in (("VGG16", 4.0), ("ResNet50", 0.2))
        for number in (1, 2, 3)
    ],
    columns=["network", "bin", "mean", "low", "high", "activation_difference"],
)


EXAMPLES = {
    "performance": lambda: figures.performance(PEOPLE, LINK, RESPONSE),
    "forest": lambda: figures.forest(CONTRASTS, adjustment="Tukey"),
    "caterpillar": lambda: figures.caterpillar(EFFECTS, "class"),
    "exclusions_flow": lambda: figures.exclusions_flow(FLOW),
    "power_curves": lambda: figures.power_curves(POWER, alpha=0.05),
    "residuals": lambda: figures.residuals(RESIDUALS),
    "reaction_times": lambda: figures.reaction_times(TIMES),
    "activation": lambda: figures.activation(BINS),
}


@cache
def example(name: str) -> Figure:
    return EXAMPLES[name]()


def points(axes: Axes) -> list[tuple[float, float]]:
    """Where the markers are, of lines that are drawn with them."""
    lines = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    return [(float(x), float(y)) for line in lines for x, y in line.get_xydata()]


def intervals(axes: Axes, label: str = "") -> list[tuple[float, float]]:
    """The two ends of each interval bar that is drawn, along the axis on which they differ."""
    ends = []
    for bars in axes.collections:
        if hasattr(bars, "get_segments") and bars.get_label().startswith(label):
            for segment in bars.get_segments():
                if len(segment):  # one with a NaN has no points
                    along = int(segment[0, 0] == segment[1, 0])
                    ends.append((float(segment[0, along]), float(segment[1, along])))
    return ends


def shown(figure: Figure) -> list[Text]:
    """All text that can be seen: matplotlib keeps ticks that lie outside the axes."""
    unseen = {
        tick.label1
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    found = figure.findobj(Text)
    return [one for one in found if one.get_visible() and one.get_text() and one not in unseen]


def texts(figure: Figure) -> list[str]:
    told = [one.get_text().replace("\N{NO-BREAK SPACE}", " ") for one in shown(figure)]
    return [" ".join(one.split()) for one in told]


def labels(axis: mpl.axis.Axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]
