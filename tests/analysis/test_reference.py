"""Agreement with lme4, emmeans and car on the simulated data of this repository.

How the results were frozen: reference/README.md.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from analysis import MixedLogitResults, mixed_logit
from analysis.contrasts import pairwise, versus_control
from analysis.marginal_means import marginal_means
from analysis.omnibus import anova, likelihood_ratio

FOLDER = Path(__file__).parent / "data" / "lme4"
MODELS = sorted(path.stem for path in FOLDER.glob("*.json"))
CODINGS = {"treatment": "Treatment", "sum": "Sum", "helmert": "Helmert"}
Pair = tuple[MixedLogitResults, dict[str, Any]]


def frozen(name: str) -> dict[str, Any]:
    """What R said about a model; lme4 names the inner factor of a nested pair first, we last."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    if name == "nested":
        text = re.sub(r'"(\w+):(\w+)', r'"\2:\1', text)
    result: dict[str, Any] = json.loads(text)
    return result


def fitted(expected: dict[str, Any]) -> MixedLogitResults:
    """Our fit of the same model; R codes factors by a setting, we in the formula."""
    formula = expected["formula"]
    if expected["coding"] != "treatment":
        coded = rf"C(\1, {CODINGS[expected['coding']]})"
        formula = re.sub(r"\b(condition|network)\b", coded, formula)
    data = pd.read_csv(FOLDER / expected["data"])
    return mixed_logit(formula, data, quadrature=expected["quadrature"])


def spelled(name: str, expected: dict[str, Any]) -> str:
    """Our name of a column as R writes it: `networkvgg`, or `network1` where it numbers them."""
    if name == "Intercept":
        return "(Intercept)"
    if expected["coding"] == "treatment":
        return re.sub(r"\[T\.(\w+)\]", r"\1", name)
    data = pd.read_csv(FOLDER / expected["data"])

    def numbered(match: re.Match[str]) -> str:
        levels = sorted(data[match[1]].unique())
        return f"{match[1]}{levels.index(match[2]) + (expected['coding'] == 'sum')}"

    return re.sub(r"C\((\w+), \w+\)\[[SH]\.(\w+)\]", numbered, name)


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest) -> Pair:
    expected = frozen(request.param)
    return fitted(expected), expected


@pytest.fixture(scope="module")
def crossed() -> Pair:
    expected = frozen("crossed")
    return fitted(expected), expected


def fixed_effects(pair: Pair) -> pd.DataFrame:
    """Estimates and standard errors of both, by R's names."""
    results, expected = pair
    ours = pd.DataFrame({"ours": results.params, "our_se": results.bse})
    ours.index = pd.Index([spelled(name, expected) for name in ours.index])
    return pd.DataFrame(expected["fixef"]).set_index("term").join(ours, validate="1:1")


def test_every_model_is_frozen() -> None:
    assert len(MODELS) == 13


def test_the_likelihood_agrees_and_is_never_lower(pair: Pair) -> None:
    results, expected = pair
    assert results.converged
    if expected["quadrature"] > 1:
        return  # lme4 then leaves constants out
    assert results.llf == pytest.approx(expected["logLik"], abs=1e-6)
    assert results.llf > expected["logLik"] - 1e-8
    assert results.aic == pytest.approx(expected["AIC"], abs=2e-6)
    assert results.bic == pytest.approx(expected["BIC"], abs=2e-6)


def test_counts_agree(pair: Pair) -> None:
    results, expected = pair
    assert (results.df, results.nobs) == (expected["df"], expected["nobs"])
    assert results.is_singular == expected["isSingular"]


def test_coefficients_agree(pair: Pair) -> None:
    table = fixed_effects(pair)
    assert (np.abs(table["ours"] - table["estimate"]) / table["se"]).max() < 2e-4
    assert len(table) == len(pair[0].params)


def test_standard_errors_agree(pair: Pair) -> None:
    table = fixed_effects(pair)
    np.testing.assert_allclose(table["our_se"], table["se"], rtol=1e-3)


def test_theta_agrees(pair: Pair) -> None:
    results, expected = pair
    names = [re.sub(r"\[T\.(\w+)\]", r"\1", str(name)) for name in results.theta.index]
    names = [name.replace("Intercept", "(Intercept)") for name in names]
    ours = dict(zip(names, results.theta, strict=True))
    assert ours.keys() == expected["theta"].keys()
    tolerance = 1e-3 if expected["isSingular"] else 1e-5
    assert ours == pytest.approx(expected["theta"], abs=tolerance)


def test_variances_and_correlations_agree(pair: Pair) -> None:
    results, expected = pair
    for entry in pd.DataFrame(expected["varcorr"]).to_dict("records"):
        covariance = results.random_effects_cov[entry["group"]]
        names = [spelled(str(name), expected) for name in covariance.index]
        sd = np.sqrt(np.diag(covariance))
        i = names.index(entry["name"])
        value = sd[i]
        if isinstance(entry["with"], str):
            j = names.index(entry["with"])
            value = covariance.iloc[i, j] / (sd[i] * sd[j])
        tolerance = 1e-3 if expected["isSingular"] else 1e-5
        assert value == pytest.approx(entry["sd_or_correlation"], abs=tolerance)


def test_conditional_modes_and_their_standard_errors_agree(pair: Pair) -> None:
    results, expected = pair
    tolerance = 1e-4 if expected["isSingular"] else 2e-5
    for entry in expected["ranef"]:
        table = results.random_effects[entry["group"]].loc[entry["levels"]]
        names = {spelled(str(name), expected): str(name) for name in table.columns}
        ours = names[entry["name"]]
        np.testing.assert_allclose(table[ours], entry["mode"], atol=tolerance)
        np.testing.assert_allclose(table[f"{ours}_se"], entry["se"], atol=tolerance)


@pytest.mark.parametrize(("name", "kind"), [("crossed", 2), ("crossed_sum", 3)])
def test_wald_tests_of_terms_are_those_of_car(name: str, kind: Literal[2, 3]) -> None:
    expected = frozen(name)
    theirs = pd.DataFrame(expected[f"anova{kind}"]).set_index("term")
    ours = anova(fitted(expected), kind)
    ours.index = [re.sub(r"C\((\w+), Sum\)", r"\1", str(term)) for term in ours.index]
    ours = ours.rename(index={"Intercept": "(Intercept)"}).loc[theirs.index]
    np.testing.assert_allclose(ours["chisq"], theirs["Chisq"], rtol=1e-3)
    np.testing.assert_allclose(ours["p"], theirs["Pr(>Chisq)"], atol=2e-4)
    assert list(ours["df"]) == list(theirs["Df"])


def test_the_likelihood_ratio_of_the_interaction_agrees(crossed: Pair) -> None:
    results, expected = crossed
    additive = {**expected, "formula": expected["formula"].replace("*", "+")}
    ours, theirs = likelihood_ratio(fitted(additive), results), expected["lrt_interaction"]
    assert ours.chisq == pytest.approx(theirs["chisq"], abs=1e-6)
    assert ours.p == pytest.approx(theirs["p"], abs=1e-6)
    assert ours.df == theirs["df"]


@pytest.mark.parametrize(
    ("name", "factors", "by"),
    [
        ("condition_link", "condition", ()),
        ("network_link", "network", ()),
        ("cells_link", "condition", "network"),
    ],
)
def test_marginal_means_are_those_of_emmeans(
    name: str, factors: str, by: str, crossed: Pair
) -> None:
    results, expected = crossed
    theirs = pd.DataFrame(expected["emmeans"][name])
    levels = [column for column in ("condition", "network") if column in theirs]
    ours = marginal_means(results, factors, by=by).table().set_index(levels)
    theirs = theirs.set_index(levels).loc[ours.index]
    np.testing.assert_allclose(ours["log_odds"], theirs["emmean"], atol=1e-5)
    np.testing.assert_allclose(ours["se"], theirs["SE"], rtol=1e-3)
    ends = theirs[["asymp.LCL", "asymp.UCL"]]
    np.testing.assert_allclose(ours[["low", "high"]], ends, atol=5e-4)


def test_marginal_probabilities_are_those_of_emmeans(crossed: Pair) -> None:
    results, expected = crossed
    ours = marginal_means(results, "condition").table("response")
    theirs = pd.DataFrame(expected["emmeans"]["condition_response"])
    assert list(ours["condition"]) == list(theirs["condition"])
    np.testing.assert_allclose(ours["probability"], theirs["prob"], atol=1e-5)
    np.testing.assert_allclose(ours["se"], theirs["SE"], rtol=1e-3)


@pytest.mark.parametrize("adjust", ["tukey", "holm", "fdr", "sidak", "bonferroni", "none"])
def test_pairwise_contrasts_are_those_of_emmeans(adjust: str, crossed: Pair) -> None:
    results, expected = crossed
    ours = pairwise(marginal_means(results, "condition"), adjust=adjust).table()
    agree(ours, pd.DataFrame(expected["emmeans"]["pairs_condition"][adjust]), p=2e-4)


def test_contrasts_with_a_control_are_those_of_emmeans(crossed: Pair) -> None:
    results, expected = crossed
    means = marginal_means(results, "condition")
    theirs = pd.DataFrame(expected["emmeans"]["versus_control"])
    agree(versus_control(means, "control").table(), theirs, p=1e-3)  # theirs is a simulation


def agree(ours: pd.DataFrame, theirs: pd.DataFrame, p: float) -> None:
    """Contrasts, their intervals and adjusted p-values are the same."""
    assert list(ours["contrast"]) == list(theirs["contrast"])
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], atol=1e-5)
    np.testing.assert_allclose(ours["se"], theirs["SE"], rtol=1e-3)
    np.testing.assert_allclose(ours["p"], theirs["p.value"], atol=p)
    ends = theirs[["asymp.LCL", "asymp.UCL"]]
    np.testing.assert_allclose(ours[["low", "high"]], ends, atol=1e-3)
