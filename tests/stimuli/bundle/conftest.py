"""The bundle of the small study, built once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_study import write

from stimuli.build import build
from stimuli.schema import Study, read_study


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """The bundle of the tiny study."""
    folder = tmp_path_factory.mktemp("tiny")
    build(write(folder), folder / "bundle", progress=False, device="cpu")
    return folder / "bundle"


@pytest.fixture(scope="session")
def study(tiny) -> Study:
    return read_study(tiny)
