"""What the tests of the engine share: frozen results of lme4, and simulated studies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

Reference = Callable[[str], dict[str, Any]]
Table = Callable[[str], pd.DataFrame]


@pytest.fixture(scope="session")
def glmm_data(shared_data: Path) -> Path:
    """The folder of frozen lme4 results; skips where it is not."""
    folder = shared_data / "glmm"
    if not folder.is_dir():
        pytest.skip("the frozen results of lme4 (../shared/data/glmm) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def reference(glmm_data: Path) -> Reference:
    """A frozen result by name."""
    return lambda name: json.loads((glmm_data / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def table(glmm_data: Path) -> Table:
    """The data of a frozen result by file name."""
    return lambda name: pd.read_csv(glmm_data / name, dtype={"period": str, "herd": str})


def simulate(seed: int = 0, participants: int = 60, items: int = 12) -> pd.DataFrame:
    """A study: condition between participants, networks within, effects .6 and -.4, sd .7/.5."""
    rng = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product(
        [range(participants), range(items), ["a", "b"]], names=["participant", "item", "network"]
    ).to_frame(index=False)
    rows["condition"] = np.where(rows["participant"] % 2, "maco", "control")
    rows["age"] = rng.normal(2000, 30, participants)[rows["participant"]]
    by_participant = rng.normal(0, 0.7, participants)[rows["participant"]]
    by_item = rng.normal(0, 0.5, items)[rows["item"]]
    eta = 0.3 + 0.6 * (rows["condition"] == "maco") - 0.4 * (rows["network"] == "b")
    chance = 1 / (1 + np.exp(-(eta + by_participant + by_item)))
    rows["correct"] = rng.binomial(1, chance)
    rows["participant"] = "p" + rows["participant"].astype(str)
    rows["item"] = "i" + rows["item"].astype(str)
    return rows


@pytest.fixture(scope="session")
def study() -> pd.DataFrame:
    """One simulated study."""
    return simulate()


@pytest.fixture(scope="session")
def simulated() -> Callable[..., pd.DataFrame]:
    """Simulated studies by seed and size."""
    return simulate
