"""What R printed for the simulated study of data/emmeans, and tables compared by name."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import MixedLogitResults, mixed_logit

FOLDER = Path(__file__).parent / "data" / "emmeans"
RANDOM = "(1 | participant) + (1 | item)"
FORMULAS = {
    "three": f"correct ~ group * network * block + age + expert + {RANDOM}",
    "two": f"correct ~ group * network + block + age + {RANDOM}",
    "two_sum": "correct ~ C(group, Sum) * C(network, Sum) + C(block, Sum) + age + " + RANDOM,
    "additive": f"correct ~ group + network + block + np.log(age) + {RANDOM}",
    "gap": f"correct ~ group * network + {RANDOM}",
    "counts": "cbind(successes, failures) ~ group * network + (1 | participant)",
    "slopes": "correct ~ group + network + (1 + network | participant) + (1 | item)",
    "intercepts": f"correct ~ group + network + {RANDOM}",
}


@cache
def expected() -> dict[str, Any]:
    """The frozen results by model."""
    return json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


def uneven() -> pd.DataFrame:
    """The simulated study: uneven cells, a covariate, a number with two values."""
    return pd.read_csv(FOLDER / "uneven.csv")


@cache
def fitted(name: str) -> MixedLogitResults:
    """A model of FORMULAS fitted to the rows that R fitted it to."""
    rows = uneven()
    if name == "gap":
        rows = rows[~((rows["group"] == "olah") & (rows["network"] == "n2"))]
    if name == "counts":
        cells = rows.groupby(["participant", "group", "network"])["correct"].agg(["sum", "size"])
        rows = cells.reset_index().rename(columns={"sum": "successes"})
        rows["failures"] = rows["size"] - rows["successes"]
    return mixed_logit(FORMULAS[name], rows)


def assert_agrees(
    ours: pd.DataFrame,
    theirs: list[dict[str, Any]],
    keys: list[str],
    columns: dict[str, tuple[str, float]],
) -> None:
    """Each column of ours within a tolerance of theirs, rows matched by their keys."""
    frozen = pd.DataFrame(theirs).set_index(keys)
    table = ours.set_index(keys)
    assert set(table.index) == set(frozen.index)
    table = table.loc[frozen.index]
    for column, (name, tolerance) in columns.items():
        values = frozen[name].astype(float)
        np.testing.assert_allclose(table[column], values, rtol=0, atol=tolerance, err_msg=column)
