"""The grid that marginal means are averages over: every combination of levels, once."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.design import Design, rows_of
from analysis.mixed_logit import MixedLogitResults

Floats = NDArray[np.float64]


def grid_values(design: Design, random: bool = False) -> dict[str, list[Any]]:
    """The values that each column of the fixed effects takes in the grid of means.

    Levels in the order of the model; for numbers with more than two values, the mean. With
    `random` also the columns of the random slopes.
    """
    infos = [design.info, *(info for e in design.random for info in e.infos if random)]
    values: dict[str, list[Any]] = {}
    for factor, kind in [pair for info in infos for pair in info.factor_infos.items()]:
        for name in columns_of(factor.name(), design.data):
            levels = list(kind.categories) if kind.type == "categorical" else []
            found = _values(design.data[name], levels)
            if name not in values or (len(values[name]) == 1 and len(found) > 1):
                values[name] = found
    return values


def combinations(values: dict[str, list[Any]]) -> pd.DataFrame:
    """All combinations, the first column varying fastest."""
    names = list(values)
    rows = itertools.product(*(values[name] for name in reversed(names)))
    return pd.DataFrame(list(rows), columns=names[::-1])[names]


def columns_of(code: str, data: pd.DataFrame) -> list[str]:
    """The columns that a piece of a formula names, outside its quoted strings."""
    words = re.findall(r"\w+", re.sub(r"'[^']*'|\"[^\"]*\"", "", code))
    return [str(name) for name in data.columns if name in words]


def grid_rows(design: Design, grid: pd.DataFrame) -> tuple[Floats, Floats]:
    """The rows of `x` for a grid, and how far its dropped columns are from their sums (n, d).

    Where that is not 0, the row is no sum of the rows of the data and cannot be estimated.
    """
    full = rows_of(design.info, grid)
    names = list(design.info.column_names)
    dropped = [names.index(name) for name in design.dropped]
    x = full[:, design.kept]
    if not dropped:
        return x, np.zeros((len(grid), 0))
    scale = np.linalg.norm(design.x, axis=0)
    there = rows_of(design.info, design.data)[:, dropped]
    sums = np.linalg.lstsq(design.x / scale, there, rcond=None)[0] / scale[:, None]
    sizes = np.maximum(np.abs(there).max(axis=0), 1e-300)
    return x, (full[:, dropped] - x @ sums) / sizes


def total_variance(results: MixedLogitResults, grid: pd.DataFrame) -> Floats:
    """The variance (n,) that all random effects give the log-odds of each row of a grid."""
    total = np.zeros(len(grid))
    for effects in results.design.random:
        z = np.hstack([rows_of(info, grid) for info in effects.infos])
        covariance = results.random_effects_cov[effects.label].to_numpy()
        total += np.einsum("ni,ij,nj->n", z, covariance, z)
    return total


def _values(column: pd.Series[Any], levels: list[Any]) -> list[Any]:
    """The values of a column in the grid; `levels` are those of its factor, none of a number."""
    unique = sorted(column.unique())
    if set(unique) <= set(levels):
        return [level for level in levels if level in set(unique)]
    if len(unique) > 2 and pd.api.types.is_numeric_dtype(column.dtype):
        return [float(column.mean())]
    return unique
