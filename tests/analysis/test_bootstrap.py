"""The parametric bootstrap: intervals, and tests that hold their level with few items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import MixedLogitResults, mixed_logit
from analysis.bootstrap import bootstrap, bootstrap_test

FORMULA = "correct ~ condition + network + (1 | participant) + (1 | item)"


@pytest.fixture(scope="module")
def results(simulated) -> MixedLogitResults:
    return mixed_logit(FORMULA, simulated(1, participants=40, items=8))


@pytest.fixture(scope="module")
def drawn(results):
    return bootstrap(results, 200, np.random.default_rng(5))


def test_estimates_spread_as_standard_errors_say(results, drawn):
    assert drawn.converged.all()
    spread = drawn.params.std() / results.bse
    assert spread.drop("Intercept").between(0.85, 1.15).all()
    centre = (drawn.params.mean() - results.params) / (results.bse / np.sqrt(200))
    assert centre.abs().max() < 4


def test_intervals_are_near_walds_and_hold_the_estimate(results, drawn):
    interval, wald = drawn.conf_int(), results.conf_int()
    name = "condition[T.maco]"
    assert interval.loc[name, "low"] < results.params[name] < interval.loc[name, "high"]
    ratio = (interval.loc[name, "high"] - interval.loc[name, "low"]) / np.ptp(wald.loc[name])
    assert 0.85 < ratio < 1.15
    assert interval.loc["Intercept | participant", "low"] > 0
    assert (interval["low"] < interval["high"]).all()


def test_a_contrast_is_the_sum_it_says(results, drawn):
    weights = [float(name == "network[T.b]") for name in results.params.index]
    expected = drawn.conf_int(0.9).loc["network[T.b]"]
    assert drawn.contrast(weights, 0.9) == pytest.approx(tuple(expected))


def test_the_first_of_many_studies_are_those_of_few(results, drawn):
    few = bootstrap(results, 3, np.random.default_rng(5))
    pd.testing.assert_frame_equal(few.params, drawn.params.head(3))


def between_items(seed: int) -> pd.DataFrame:
    """A null effect between 6 items of differing difficulty."""
    rng = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product([range(30), range(6)], names=["participant", "item"])
    table = rows.to_frame(index=False)
    eta = rng.normal(0, 1, 6)[table["item"]] + rng.normal(0, 0.5, 30)[table["participant"]]
    table["correct"] = rng.binomial(1, 1 / (1 + np.exp(-eta)))
    table["kind"] = np.where(table["item"] % 2, "even", "odd")
    return table.astype({"participant": str, "item": str})


def test_the_bootstrap_knows_that_six_items_are_few():
    table, random = between_items(45), "(1 | participant) + (1 | item)"
    small = mixed_logit(f"correct ~ 1 + {random}", table)
    large = mixed_logit(f"correct ~ kind + {random}", table)
    test = bootstrap_test(small, large, 300, np.random.default_rng(0))
    assert test.chisq == pytest.approx(2 * (large.llf - small.llf))
    assert (test.df, test.draws) == (1, 300)
    # Items vary far more than their means' sampling error: nearly a t-test of six numbers, whose
    # likelihood ratio is 6 log(1 + t²/4).
    exact = 2 * stats.t.sf(np.sqrt(4 * np.expm1(test.chisq / 6)), 4)
    assert exact > 1.8 * stats.chi2.sf(test.chisq, 1)
    assert test.p == pytest.approx(exact, abs=0.04)


def test_a_large_effect_has_the_least_p_that_draws_allow(study):
    small = mixed_logit("correct ~ network + (1 | participant)", study)
    large = mixed_logit("correct ~ condition + network + (1 | participant)", study)
    assert bootstrap_test(small, large, 19, np.random.default_rng(0)).p == 1 / 20


def test_models_that_are_not_nested_are_refused(results, study):
    small = mixed_logit("correct ~ network + (1 | participant)", study)
    with pytest.raises(ValueError, match="fit both to the same"):
        bootstrap_test(small, results, 9, np.random.default_rng(0))
    with pytest.raises(ValueError, match="give the smaller model first"):
        bootstrap_test(small, small, 9, np.random.default_rng(0))


def test_no_draws_are_refused(results):
    with pytest.raises(ValueError, match="draws = 0"):
        bootstrap(results, 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="level = 95"):
        bootstrap(results, 1, np.random.default_rng(0)).conf_int(95)
