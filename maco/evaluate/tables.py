"""Stage three: the paper's tables, with bootstrap intervals over classes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from maco.metrics.intervals import bootstrap_interval

# measure -> its heading, and whether more of it is better; None: neither.
_MEASURES: dict[str, tuple[str, bool | None]] = {
    "transfer_top1": ("transfer, top-1", True),
    "transfer_top5": ("transfer, top-5", True),
    "transfer_softmax": ("transfer, softmax", True),
    "logit": ("logit", None),  # more is stronger, not better: adversarial patterns have most
    "softmax": ("softmax", None),
    "brightness_sd": ("s.d. of log magnitude, brightness", False),
    "colour_sd": ("s.d. of log magnitude, colour", False),
    "gain": ("gain of magnitude", None),  # 1 is natural
}
_PLAUSIBILITY = re.compile(r"knn_(\d+)(_raw)?")
BY_NETWORK = "top1_"  # and the name of the classifier that was asked
POOLED = "all"
_NOT_POOLED = re.compile(r"knn_\d+_raw|logit")  # their scale is each network's own
_SEED = 0


def summarise(measurements: pd.DataFrame) -> pd.DataFrame:
    """Means: a row a network (and all of them), method, view and measure; mean, low, high, n.

    low, high: 95 % bootstrap interval of the mean; whole classes are drawn, for pictures of one
    class are alike.
    """
    rows = []
    measures = _measures(measurements)
    for network, own in _by_network(measurements):
        for (method, view), cell in own.groupby(["method", "view"], sort=False):
            for measure in measures:
                known = _known(cell, measure, network)
                if known.empty:
                    continue
                low, high = _interval(known[measure], known["class_index"])
                mean = known[measure].mean()
                rows.append((network, method, view, measure, mean, low, high, len(known)))
    columns = ["network", "method", "view", "measure", "mean", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def compare(measurements: pd.DataFrame, first: str) -> pd.DataFrame:
    """Differences first - other of paired pictures (network, class, seed), with the same intervals.

    A row a network, other method, view and measure: difference, low, high, n and `better`: the
    method that the interval favors, empty where it contains 0.
    """
    rows = []
    pair = ["network", "class_index", "seed", "view"]
    others = [name for name in measurements["method"].unique() if name != first]
    mine = measurements[measurements["method"] == first].set_index(pair)
    for other in others:
        theirs = measurements[measurements["method"] == other].set_index(pair)
        measures = _measures(measurements)
        paired = (mine[measures] - theirs[measures]).dropna(how="all").reset_index()
        for network, own in _by_network(paired):
            for view, cell in own.groupby("view", sort=False):
                for measure in measures:
                    known = _known(cell, measure, network)
                    if known.empty:
                        continue
                    low, high = _interval(known[measure], known["class_index"])
                    better = _favored(measure, low, high, first, other)
                    what = (network, first, other, view, measure)
                    rows.append((*what, known[measure].mean(), low, high, len(known), better))
    columns = [
        "network",
        "first",
        "other",
        "view",
        "measure",
        "difference",
        "low",
        "high",
        "n",
        "better",
    ]
    return pd.DataFrame(rows, columns=columns)


def heading(measure: str) -> str:
    """What a table calls a measure."""
    if measure.startswith(BY_NETWORK):
        return f"top-1 of {measure.removeprefix(BY_NETWORK)}"
    distance = _PLAUSIBILITY.fullmatch(measure)
    if distance:
        return f"Deep-KNN, k = {distance[1]}" + (", not normalised" if distance[2] else "")
    return _MEASURES[measure][0]


def more_is_better(measure: str) -> bool | None:
    """Which way a measure is good; None for one that is neither."""
    if measure.startswith(BY_NETWORK):
        return True
    return False if _PLAUSIBILITY.fullmatch(measure) else _MEASURES[measure][1]


def wide(summary: pd.DataFrame, measures: Sequence[str], view: float) -> pd.DataFrame:
    """A table to read: networks and methods down, measures across, "mean [low, high]" in cells."""
    part = summary[np.isclose(summary["view"], view, atol=1e-3)]
    cells = {}
    for (network, method), own in part.groupby(["network", "method"], sort=False):
        values = own.set_index("measure")[["mean", "low", "high"]].T.to_dict()
        cells[network, method] = {
            heading(measure): "{mean:.3g} [{low:.3g}, {high:.3g}]".format(**values[measure])
            for measure in measures
            if measure in values
        }
    table = pd.DataFrame.from_dict(cells, orient="index").fillna("")
    table.index.names = ["network", "method"]
    return table


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown, its index as the first columns."""
    flat = table.reset_index()
    lines = [flat.columns.tolist(), ["---"] * len(flat.columns), *flat.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _by_network(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    parts = [(str(name), own) for name, own in table.groupby("network", sort=False)]
    return parts + ([(POOLED, table)] if len(parts) > 1 else [])


def _measures(table: pd.DataFrame) -> list[str]:
    """Those columns of a table that are measures: plausibility, the others, by classifier."""
    distances = [name for name in table.columns if _PLAUSIBILITY.fullmatch(name)]
    asked = sorted(name for name in table.columns if name.startswith(BY_NETWORK))
    return [*distances, *(name for name in _MEASURES if name in table.columns), *asked]


def _known(cell: pd.DataFrame, measure: str, network: str) -> pd.DataFrame:
    """A measure where there is one: a network is not asked about its own pictures."""
    if network == POOLED and _NOT_POOLED.fullmatch(measure):
        return cell.iloc[:0]
    return cell[[measure, "class_index"]].dropna()


def _interval(values: pd.Series, classes: pd.Series) -> tuple[float, float]:
    generator = np.random.default_rng(_SEED)
    return bootstrap_interval(values.to_numpy(float), generator, clusters=classes.to_numpy())


def _favored(measure: str, low: float, high: float, first: str, other: str) -> str:
    wanted = more_is_better(measure)
    if wanted is None or not (low > 0 or high < 0):  # also where there is no interval
        return ""
    return first if (low > 0) == wanted else other
