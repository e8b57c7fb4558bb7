"""The analysis knows tables and statistics, and loads no network and no server."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FOREIGN = ("torch", "timm", "maco", "flask", "sqlalchemy", "experiment_server")


def loaded_by(statement: str) -> set[str]:
    """Packages of FOREIGN that are loaded after a statement, in a Python of its own."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout)) & set(FOREIGN)


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
def test_importing_the_analysis_loads_neither_networks_nor_a_server(statement):
    assert loaded_by(statement) == set()


def test_this_would_notice_a_foreign_import():
    assert "flask" in loaded_by("import analysis, flask")
