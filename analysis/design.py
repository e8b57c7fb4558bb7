"""A formula and a table made matrices: outcome, fixed effects and random effects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import NDArray
from patsy import EvalEnvironment

from analysis.formula import FUNCTIONS, Formula, RandomTerm

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RandomEffects:
    """The random effects of one grouping factor.

    `z` (n, p) are the effects' values, `codes` (n,) the level of each row, `free` (p, p) which
    entries of the lower-triangular factor of their covariance are estimated.
    """

    term: RandomTerm
    names: list[str]
    levels: list[str]
    z: Floats
    codes: Ints
    free: NDArray[np.bool_]
    infos: list[Any]

    @property
    def label(self) -> str:
        """The grouping factor as printed."""
        return self.term.label


@dataclass(frozen=True)
class Design:
    """All that a fit needs: `successes` of `trials` (n,), `x` (n, p) and the random effects.

    `kept` are the columns of patsy's matrix that are in `x`; `dropped` names the others, which
    are sums of earlier columns. `data` has the rows in the columns that the formula names.
    """

    formula: Formula
    data: pd.DataFrame
    successes: Floats
    trials: Floats
    x: Floats
    names: list[str]
    kept: list[int]
    dropped: list[str]
    info: Any
    random: list[RandomEffects]

    def with_columns(self, columns: Sequence[int]) -> Design:
        """The design with some columns of `x` only, as a null hypothesis has them."""
        names = [self.names[column] for column in columns]
        kept = [self.kept[column] for column in columns]
        return replace(self, x=self.x[:, list(columns)], names=names, kept=kept)

    def with_outcome(self, successes: Floats) -> Design:
        """The design with other outcomes (n,), of as many trials."""
        return replace(self, successes=successes)


def build_design(formula: Formula, data: pd.DataFrame) -> Design:
    """The matrices of `formula` for the rows of `data`.

    Raises ValueError, in one line, for data that no such model can be fitted to.
    """
    if data.empty:
        raise ValueError("the data is empty: there is no row to fit")
    check_complete(formula, data)
    data = _with_categories(data[used_columns(formula, data)])
    successes, trials = _outcome(formula, data)
    matrix = _matrix(formula.fixed, data)
    info = matrix.design_info
    _check_levels(info)
    full = np.asarray(matrix, dtype=np.float64)
    kept = independent_columns(full)
    names = [str(name) for name in info.column_names]
    random = [_random_effects(term, data) for term in formula.random]
    design = Design(
        formula,
        data,
        successes,
        trials,
        full[:, kept],
        [names[column] for column in kept],
        kept,
        [name for column, name in enumerate(names) if column not in kept],
        info,
        random,
    )
    _check_size(design)
    return design


def independent_columns(x: Floats) -> list[int]:
    """Indices of the columns that are no sum of earlier columns, as lme4 keeps them."""
    r: Floats = np.asarray(np.linalg.qr(x, mode="r"), dtype=np.float64)
    basis = np.zeros((len(r), 0))
    kept: list[int] = []
    for column in range(x.shape[1]):
        rest = r[:, column] - basis @ (basis.T @ r[:, column])
        rest -= basis @ (basis.T @ rest)
        size = np.linalg.norm(rest)
        if size > 1e-7 * max(float(np.linalg.norm(r[:, column])), 1e-300):
            basis = np.column_stack([basis, rest / size])
            kept.append(column)
    return kept


def check_complete(formula: Formula, data: pd.DataFrame) -> None:
    """Raise ValueError for the first missing or infinite value in a column of the formula."""
    for name in used_columns(formula, data):
        column = data[name]
        bad = column.isna().to_numpy()
        if pd.api.types.is_float_dtype(column.dtype):
            bad = bad | np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"column {name!r} has {int(bad.sum())} missing or infinite value(s), the first in "
                f"row {row + 1} of {len(data)}: drop or fill these rows"
            )


def used_columns(formula: Formula, data: pd.DataFrame) -> list[str]:
    """The columns of `data` that the formula names, in the table's order."""
    words = set(re.findall(r"\w+", formula.text))
    return [str(name) for name in data.columns if name in words]


def level_labels(term: RandomTerm, data: pd.DataFrame) -> pd.Series[str]:
    """The level of the grouping factor each row belongs to: `p001`, or `c01:n1`."""
    labels = [data[name].astype(str).astype(object) for name in term.group]
    joined: pd.Series[str] = labels[0]
    for column in labels[1:]:
        joined = joined + ":" + column
    return joined


def rows_of(info: Any, data: pd.DataFrame) -> Floats:
    """The rows (n, p) of a design matrix for other data.

    Raises ValueError for a level that the fit did not have, and for missing values.
    """
    categories = data.select_dtypes("category")
    plain = data.assign(**{str(name): categories[name].astype(object) for name in categories})
    try:
        (matrix,) = patsy.build_design_matrices([info], plain, NA_action="raise")
    except patsy.PatsyError as error:
        raise ValueError(f"cannot predict from the data: {error.message}") from None
    if len(matrix) != len(data):  # a formula of an intercept alone has one row for any data
        matrix = np.repeat(matrix, len(data), axis=0)
    return np.asarray(matrix, dtype=np.float64)


def _with_categories(data: pd.DataFrame) -> pd.DataFrame:
    """Texts as categories in alphabetical order, read once and not by row; none without a row."""
    found = {}
    for name, column in data.items():
        if pd.api.types.is_object_dtype(column) or isinstance(column.dtype, pd.StringDtype):
            column = column.astype("category")
        if isinstance(column.dtype, pd.CategoricalDtype):
            found[str(name)] = column.cat.remove_unused_categories()
    return data.assign(**found)


def _matrix(part: str, data: pd.DataFrame) -> Any:
    try:
        return patsy.dmatrix(part, data, EvalEnvironment([FUNCTIONS]), NA_action="raise")
    except patsy.PatsyError as error:
        raise ValueError(f"cannot make {part!r} from the data: {error.message}") from None


def _outcome(formula: Formula, data: pd.DataFrame) -> tuple[Floats, Floats]:
    successes = _numbers(formula.successes, data)
    if formula.failures is None:
        _check_binary(formula.successes, successes)
        return successes, np.ones_like(successes)
    failures = _numbers(formula.failures, data)
    for text, counts in ((formula.successes, successes), (formula.failures, failures)):
        bad = (counts < 0) | (counts != np.round(counts))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"{text} must count trials (0, 1, 2, ...), but row {row + 1} has {counts[row]:g}"
            )
    trials = successes + failures
    _check_varies(formula.successes, successes, trials)
    return successes, trials


def _numbers(expression: str, data: pd.DataFrame) -> Floats:
    values = EvalEnvironment([FUNCTIONS]).eval(expression, inner_namespace=data)
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        row = next(i for i, value in enumerate(values) if not isinstance(value, (int, float)))
        raise ValueError(
            f"the outcome {expression} must be 0 or 1, but row {row + 1} has {values.iloc[row]!r}"
        ) from None


def _check_binary(name: str, values: Floats) -> None:
    bad = ~np.isin(values, (0.0, 1.0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"the outcome {name} must be 0 or 1, but row {row + 1} has {values[row]:g}; "
            "for counts write cbind(successes, failures)"
        )
    _check_varies(name, values, np.ones_like(values))


def _check_varies(name: str, successes: Floats, trials: Floats) -> None:
    if successes.sum() in (0.0, trials.sum()):
        raise ValueError(f"the outcome {name} is the same in every row: there is nothing to model")


def _check_levels(info: Any) -> None:
    for factor, kind in info.factor_infos.items():
        if kind.type == "categorical" and len(kind.categories) < 2:
            raise ValueError(
                f"factor {factor.name()} has one level ({kind.categories[0]!r}): "
                "it needs two, so leave it out of the formula or check the data"
            )


def _random_effects(term: RandomTerm, data: pd.DataFrame) -> RandomEffects:
    matrices = [_matrix(part, data) for part in term.effects]
    for matrix in matrices:
        _check_levels(matrix.design_info)
    names = [str(name) for m in matrices for name in m.design_info.column_names]
    codes, levels = _codes(term, data)
    if len(levels) < 2:
        raise ValueError(
            f"grouping factor {term.label} has one level ({levels[0]}): it needs at least two"
        )
    part = np.repeat(np.arange(len(matrices)), [m.shape[1] for m in matrices])
    return RandomEffects(
        term,
        names,
        levels,
        np.column_stack([np.asarray(matrix, dtype=np.float64) for matrix in matrices]),
        codes,
        np.tril(part[:, None] == part[None, :]),
        [matrix.design_info for matrix in matrices],
    )


def _codes(term: RandomTerm, data: pd.DataFrame) -> tuple[Ints, list[str]]:
    """The level of each row as a number, and the levels in alphabetical order."""
    combined = data.groupby(list(term.group), observed=True, sort=False).ngroup().to_numpy()
    _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
    labels = level_labels(term, data.iloc[first]).to_numpy()
    order = np.argsort(labels)
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return ranks[codes], [str(label) for label in labels[order]]


def _check_size(design: Design) -> None:
    rows, single = len(design.trials), bool((design.trials <= 1).all())
    for effects in design.random:
        if single and len(effects.levels) == rows:
            raise ValueError(
                f"grouping factor {effects.label} has a level for each row: "
                "a 0/1 outcome cannot tell it from chance"
            )
    parameters = design.x.shape[1] + sum(int(effects.free.sum()) for effects in design.random)
    if parameters >= rows:
        raise ValueError(f"{parameters} parameters for {rows} rows: the model is too large")
