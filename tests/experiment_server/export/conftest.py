"""Where the exports go."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "results" / "export"
