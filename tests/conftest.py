"""What all tests share: where the real data lies, and property tests that repeat themselves."""

from __future__ import annotations

import os
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
