"""What all tests share: the real data's place, repeatable property tests, what an import loads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

# One thread, here and in what tests start: threads of busy cores wait for each other, and sums come
# out the same in every process. Set before torch is first imported.
os.environ["OMP_NUM_THREADS"] = "1"

SHARED = Path(__file__).parents[2] / "shared"

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs and weights beside the repository; skips where it is not."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip("the real photographs and weights (../shared/data) are not on this machine")
    return data


@pytest.fixture(scope="session")
def loaded_by() -> Callable[[str], set[str]]:
    """`loaded_by(statement)`: the packages loaded after it, in a Python of its own."""

    @cache
    def run(statement: str) -> set[str]:
        script = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        return set(done.stdout.split())

    return run
