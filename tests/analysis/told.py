"""Tables of tests and contrasts to tell of, and how nobody may tell of them."""

from __future__ import annotations

import re

import pandas as pd

from analysis.omnibus import LikelihoodRatio

NO_DIFFERENCE = re.compile(
    r"no (?:significant )?(?:difference|effect|interaction)\b|did not differ"
)


def comparison(*, chisq: float, p: float, gain: float, df: int = 6) -> LikelihoodRatio:
    """A test whose larger model has the lower AIC by `gain`."""
    return LikelihoodRatio(("a", "b"), (8, 8 + df), (0, 0), (gain, 0.0), chisq, df, p, p, "")


def terms(**p: float) -> pd.DataFrame:
    table = pd.DataFrame({"df": 3.0, "chisq": 40.137, "p": pd.Series(p)})
    return table.rename(index=lambda name: name.replace("_by_", ":"))


def difference(estimate: float, se: float = 0.13, p: float = 0.0001) -> pd.Series:
    reach = 2.57 * se
    return pd.Series(
        {"estimate": estimate, "se": se, "low": estimate - reach, "high": estimate + reach}
        | {"z": estimate / se, "p": p}
    )


def mean(log_odds: float, se: float = 0.1) -> pd.Series:
    ends = {"low": log_odds - 1.96 * se, "high": log_odds + 1.96 * se}
    return pd.Series({"condition": "control", "log_odds": log_odds, "se": se, **ends})
