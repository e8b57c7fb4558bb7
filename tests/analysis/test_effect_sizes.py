"""Odds ratios, intraclass correlations and R² beside lme4 and the performance package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frozen import expected, fitted

from analysis import MixedLogitResults, mixed_logit
from analysis.effect_sizes import icc, odds_ratios, r_squared, variances

Reference = Callable[[str], dict[str, Any]]
Table = Callable[[str], pd.DataFrame]


@pytest.fixture(scope="module")
def maco(table: Table) -> MixedLogitResults:
    formula = "correct ~ visualization * network + (1 | participant) + (1 | class)"
    return mixed_logit(formula, table("maco_sim.csv"))


def test_odds_ratios_agree(maco: MixedLogitResults, reference: Reference) -> None:
    frozen = reference("maco_tight")
    table = odds_ratios(maco)
    table.index = pd.Index(
        [
            str(name).replace("[T.", "").replace("]", "").replace("Intercept", "(Intercept)")
            for name in table.index
        ]
    )
    for row in frozen["fixef"]:
        assert np.log(table.loc[row["term"], "odds_ratio"]) == pytest.approx(
            row["estimate"], abs=5e-5
        )
        assert table.loc[row["term"], "p"] == pytest.approx(row["p"], rel=1e-2, abs=1e-4)
    for row in frozen["confint_wald"]:
        ends = np.log(table.loc[row["term"], ["low", "high"]].astype(float))
        np.testing.assert_allclose(ends, [row["2.5 %"], row["97.5 %"]], atol=1e-4)


def test_icc_and_r_squared_agree(maco: MixedLogitResults, reference: Reference) -> None:
    frozen = reference("maco_tight")
    table, shares = icc(maco), r_squared(maco)
    adjusted, conditional = frozen["icc"]
    assert table.loc["all", "adjusted"] == pytest.approx(adjusted, abs=1e-6)
    assert table.loc["all", "conditional"] == pytest.approx(conditional, abs=1e-6)
    assert shares.conditional == pytest.approx(frozen["r2"][0], abs=1e-6)
    assert shares.marginal == pytest.approx(frozen["r2"][1], abs=1e-6)
    participant = {row["grp"]: row["vcov"] for row in frozen["varcorr"]}["participant"]
    total = sum(row["vcov"] for row in frozen["varcorr"]) + np.pi**2 / 3
    assert table.loc["participant", "adjusted"] == pytest.approx(participant / total, abs=1e-6)
    assert table.loc[["participant", "class"]].sum().to_list() == pytest.approx(
        table.loc["all"].to_list()
    )


def test_random_slopes_count_with_the_mean_over_rows() -> None:
    frozen, parts = expected()["slopes"], variances(fitted("slopes"))
    assert parts.fixed == pytest.approx(frozen["variance_fixed"], rel=1e-4)
    assert list(parts.random) == ["participant", "item"]
    assert list(parts.random.values()) == pytest.approx(frozen["variance_random"], rel=1e-4)


def test_an_effect_for_each_row_is_residual() -> None:
    results = fitted("counts")
    rows = results.design.data.assign(row=lambda data: np.arange(len(data)).astype(str))
    parts = variances(mixed_logit(f"{results.design.formula.text} + (1 | row)", rows))
    assert list(parts.random) == ["participant"]
    assert parts.residual >= np.pi**2 / 3


def test_a_level_is_a_share() -> None:
    with pytest.raises(ValueError, match="level = 95"):
        odds_ratios(fitted("two"), 95)
