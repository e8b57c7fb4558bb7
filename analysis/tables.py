"""A CSV file -> records of a model -> a table with proper types; what is wrong is said by row."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

SHOWN = 5
# Before a text that begins so, an export puts an apostrophe; the last four are full-width.
FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001
GROUPS = ("condition", "network", "unit", "class_label", "base_image", "trial_id")
Rename = Callable[[dict[str, str]], dict[str, str]]


@dataclass(frozen=True)
class Row:
    """A valid record and its row as a spreadsheet shows it: the header is row 1."""

    number: int
    record: Any


def read_rows(
    path: Path,
    model: type[BaseModel],
    *,
    rename: Rename | None = None,
    needed: Sequence[str] | None = None,
) -> list[Row]:
    """The records of a CSV file. Raises ValueError with all problems counted, five shown.

    rename: a row of the file -> a row of the model, where the columns differ. needed: columns the
    file must have; without it the model's required ones, and no others than the model's.
    """
    header, lines = _read_lines(path)
    refuse(path, _header_problems(header, model, needed))
    found: list[Row] = []
    problems: list[str] = []
    for number, cells in lines:
        if len(cells) != len(header):
            problems.append(f"row {number}: {len(cells)} cells, but the header has {len(header)}")
            continue
        row = dict(zip(header, map(plain, cells), strict=True))
        try:
            found.append(Row(number, model.model_validate(rename(row) if rename else row)))
        except ValidationError as error:
            details = error.errors(include_url=False)
            problems += [f"row {number}, {_sentence(detail)}" for detail in details]
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    refuse(path, problems)
    return found


def tabulate(
    rows: list[Row], model: type[BaseModel], levels: Mapping[str, list[str]]
) -> pd.DataFrame:
    """The records as a table: categories, integers, floats and times as the model has them.

    levels: order of a column's categories, where known; sorted otherwise.
    """
    properties = model.model_json_schema()["properties"]
    return pd.DataFrame(
        {
            column: _series(
                [getattr(row.record, column) for row in rows], column, schema, levels.get(column)
            )
            for column, schema in properties.items()
        }
    )


def refuse(where: Path, problems: list[str]) -> None:
    """Raises ValueError, with how many problems there are and the first five, if there are any."""
    if not problems:
        return
    if len(problems) == 1:
        raise ValueError(f"{where}: {problems[0]}")
    shown = "\n".join(f"  {problem}" for problem in problems[:SHOWN])
    more = f"; the first {SHOWN}" if len(problems) > SHOWN else ""
    raise ValueError(f"{where}: {len(problems)} problems{more}:\n{shown}")


def plain(cell: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    is_marked = cell[:1] == "'" and cell.lstrip("'")[:1] in FORMULA_STARTS
    return cell[1:] if is_marked else cell


def _read_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the other rows that are not blank, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in enumerate(csv.reader(file), start=1) if line[1]]
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    if len(lines) < 2:
        raise ValueError(f"{path}: there are no rows" if lines else f"{path}: the file is empty")
    return lines[0][1], lines[1:]


def _header_problems(
    header: list[str], model: type[BaseModel], needed: Sequence[str] | None
) -> list[str]:
    if len(header) == 1 and ";" in header[0]:
        return ["row 1: cells are separated by semicolons; save it again with commas"]
    fields = model.model_fields
    required = [name for name, field in fields.items() if field.is_required()]
    absent = [name for name in (required if needed is None else needed) if name not in header]
    extra = [name for name in header if name not in fields] if needed is None else []
    return [
        *(f"row 1: there is no column {name!r}" for name in dict.fromkeys(absent)),
        *(f"row 1: column {name!r} is none of {model.__name__}'s" for name in extra),
        *(f"row 1: column {name!r} is there {n} times" for name, n in _repeated(header)),
    ]


def _repeated(names: list[str]) -> Iterator[tuple[str, int]]:
    return ((name, times) for name, times in Counter(names).items() if times > 1)


def _sentence(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    if not detail["loc"]:
        return message
    value = "empty" if detail["input"] in (None, "") else repr(detail["input"])
    expected = message.replace("Input should be", "expected", 1)
    return f"column {detail['loc'][0]}: {value}; {expected}"


def _series(
    values: list[Any], column: str, schema: dict[str, Any], levels: list[str] | None
) -> pd.Series[Any]:
    kinds = schema.get("anyOf", [schema])
    kind, optional = kinds[0], len(kinds) > 1
    if kind.get("format") == "date-time":
        return pd.Series(pd.to_datetime(values, utc=True))
    if kind["type"] == "integer":
        return pd.Series(values, dtype="Int64" if optional else "int64")
    if kind["type"] == "number":
        return pd.Series(values, dtype="float64")
    if column in GROUPS or "enum" in kind:
        present = sorted({value for value in values if value is not None})
        order = [level for level in levels or kind.get("enum", present) if level in present]
        return pd.Series(pd.Categorical(values, categories=order))
    return pd.Series(values, dtype="object")
