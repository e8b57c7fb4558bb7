"""What is public, what is heavy, and who carries whom."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

import maco


@cache
def loaded_by(module):
    """The top-level packages that a fresh interpreter has loaded after importing a module."""
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return set(result.stdout.split())


def test_public_names_are_sorted_and_there():
    capitals = [name for name in maco.__all__ if name.isupper()]
    classes = [name for name in maco.__all__ if name[0].isupper() and not name.isupper()]
    functions = [name for name in maco.__all__ if name[0].islower()]
    assert maco.__all__ == [*sorted(capitals), *sorted(classes), *sorted(functions)]
    assert len(set(maco.__all__)) == len(maco.__all__)
    for name in maco.__all__:
        assert getattr(maco, name).__doc__, name


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("stimuli.schema", {"torch", "timm", "torchvision", "numpy", "pandas", "PIL", "flask"}),
        ("experiment_server", {"torch", "timm", "torchvision", "pandas", "maco"}),
        ("analysis", {"torch", "timm", "torchvision", "flask", "maco"}),
    ],
)
def test_light_packages_load_nothing_heavy(module, forbidden):
    loaded = loaded_by(module)
    assert module.split(".")[0] in loaded
    assert not loaded & forbidden


def test_the_check_of_what_is_loaded_can_fail():
    assert {"maco", "torch", "timm", "numpy"} <= loaded_by("maco")


def test_maco_knows_nothing_of_people():
    assert not loaded_by("maco") & {"stimuli", "experiment_server", "analysis", "flask", "pandas"}
