"""Refits find what a fit from nothing finds, whatever was fitted before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis import MixedLogitResults, mixed_logit
from analysis.fit import fit_design
from analysis.refit import Refits
from analysis.simulation import draw_outcomes, simulate_outcomes

FORMULAS = [
    "correct ~ condition * network + (1 | participant) + (1 | item)",
    "correct ~ condition + network + (1 + network | participant) + (1 | item)",
]


@pytest.fixture(scope="module", params=FORMULAS)
def results(request: pytest.FixtureRequest, study: pd.DataFrame) -> MixedLogitResults:
    return mixed_logit(request.param, study)


def outcomes(results: MixedLogitResults, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [simulate_outcomes(results, rng) for _ in range(count)]


def test_a_refit_agrees_with_a_fit_from_nothing(results):
    refits = Refits(results.design, results.fit)
    for successes in outcomes(results, 5):
        alone = fit_design(results.design.with_outcome(successes))
        quick, exact = refits.estimates(successes), refits.fit(successes)
        se = np.sqrt(np.diag(alone.covariance))
        assert np.abs((quick.beta - alone.beta) / se).max() < 1e-3
        assert np.abs((exact.beta - alone.beta) / se).max() < 1e-5
        assert quick.llf == pytest.approx(alone.llf, abs=1e-5)
        assert exact.llf == pytest.approx(alone.llf, abs=1e-6)
        np.testing.assert_allclose(np.diag(exact.covariance), se**2, rtol=1e-3)
        for ours, theirs in zip(quick.factors, alone.factors, strict=True):
            np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=2e-3)


def test_a_refit_does_not_depend_on_the_one_before(results):
    refits = Refits(results.design, results.fit)
    first, second = outcomes(results, 2)
    alone = refits.estimates(second).beta
    refits.estimates(first)
    assert (refits.estimates(second).beta == alone).all()


def test_the_observed_outcomes_give_the_fit_back(results):
    refit = Refits(results.design, results.fit).estimates(results.design.successes)
    np.testing.assert_allclose(refit.beta, results.fit.beta, atol=1e-6)
    assert refit.llf == pytest.approx(results.llf, abs=1e-9)


def test_simulated_studies_vary_as_the_model_says(results):
    rng = np.random.default_rng(0)
    means = [simulate_outcomes(results, rng).mean() for _ in range(300)]
    same = [simulate_outcomes(results, rng, levels="same").mean() for _ in range(300)]
    conditional = results.predict()
    sampling = np.sqrt((conditional * (1 - conditional)).sum()) / results.nobs
    assert np.std(same) == pytest.approx(sampling, rel=0.15)
    assert np.std(means) > 2 * np.std(same)
    assert np.mean(same) == pytest.approx(conditional.mean(), abs=4 * sampling / np.sqrt(300))


def test_other_parameters_can_be_drawn_from(results):
    nothing = [np.zeros_like(factor) for factor in results.fit.factors]
    beta = np.zeros_like(results.fit.beta)
    drawn = draw_outcomes(results.design, beta, nothing, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(results.nobs))


def test_refits_of_a_singular_fit_find_variances_again(study):
    """At a variance of 0 the gradient is 0 whatever the data: a search must not begin there."""
    rng = np.random.default_rng(4)
    table = study.assign(idle=rng.integers(0, 24, len(study)).astype(str))
    fitted = mixed_logit("correct ~ network + (1 | participant) + (1 | idle)", table)
    place = [effects.label for effects in fitted.design.random].index("idle")
    assert fitted.is_singular and abs(fitted.fit.factors[place][0, 0]) < 1e-4
    spreads = [np.array([[0.7]]), np.array([[0.5]])]
    refits = Refits(fitted.design, fitted.fit)
    for _ in range(5):
        drawn = draw_outcomes(fitted.design, fitted.fit.beta, spreads, rng)
        alone = fit_design(fitted.design.with_outcome(drawn))
        quick = refits.estimates(drawn)
        assert quick.llf == pytest.approx(alone.llf, abs=1e-5)
        assert quick.factors[place][0, 0] > 0.2
