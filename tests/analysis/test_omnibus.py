"""Tests of terms beside car::Anova, drop1 and anova, and of models that are not comparable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frozen import FORMULAS, expected, fitted, uneven
from scipy.stats import chi2

from analysis import MixedLogitResults, mixed_logit
from analysis.omnibus import anova, drop1, likelihood_ratio

Reference = Callable[[str], dict[str, Any]]
Table = Callable[[str], pd.DataFrame]

FULL = "correct ~ visualization * network + (1 | participant) + (1 | class)"
SUM = FULL.replace("visualization * network", "C(visualization, Sum) * C(network, Sum)")


@pytest.fixture(scope="module")
def fit(table: Table) -> Callable[[str], MixedLogitResults]:
    known: dict[str, MixedLogitResults] = {}

    def fit(formula: str) -> MixedLogitResults:
        if formula not in known:
            known[formula] = mixed_logit(formula, table("maco_sim.csv"))
        return known[formula]

    return fit


def in_r(term: str) -> str:
    """A term as R writes it."""
    for coding in ("C(", ", Sum)", "np."):
        term = term.replace(coding, "")
    return term.replace("Intercept", "(Intercept)")


def assert_terms(ours: pd.DataFrame, theirs: list[dict[str, Any]], relative: float) -> None:
    frozen = pd.DataFrame(theirs).set_index("term")
    ours = ours.set_axis([in_r(str(term)) for term in ours.index])
    assert set(ours.index) == set(frozen.index)
    ours = ours.loc[frozen.index]
    np.testing.assert_array_equal(ours["df"].astype(float), frozen["df"].astype(float))
    for column, least in (("chisq", 1e-4), ("p", 2e-4)):
        values = frozen[column].astype(float)
        np.testing.assert_allclose(ours[column], values, rtol=relative, atol=least, err_msg=column)
    if "aic" in ours:
        np.testing.assert_allclose(ours["aic"], frozen["aic"], atol=1e-5)


@pytest.mark.parametrize(
    "name", ["maco_tight", "maco_slope", "maco_image", "cbpp_nagq1", "verbagg"]
)
def test_type_2_wald_tests_agree_with_car(name: str, reference: Reference, table: Table) -> None:
    frozen = reference(name)
    results = mixed_logit(frozen["formula"], table(frozen["data"]))
    assert_terms(anova(results), frozen["anova2"], 1e-3)


def test_type_3_wald_tests_agree_with_car(
    fit: Callable[[str], MixedLogitResults], reference: Reference
) -> None:
    assert_terms(anova(fit(SUM), kind=3), reference("maco_tight_sum")["anova3"], 1e-3)
    assert_terms(anova(fit(SUM), kind=2), reference("maco_tight_sum")["anova2"], 1e-3)


def test_likelihood_ratios_agree_with_lme4(
    fit: Callable[[str], MixedLogitResults], reference: Reference
) -> None:
    frozen = reference("maco_tight")
    table = anova(fit(FULL), test="likelihood_ratio")
    names = {
        "visualization": "visualization_type2",
        "network": "network_type2",
        "visualization:network": "interaction",
    }
    for term, name in names.items():
        assert table.loc[term, "chisq"] == pytest.approx(frozen["lrt"][name]["chisq"], abs=1e-6)
        assert table.loc[term, "df"] == frozen["lrt"][name]["df"]
        assert table.loc[term, "p"] == pytest.approx(frozen["lrt"][name]["p"], rel=1e-5)
    additive = fit(FULL.replace("*", "+"))
    test = likelihood_ratio(additive, fit(FULL))
    assert test.chisq == pytest.approx(frozen["lrt"]["interaction"]["chisq"], abs=1e-6)
    assert test.llf == pytest.approx(tuple(frozen["lrt"]["interaction"]["logLik"]), abs=1e-6)
    assert (test.df, test.p, test.note) == (6, test.naive_p, "")
    assert test.aic[0] == pytest.approx(2 * 8 - 2 * test.llf[0])


@pytest.mark.parametrize("group", ["participant", "class"])
def test_a_variance_is_tested_at_its_boundary(
    group: str, fit: Callable[[str], MixedLogitResults], reference: Reference
) -> None:
    frozen = reference("maco_tight")["lrt_random"][group]
    test = likelihood_ratio(fit(FULL.replace(f" + (1 | {group})", "")), fit(FULL))
    assert test.chisq == pytest.approx(frozen["chisq"], abs=1e-6)
    assert test.naive_p == pytest.approx(frozen["p"], rel=1e-5)
    assert test.p == pytest.approx(frozen["p"] / 2, rel=1e-5)
    assert "half chi-square with 0 and half with 1 df" in test.note


def test_a_slope_and_its_covariance_are_tested_by_the_mixture() -> None:
    test = likelihood_ratio(fitted("intercepts"), fitted("slopes"))
    frozen = expected()["slopes"]["lrt_random"]
    assert test.chisq == pytest.approx(frozen["chisq"], abs=1e-5)
    assert test.naive_p == pytest.approx(frozen["p"], abs=1e-6)
    assert test.p == pytest.approx((chi2.sf(test.chisq, 1) + chi2.sf(test.chisq, 2)) / 2)


def test_two_variances_have_no_simple_mixture() -> None:
    small = mixed_logit("correct ~ group + network + (1 | item)", uneven())
    test = likelihood_ratio(small, fitted("slopes"))
    assert test.p == test.naive_p
    assert "parametric bootstrap" in test.note


def test_the_table_of_a_likelihood_ratio_has_both_models() -> None:
    table = likelihood_ratio(fitted("intercepts"), fitted("slopes")).table()
    assert list(table.columns) == ["parameters", "llf", "aic", "chisq", "df", "p"]
    assert list(table.index) == [FORMULAS["intercepts"], FORMULAS["slopes"]]
    assert table["chisq"].isna().tolist() == [True, False]


@pytest.mark.parametrize("model", ["three", "two", "counts", "slopes"])
def test_type_2_wald_tests_agree_in_uneven_cells(model: str) -> None:
    assert_terms(anova(fitted(model)), expected()[model]["anova2"], 2e-3)


def test_type_3_wald_tests_agree_in_uneven_cells() -> None:
    assert_terms(anova(fitted("two_sum"), kind=3), expected()["two"]["anova3"], 2e-3)


@pytest.mark.parametrize("model", ["three", "two", "additive", "gap"])
def test_drop1_agrees_also_with_an_empty_cell(model: str) -> None:
    assert_terms(drop1(fitted(model)), expected()[model]["drop1"], 1e-4)


@pytest.mark.parametrize("test", ["wald", "likelihood_ratio"])
def test_type_2_tests_do_not_depend_on_the_coding(test: Any) -> None:
    plain, coded = anova(fitted("two"), test=test), anova(fitted("two_sum"), test=test)
    coded = coded.set_axis([in_r(str(term)) for term in coded.index]).loc[plain.index]
    np.testing.assert_allclose(coded, plain, rtol=1e-4)


def test_type_3_likelihood_ratios_are_those_of_fits_without_the_columns() -> None:
    table = anova(fitted("two_sum"), kind=3, test="likelihood_ratio")
    rows = uneven().assign(
        n=lambda d: np.where(d["network"] == "n1", 1, -1),
        a=lambda d: (d["group"] == "control").astype(int) - (d["group"] == "olah"),
        b=lambda d: (d["group"] == "maco").astype(int) - (d["group"] == "olah"),
    )
    rest = "C(block, Sum) + age + (1 | participant) + (1 | item)"
    without = mixed_logit(f"correct ~ a + b + a:n + b:n + {rest}", rows)
    exact = 2 * (fitted("two_sum").llf - without.llf)
    assert table.loc["C(network, Sum)", "chisq"] == pytest.approx(exact, abs=1e-6)
    assert "Intercept" not in table.index


@pytest.mark.parametrize("test", ["wald", "likelihood_ratio"])
def test_collinear_columns_take_no_degrees_of_freedom(test: Any) -> None:
    rows = uneven().assign(
        months=lambda d: 12.0 * d["age"] + 3,
        treated=lambda d: np.where(d["group"] == "control", "no", "yes"),
    )
    formula = "correct ~ group + treated + age + months + (1 | participant)"
    table = anova(mixed_logit(formula, rows), test=test)
    assert table["df"].to_dict() == {"group": 1, "treated": 0, "age": 0, "months": 0}
    assert table["p"].isna().to_list() == [False, True, True, True]
    by_hand = mixed_logit("correct ~ treated + age + (1 | participant)", rows)
    full = mixed_logit("correct ~ group + age + (1 | participant)", rows)
    table = drop1(mixed_logit(formula, rows))
    assert table.loc["months", "aic"] == pytest.approx(full.aic, abs=1e-6)
    dropped = table.loc["group"]
    assert dropped["chisq"] == pytest.approx(2 * (full.llf - by_hand.llf), abs=1e-6)
    assert dropped["aic"] == pytest.approx(by_hand.aic, abs=1e-6)


@pytest.mark.parametrize("model", ["two", "gap"])
def test_type_3_is_refused_where_it_means_nothing(model: str) -> None:
    with pytest.raises(ValueError, match="kind=2"):
        anova(fitted(model), kind=3)


@pytest.mark.parametrize("coding", ["Sum", "Helmert"])
def test_type_3_takes_codings_that_sum_to_zero(coding: str) -> None:
    formula = FORMULAS["two_sum"].replace("Sum", coding)
    table = anova(mixed_logit(formula, uneven()), kind=3)
    reference = anova(fitted("two_sum"), kind=3)
    np.testing.assert_allclose(table["chisq"], reference["chisq"], rtol=1e-4)


@pytest.mark.parametrize(
    ("small", "large", "message"),
    [
        ("two", "additive", "give the smaller model first"),
        ("additive", "two", r"np.log\(age\) of the first is not in the second"),
        ("gap", "three", "fitted to .* rows"),
    ],
)
def test_models_that_do_not_compare_are_refused(small: str, large: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        likelihood_ratio(fitted(small), fitted(large))
    assert "\n" not in str(caught.value)


def test_other_outcomes_quadrature_and_random_effects_are_refused() -> None:
    formula, rows = "correct ~ group + (1 | participant)", uneven()
    small = mixed_logit(formula, rows)
    larger = formula.replace("group", "group + age")
    with pytest.raises(ValueError, match="different outcomes"):
        likelihood_ratio(small, mixed_logit(larger, rows.assign(correct=1 - rows["correct"])))
    with pytest.raises(ValueError, match="1 and 5 quadrature points"):
        likelihood_ratio(small, mixed_logit(larger, rows, quadrature=5))
    with pytest.raises(ValueError, match="random effects by participant of the first are not"):
        likelihood_ratio(small, mixed_logit(larger.replace("participant", "item"), rows))


def test_what_anova_cannot_do_is_said_in_one_line() -> None:
    with pytest.raises(ValueError, match="kind = 1: give 2 or 3"):
        anova(fitted("two"), kind=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="test = 'f'"):
        anova(fitted("two"), test="f")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no intercept"):
        drop1(mixed_logit("correct ~ 0 + group + (1 | participant)", uneven()))
