"""Agreement with the frozen results of lme4::glmer, run to a tight tolerance."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import MixedLogitResults, mixed_logit

Reference = Callable[[str], dict[str, Any]]
Table = Callable[[str], pd.DataFrame]

MODELS = [
    "maco_tight",
    "maco_tight_sum",
    "maco_slope",
    "maco_image",
    "maco_singular",
    "cbpp_nagq1",
    "verbagg",
]


def plain(name: str) -> str:
    """A coefficient's name in R's spelling or patsy's, made one."""
    name = name.replace("Intercept", "(Intercept)") if name == "Intercept" else name
    return re.sub(r"\[T\.|\[|\]", "", name)


@pytest.fixture(scope="module", params=MODELS)
def pair(
    request: pytest.FixtureRequest, reference: Reference, table: Table
) -> tuple[MixedLogitResults, dict[str, Any]]:
    expected = reference(request.param)
    formula = expected["formula"]
    if expected["contrasts"] == "sum":
        formula = formula.replace("visualization*network", "C(visualization, Sum)*C(network, Sum)")
    return mixed_logit(formula, table(expected["data"])), expected


def in_order(results: MixedLogitResults, expected: dict[str, Any]) -> list[int]:
    """Where each of lme4's coefficients stands among ours: patsy may order terms otherwise."""
    names = [plain(name) for name in results.params.index]
    if expected["contrasts"] == "sum":
        return [names.index(_sum_name(entry["term"])) for entry in expected["fixef"]]
    return [names.index(entry["term"]) for entry in expected["fixef"]]


def _sum_name(term: str) -> str:
    """R numbers the levels of a sum coding; patsy names them."""
    levels = {
        "visualization": ["A_none", "B_gradcam", "C_ig", "D_concept"],
        "network": ["n1", "n2", "n3"],
    }

    def name(match: re.Match[str]) -> str:
        return f"C({match[1]}, Sum)S.{levels[match[1]][int(match[2]) - 1]}"

    return re.sub(r"(visualization|network)(\d)", name, term)


Pair = tuple[MixedLogitResults, dict[str, Any]]


def test_the_likelihood_agrees_and_is_never_lower(pair: Pair) -> None:
    results, expected = pair
    assert results.llf == pytest.approx(expected["logLik"], abs=1e-6)
    assert results.llf > expected["logLik"] - 1e-8
    assert results.converged


def test_coefficients_and_standard_errors_agree(pair: Pair) -> None:
    results, expected = pair
    places = in_order(results, expected)
    frozen = pd.DataFrame(expected["fixef"])
    differences = (results.params.to_numpy()[places] - frozen["estimate"]) / frozen["se"]
    assert np.abs(differences).max() < 2e-4
    np.testing.assert_allclose(results.bse.to_numpy()[places], frozen["se"], rtol=1e-3)
    vcov = np.array(expected["vcov"])
    covariance = np.asarray(results.cov_params())[np.ix_(places, places)]
    assert np.abs(covariance - vcov).max() < 2e-3 * np.diag(vcov).max()


def test_theta_and_variances_agree(pair: Pair) -> None:
    results, expected = pair
    names = [name.replace("[T.", "").replace("]", "") for name in results.theta.index]
    ours = {
        name.replace("Intercept", "(Intercept)"): value
        for name, value in zip(names, results.theta, strict=True)
    }
    for name, value in expected["theta"].items():
        assert ours[name] == pytest.approx(value, abs=1e-5)
    for entry in expected["varcorr"]:
        if not entry["var2"]:
            covariance = results.random_effects_cov[entry["grp"]]
            place = [plain(name) for name in covariance.index].index(entry["var1"])
            assert np.sqrt(covariance.iloc[place, place]) == pytest.approx(entry["sdcor"], abs=1e-5)


def test_conditional_modes_agree(pair: Pair) -> None:
    results, expected = pair
    for group, rows in expected["ranef"].items():
        frozen = pd.DataFrame(rows).set_index("level")
        modes = results.random_effects[group]
        modes.columns = pd.Index([plain(name) for name in modes.columns])
        for name in frozen.columns.drop("_row", errors="ignore"):
            np.testing.assert_allclose(modes.loc[frozen.index, name], frozen[name], atol=2e-5)


def test_counts_agree(pair: Pair) -> None:
    results, expected = pair
    assert results.is_singular == expected["isSingular"]
    assert (results.df, results.nobs) == (expected["df"], expected["nobs"])
    assert results.aic == pytest.approx(expected["AIC"], abs=2e-6)
    assert results.bic == pytest.approx(expected["BIC"], abs=2e-6)


def test_standard_errors_agree_closely_with_glmmtmb(reference: Reference, table: Table) -> None:
    expected = reference("maco_glmmTMB")
    formula = "correct ~ visualization * network + (1 | participant) + (1 | class)"
    results = mixed_logit(formula, table("maco_sim.csv"))
    ours = {plain(name): se for name, se in results.bse.items()}
    for entry in expected["fixef"]:
        assert ours[entry["term"]] == pytest.approx(entry["se"], rel=1e-4)


def test_wald_tests_of_terms_agree(reference: Reference, table: Table) -> None:
    expected = {entry["term"]: entry for entry in reference("maco_tight_sum")["anova3"]}
    formula = "correct ~ C(visualization, Sum) * C(network, Sum) + (1 | participant) + (1 | class)"
    tests = mixed_logit(formula, table("maco_sim.csv")).wald_test_terms(scalar=True).table
    for term, row in tests.iterrows():
        name = re.sub(r"C\((\w+), Sum\)", r"\1", str(term)).replace("Intercept", "(Intercept)")
        assert row["statistic"] == pytest.approx(expected[name]["chisq"], rel=1e-3)
        assert row["df_constraint"] == expected[name]["df"]


def test_separated_data_is_warned_of(table: Table) -> None:
    results = mixed_logit(
        "correct ~ visualization + (1 | participant) + (1 | class)", table("maco_separated.csv")
    )
    assert any(sentence.startswith("Separation") for sentence in results.warnings)


@pytest.mark.parametrize("points", [9, 25])
def test_quadrature_agrees(points: int, reference: Reference, table: Table) -> None:
    expected = reference(f"cbpp_nagq{points}")
    results = mixed_logit(expected["formula"], table("cbpp.csv"), quadrature=points)
    frozen = pd.DataFrame(expected["fixef"])
    places = in_order(results, {**expected, "contrasts": "treatment"})
    differences = (results.params.to_numpy()[places] - frozen["estimate"]) / frozen["se"]
    assert np.abs(differences).max() < 2e-4
    np.testing.assert_allclose(results.bse.to_numpy()[places], frozen["se"], rtol=1e-3)
    assert results.theta.iloc[0] == pytest.approx(expected["theta"]["herd.(Intercept)"], abs=1e-5)
