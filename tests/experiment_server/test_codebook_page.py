"""docs/codebook.md says of each column what the export's codebook says."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiment_server.codebook import describe
from stimuli.schema import Participant, Response

PAGE = Path(__file__).parents[2] / "docs" / "codebook.md"


def row(name: str, column: dict[str, object]) -> str:
    levels = column.get("levels")
    kind = ", ".join(f"`{level}`" for level in levels) if levels else column["type"]
    empty = "yes" if column["may_be_missing"] else ""
    return f"| `{name}` | {kind} | {column.get('unit', '')} | {empty} | {column['description']} |"


@pytest.mark.parametrize(
    ("heading", "model"), [("trials", Response), ("participants", Participant)]
)
def test_the_page_has_a_row_for_each_column_and_no_other(heading, model):
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}.csv")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [row(name, column) for name, column in describe(model, {}).items()]
