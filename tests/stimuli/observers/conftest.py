"""A bundle of coloured discs, and observers who look at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from coloured_discs import colours, make_bundle

from stimuli.observers.panel import Panel, observe
from stimuli.schema import Study, read_study


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("discs") / "bundle")


@pytest.fixture(scope="module")
def study(bundle) -> Study:
    return read_study(bundle)


@pytest.fixture(scope="module")
def watch(study, bundle) -> Callable[..., Panel]:
    """`watch()`: the panel with one observer `colours`; settings as in `observe`."""

    def run(changed: Study | None = None, **settings) -> Panel:
        watched = changed or study
        return observe(watched, bundle, {"colours": [colours()]}, progress=False, **settings)

    return run
