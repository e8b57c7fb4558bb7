"""Profile-likelihood intervals, beside lme4's and beside likelihood-ratio tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.optimize import minimize
from scipy.stats import chi2

from analysis import mixed_logit
from analysis.fit import Fitting, fit_design
from analysis.profile import profile_conf_int

# confint(glmer(cbind(incidence, size - incidence) ~ period + (1 | herd))), lme4 1.1-31
CBPP = {
    "Intercept | herd": (0.3460732, 1.0999746),
    "Intercept": (-1.9012120, -0.9477540),
    "period[T.2]": (-1.6167833, -0.4077631),
    "period[T.3]": (-1.8010244, -0.5115361),
    "period[T.4]": (-2.5007506, -0.8007553),
}


def test_intervals_agree_with_lme4(table):
    results = mixed_logit(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", table("cbpp.csv")
    )
    ours = profile_conf_int(results)
    for name, ends in CBPP.items():
        assert tuple(ours.loc[name]) == pytest.approx(ends, abs=5e-5)


@pytest.mark.parametrize("quadrature", [1, 7])
def test_an_end_lies_at_zero_where_the_likelihood_ratio_test_has_that_level(study, quadrature):
    results = mixed_logit("correct ~ network + (1 | participant)", study, quadrature=quadrature)
    without = fit_design(results.design.with_columns([0]), quadrature)
    p = chi2.sf(2 * (results.llf - without.llf), 1)
    interval = profile_conf_int(results, ["network[T.b]"], level=1 - p)
    assert interval.loc["network[T.b]", "high"] == pytest.approx(0, abs=1e-4)


def test_slopes_and_covariates_of_any_scale_have_intervals_near_walds(study):
    results = mixed_logit(
        "correct ~ age + network + (1 + network | participant) + (1 | item)", study
    )
    ours, wald = profile_conf_int(results), results.conf_int()
    for name in ("age", "network[T.b]"):
        np.testing.assert_allclose(ours.loc[name], wald.loc[name], atol=0.15 * results.bse[name])
    assert "Intercept | participant" not in ours.index  # one of two: θ alone is no deviation
    low, high = ours.loc["Intercept | item"]
    sd = float(np.sqrt(results.random_effects_cov["item"].iloc[0, 0]))
    assert low < sd < high and high - sd > sd - low


def test_a_variance_of_nothing_starts_at_zero(study):
    rng = np.random.default_rng(0)
    table = study.assign(dummy=rng.integers(0, 20, len(study)).astype(str))
    results = mixed_logit("correct ~ network + (1 | participant) + (1 | dummy)", table)
    low, high = profile_conf_int(results, ["Intercept | dummy"]).iloc[0]
    assert low == 0 and 0 < high < 0.5


def test_other_variances_may_grow_along_a_profile(simulated):
    """Of a fit whose variances are 0, where the search must not stay at 0."""
    table = simulated(11, participants=16, items=4)
    results = mixed_logit("correct ~ condition + (1 | participant) + (1 | item)", table)
    name = "condition[T.maco]"
    for level in (0.95, 0.99):
        high = profile_conf_int(results, [name], level=level).loc[name, "high"]
        assert _rise(results, name, high) == pytest.approx(chi2.ppf(level, 1), abs=1e-3)


def _rise(results, name: str, value: float) -> float:
    """Twice the log-likelihood lost with an effect fixed at a value, from several starts."""
    fitting = Fitting(results.design, 1)
    place = list(results.params.index).index(name)
    row = np.concatenate([np.zeros(fitting.split), fitting.to_beta[place]])
    free = null_space(row[None, :])
    centre = results.fit.minimum.point
    centre = centre + row * (value - row @ centre) / (row @ row)

    def objective(z):
        deviance, gradient = fitting.objective(centre + free @ z)
        return deviance, free.T @ gradient

    rng = np.random.default_rng(0)
    starts = (free.T @ rng.normal(0, 0.5, len(centre)) for _ in range(8))
    least = min(minimize(objective, start, jac=True, method="BFGS").fun for start in starts)
    return least - results.fit.minimum.value


def test_separated_data_have_an_open_end(simulated):
    table = simulated(2, participants=20, items=4)
    table.loc[table["network"] == "b", "correct"] = 1
    results = mixed_logit("correct ~ network + (1 | participant)", table)
    low, high = profile_conf_int(results, ["network[T.b]"]).iloc[0]
    assert 1 < low < 20 and high == np.inf


def test_an_unknown_name_is_refused(study):
    results = mixed_logit("correct ~ network + (1 | participant)", study)
    with pytest.raises(ValueError, match=r"no profile of 'netwerk'; there are Intercept"):
        profile_conf_int(results, ["netwerk"])
    with pytest.raises(ValueError, match="level = 95"):
        profile_conf_int(results, level=95)
