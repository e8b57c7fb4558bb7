"""The notebook runs from top to bottom as it is shipped, and on any other export."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from exports import make_export
from nbclient import NotebookClient

import analysis

NOTEBOOK = Path(analysis.__file__).parent / "study.ipynb"
HERE = 'Path(analysis.__file__).parent / "demo"'


def run(notebook: nbformat.NotebookNode, folder: Path) -> list[nbformat.NotebookNode]:
    """The code cells after running all; raises what a cell raises."""
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    return [cell for cell in client.execute().cells if cell.cell_type == "code"]


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def figures_in(cells: list[nbformat.NotebookNode]) -> int:
    return sum("image/png" in out.get("data", {}) for cell in cells for out in cell.outputs)


def test_the_notebook_runs_as_shipped(notebook, tmp_path):
    cells = run(notebook, tmp_path)
    assert figures_in(cells) == 5
    said = "".join(out.get("text", "") for cell in cells for out in cell.outputs)
    assert "demo: " in said and "preregistered rules:" in said
    assert not list(tmp_path.iterdir())


def test_another_export_is_one_change_away(notebook, tmp_path):
    folder = make_export(tmp_path / "export", participants=24, repeats=4)
    changed = 0
    for cell in notebook.cells:
        changed += HERE in cell.source
        cell.source = cell.source.replace(HERE, f"Path({str(folder)!r})")
    assert changed == 1
    assert figures_in(run(notebook, tmp_path)) == 5


def test_it_is_kept_without_outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
