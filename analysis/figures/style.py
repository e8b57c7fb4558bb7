"""How every figure looks and is written: type, colours, markers, words, numbers, files."""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

COLUMN, PAGE = 3.4, 7.0  # widths in inches: one column of a journal, and two
PNG_DPI, SCREEN_DPI = 200, 110
MINUS = "\N{MINUS SIGN}"
INK, GREY = "#222222", "#767676"
MARKERS = "osD^vPX<>p"
LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (8, 2)))
DASHED = (0, (4, 2))
STYLE: Mapping[str, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.dpi": PNG_DPI,  # letters are laid out as wide as the PNG shows them
    "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
    "font.size": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.title_fontsize": 7.5,
    "lines.linewidth": 1.2,
    "svg.fonttype": "none",
    "svg.hashsalt": "figure",
    "text.color": INK,
    "text.hinting": "none",
    "text.parse_math": False,  # a "$" in the name of a condition is a "$"
    "xtick.color": INK,
    "xtick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.color": INK,
    "ytick.labelsize": 7.5,
    "ytick.major.width": 0.6,
}


@dataclass(frozen=True)
class Look:
    """What sets one series apart from the others: each of the three alone would do."""

    color: str
    marker: str
    line: Any


class Sheet(Figure):
    """A figure that a notebook shows, though pyplot knows nothing of it."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The PNG that `save` writes, and the width in pixels at which a page shows it."""
        drawn = io.BytesIO()
        with matplotlib.style.context(dict(STYLE), after_reset=True):
            self.savefig(drawn, format="png", dpi=PNG_DPI)
        return drawn.getvalue(), {"width": round(self.get_figwidth() * SCREEN_DPI)}


@contextmanager
def sheet(width: float, height: float) -> Iterator[Figure]:
    """A new figure of `width` x `height` inches in the house style.

    It is laid out when the block ends, and stays as it is. Belongs to no pyplot; matplotlib's
    settings are as before.
    """
    with matplotlib.style.context(dict(STYLE), after_reset=True):
        figure = Sheet(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def save(figure: Figure, path_without_suffix: str | Path) -> tuple[Path, Path]:
    """Writes a figure as SVG and as PNG of 200 dots an inch; gives both paths.

    The folder is made if need be. Either file is whole or not there. Text stays text in the SVG,
    whose bytes are the same whenever the same figure is saved.
    """
    stem = Path(path_without_suffix)
    stem.parent.mkdir(parents=True, exist_ok=True)
    svg, png = (stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png"))
    with matplotlib.style.context(dict(STYLE), after_reset=True):
        _write(figure, svg, metadata={"Date": None})
        _write(figure, png, dpi=PNG_DPI)
    return svg, png


def _write(figure: Figure, path: Path, **options: Any) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        figure.savefig(draft, format=path.suffix[1:], **options)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name. Colours run from dark to light, and greyscale keeps their order."""
    shades = mpl.colormaps["viridis"](np.linspace(0.0, 0.75, max(len(names), 2)))
    return {
        name: Look(to_hex(shades[i]), MARKERS[i % len(MARKERS)], LINES[i % len(LINES)])
        for i, name in enumerate(names)
    }


def require(table: pd.DataFrame, columns: Sequence[str], what: str) -> pd.DataFrame:
    """The table, if it has rows and all of `columns`. `what` names it in the error."""
    for column in columns:
        if column not in table:
            has = ", ".join(map(str, table)) or "none"
            raise ValueError(f"{what} has no column {column!r}; its columns: {has}")
    if table.empty:
        raise ValueError(f"{what} is empty: there is nothing to draw")
    return table


def levels(column: pd.Series[Any]) -> list[Any]:
    """The levels that occur: in the order of the categories, or else of appearance."""
    if column.isna().any():
        raise ValueError(f"{int(column.isna().sum())} rows have no {column.name}: fill or drop it")
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if (column == level).any()]
    return list(column.unique())


def words(name: object, width: int = 12) -> str:
    """A name from a table as a person would write it: spaces, lines of `width` letters or fewer.

    A single word may be longer than a line.
    """
    text = str(name).replace("_", " ").replace(" - ", f" {MINUS} ")
    return textwrap.fill(text, width, break_long_words=False)


def number(value: float, digits: int = 2) -> str:
    """A rounded number with a real minus sign; never minus nothing."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def percent(level: float) -> str:
    """A share as a percentage: "95 %"."""
    return f"{100 * level:g} %"


def p_value(p: float) -> str:
    """A p-value as the APA writes it: ".021", "< .001"; a dash if there is none."""
    if np.isnan(p):
        return "\N{EN DASH}"
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def ticks(nice: Sequence[float], low: float, high: float) -> list[float]:
    """Values to write on a logarithmic axis from `low` to `high`, by preference the `nice` ones.

    Those nearest to 1 come first, and none is so near to another that their labels would touch.
    With fewer than two of them in sight, round numbers of the stretch.
    """
    apart, chosen = 0.07 * (np.log(high) - np.log(low)), list[float]()
    for value in sorted(nice, key=lambda value: abs(np.log(value))):
        if low <= value <= high and all(abs(np.log(value / one)) >= apart for one in chosen):
            chosen.append(value)
    if len(chosen) < 2:
        found = MaxNLocator(4).tick_values(low, high)
        chosen = [float(value) for value in found if low <= value <= high]
    return sorted(chosen)


def mark(axes: Axes, at: float, name: str = "") -> None:
    """A dashed line across at a height that means something, named beside the axes."""
    axes.axhline(at, color=GREY, linewidth=0.8, linestyle=DASHED, zorder=1, label="_mark")
    if name:
        say_beside(axes, at, name)


def say_beside(axes: Axes, y: float, text: str, *, points: float = 3, **style: Any) -> Any:
    """Text to the right of the axes at the height `y`, where no data can lie."""
    options: dict[str, Any] = {"color": GREY, "fontsize": 7, "ha": "left", "va": "center"}
    return axes.annotate(
        text,
        (1, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(points, 0),
        textcoords="offset points",
        annotation_clip=False,
        **(options | style),
    )


def binned(values: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    """Sideways places of dots, so that those within `height` of each other lie side by side.

    values: (n,). Gives (n,) whole and half numbers around 0: times the step between two dots.
    """
    rows = np.round(values / height)
    places = np.zeros(len(values))
    order = np.lexsort((values, rows))
    edges = [0, *(np.flatnonzero(np.diff(rows[order])) + 1), len(values)]
    for start, end in pairwise(edges):
        places[order[start:end]] = np.arange(end - start) - (end - start - 1) / 2
    return places
