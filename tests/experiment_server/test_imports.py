"""The server is light: it loads no network, no array and no table."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "timm", "pandas", "numpy", "PIL", "safetensors", "maco"}


@pytest.mark.parametrize(
    "statement",
    [
        "import experiment_server",
        "from experiment_server import create_app",
        "import pkgutil, importlib, experiment_server as package\n"
        "for one in pkgutil.walk_packages(package.__path__, 'experiment_server.'):\n"
        "    if not one.name.startswith('experiment_server.migrations'):\n"
        "        importlib.import_module(one.name)",
    ],
    ids=["package", "factory", "every module"],
)
def test_importing_the_server_loads_nothing_heavy(loaded_by, statement):
    assert loaded_by(statement) & HEAVY == set()


def test_this_would_notice_a_heavy_import(loaded_by):
    assert "safetensors" in loaded_by("import experiment_server, safetensors")
    assert "numpy" in loaded_by("import experiment_server, numpy")


def test_the_server_works_where_nothing_heavy_is_installed():
    """A heavy import inside a function would be found here, if it is on the way to the start."""
    absent = "\n".join(f"sys.modules[{name!r}] = None" for name in HEAVY)
    script = f"import sys\n{absent}\nimport experiment_server.commands\nprint('ready')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "ready\n", done.stderr
