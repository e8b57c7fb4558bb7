"""The analysis knows tables and statistics, and loads no network and no server."""

from __future__ import annotations

import pytest

FOREIGN = {"torch", "timm", "maco", "flask", "sqlalchemy", "experiment_server"}


@pytest.mark.parametrize(
    "statement",
    [
        "import analysis",
        "import pkgutil, importlib, analysis as package\n"
        "for one in pkgutil.walk_packages(package.__path__, 'analysis.'):\n"
        "    importlib.import_module(one.name)",
    ],
    ids=["package", "every module"],
)
def test_importing_the_analysis_loads_neither_networks_nor_a_server(loaded_by, statement):
    assert loaded_by(statement) & FOREIGN == set()


def test_this_would_notice_a_foreign_import(loaded_by):
    assert "flask" in loaded_by("import analysis, flask")
