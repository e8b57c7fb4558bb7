"""Tables as a reader sees them: headings in words, numbers in APA style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.report.apa import interval, number

Row = Any  # a row of a table, by column name
Form = Callable[[Any], str]
CI = "95% CI"


@dataclass(frozen=True)
class Sheet:
    """A table to print: its caption, headings, and cells; the first `heads` columns are names.

    is_text: whether the other cells are words, and not numbers in a column.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    heads: int = 1
    is_text: bool = False


@dataclass(frozen=True)
class Column:
    """A column to print: its heading, and what stands there of a row."""

    heading: str
    cell: Callable[[Row], str]


def sheet(table: pd.DataFrame, caption: str, columns: Sequence[Column], heads: int = 1) -> Sheet:
    """A table to print, of the columns given."""
    rows = [[column.cell(row) for column in columns] for row in table.to_dict("records")]
    return Sheet(caption, [column.heading for column in columns], rows, heads)


def of(name: str, heading: str, form: Form = number) -> Column:
    """The column `name` under a heading."""
    return Column(heading, lambda row: form(row[name]))


def ends(form: Form = number, low: str = "low", high: str = "high", heading: str = CI) -> Column:
    """The interval from `low` to `high`."""
    return Column(heading, lambda row: interval(row[low], row[high], form))


def bare_percent(value: float) -> str:
    """A share in percent, where the heading has the sign."""
    return number(100 * value, 1)
