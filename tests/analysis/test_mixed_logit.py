"""The results as a user of statsmodels and lme4 meets them, and what bad data says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis import FormulaError, MixedLogitResults, mixed_logit

FORMULA = "correct ~ condition + network + (1 | participant) + (1 | item)"


@pytest.fixture(scope="module")
def results(study: pd.DataFrame) -> MixedLogitResults:
    return mixed_logit(FORMULA, study)


def test_known_parameters_are_recovered(simulated: Callable[..., pd.DataFrame]) -> None:
    fitted = mixed_logit(FORMULA, simulated(seed=5, participants=300, items=40))
    truth = pd.Series({"Intercept": 0.3, "condition[T.maco]": 0.6, "network[T.b]": -0.4})
    assert (np.abs(fitted.params - truth[fitted.params.index]) < 3 * fitted.bse).all()
    np.testing.assert_allclose(fitted.theta, [0.7, 0.5], atol=0.12)


def test_intervals_cover_as_often_as_they_say(simulated: Callable[..., pd.DataFrame]) -> None:
    covered = []
    for seed in range(60):
        fitted = mixed_logit(FORMULA, simulated(seed=seed + 100, participants=40, items=8))
        low, high = fitted.conf_int().loc["network[T.b]"]
        covered.append(low < -0.4 < high)
    assert 0.85 < np.mean(covered) <= 1


def test_the_summary_shows_estimates_variances_and_warnings(results: MixedLogitResults) -> None:
    text = str(results.summary())
    for part in ("condition[T.maco]", "participant", "Log-likelihood", "Warning: network varies"):
        assert part in text


def test_wald_tests_agree_with_each_other(results: MixedLogitResults) -> None:
    one = results.t_test("network[T.b] = 0")
    assert float(np.squeeze(one.tvalue)) == pytest.approx(results.tvalues["network[T.b]"])
    terms = results.wald_test_terms().table
    assert terms.loc["network", "statistic"] == pytest.approx(results.tvalues["network[T.b]"] ** 2)
    assert terms.loc["network", "pvalue"] == pytest.approx(results.pvalues["network[T.b]"])


def test_intervals_are_estimates_and_standard_errors(results: MixedLogitResults) -> None:
    interval = results.conf_int().loc["network[T.b]"]
    half = 1.959964 * results.bse["network[T.b]"]
    assert interval[1] - interval[0] == pytest.approx(2 * half, rel=1e-6)


def test_random_effects_have_errors_below_their_spread(results: MixedLogitResults) -> None:
    effects = results.random_effects["participant"]
    assert list(effects.columns) == ["Intercept", "Intercept_se"]
    assert len(effects) == 60
    spread = np.sqrt(results.random_effects_cov["participant"].iloc[0, 0])
    assert ((effects["Intercept_se"] > 0) & (effects["Intercept_se"] < spread)).all()


def test_predictions_with_and_without_random_effects(
    results: MixedLogitResults, study: pd.DataFrame
) -> None:
    np.testing.assert_allclose(results.predict(study), results.predict())
    typical = results.predict(study.head(1), random_effects=False, link=True)
    assert typical[0] == pytest.approx(results.params["Intercept"])
    own = results.predict(study.head(1), link=True)[0] - typical[0]
    modes = results.random_effects
    expected = modes["participant"].loc["p0", "Intercept"] + modes["item"].loc["i0", "Intercept"]
    assert own == pytest.approx(expected)


def test_a_new_participant_is_typical_only_on_request(
    results: MixedLogitResults, study: pd.DataFrame
) -> None:
    someone = study.head(1).assign(participant="new")
    with pytest.raises(ValueError, match="'new' of participant was not in the fit"):
        results.predict(someone)
    link = results.predict(someone, new_levels=True, link=True)[0]
    expected = results.params["Intercept"] + results.random_effects["item"].loc["i0", "Intercept"]
    assert link == pytest.approx(expected)


def warned(formula: str, data: pd.DataFrame) -> str:
    return "\n".join(mixed_logit(formula, data).warnings)


def test_collinear_columns_are_dropped_by_name(study: pd.DataFrame) -> None:
    data = study.assign(months=12.0 * study["age"] + 1)
    fitted = mixed_logit("correct ~ age + months + (1 | participant)", data)
    assert "months" not in fitted.params
    assert any("Dropped months" in sentence for sentence in fitted.warnings)
    np.testing.assert_allclose(fitted.predict(data), fitted.predict())


def test_a_cell_at_its_limit_is_separation(study: pd.DataFrame) -> None:
    data = study.assign(correct=study["correct"].where(study["network"] == "a", 1))
    fitted = mixed_logit(FORMULA, data)
    assert any("network = b" in s and s.startswith("Separation") for s in fitted.warnings)


def test_a_factor_without_variance_is_a_singular_fit(study: pd.DataFrame) -> None:
    data = study.assign(correct=np.tile([0, 1, 1, 0, 1, 1, 0, 1], len(study) // 8))
    fitted = mixed_logit("correct ~ network + (1 | participant)", data)
    assert fitted.is_singular
    assert any("singular" in s and "participant" in s for s in fitted.warnings)


def test_few_items_and_omitted_slopes_are_named(study: pd.DataFrame) -> None:
    data = study.assign(kind=np.where(study["item"].isin(["i0", "i1", "i2", "i3"]), "u", "v"))
    text = warned("correct ~ kind + network + (1 | participant) + (1 | item)", data)
    assert "kind varies between the 12 levels of item only" in text
    assert "(1 | item:network)" in text
    slopes = "correct ~ kind + network + (1 | participant) + (1 + network | item)"
    assert "(1 | item:network)" not in warned(slopes, data)


def test_few_trials_a_level_are_named(study: pd.DataFrame) -> None:
    few = study.groupby("participant").head(2)
    assert "2 trials a level" in warned("correct ~ condition + (1 | participant)", few)


def test_quadrature_is_for_a_single_random_effect(study: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="needs a single random effect"):
        mixed_logit(FORMULA, study, quadrature=9)


@pytest.mark.parametrize(
    ("change", "formula", "says"),
    [
        (lambda d: d.head(0), FORMULA, "the data is empty"),
        (lambda d: d.assign(correct=d["correct"] + 1), FORMULA, "must be 0 or 1, but row"),
        (lambda d: d.assign(correct="yes"), FORMULA, "must be 0 or 1, but row 1 has 'yes'"),
        (lambda d: d.assign(correct=1), FORMULA, "same in every row"),
        (lambda d: d.assign(age=d["age"].where(d.index != 6)), "correct ~ age + (1 | item)",
         "column 'age' has 1 missing .* row 7 of"),
        (lambda d: d.assign(network="a"), FORMULA, "factor network has one level"),
        (lambda d: d.astype({"network": "category"})[d["network"] == "a"], FORMULA,
         "factor network has one level"),
        (lambda d: d.assign(item="i"), FORMULA, "grouping factor item has one level"),
        (lambda d: d.assign(item=d.index.astype(str)), FORMULA, "item has a level for each row"),
        (lambda d: d.iloc[[0, 2, 25, 27]].assign(correct=[0, 1, 1, 0]), FORMULA,
         "4 parameters for 4 rows"),
        (lambda d: d, "correct ~ lg(age) + (1 | item)", "no function 'lg'; did you mean log"),
        (lambda d: d, "correct ~ os.system(age) + (1 | item)", "no function 'os'; there are log"),
        (lambda d: d, "correct ~ C(condition, Summ) + (1 | item)", "'Summ'; did you mean Sum"),
        (lambda d: d, "correct ~ visualization + (1 | item)", "there are participant, item"),
        (lambda d: d["age"], FORMULA, "data is Series: give a DataFrame"),
        (lambda d: d, "correct ~ conditon + (1 | item)", "did you mean condition"),
        (lambda d: d.assign(n=-1), "cbind(correct, n) ~ 1 + (1 | item)", "n must count trials"),
    ],
)  # fmt: skip
def test_bad_data_is_refused_in_one_line(
    change: Callable[[pd.DataFrame], pd.DataFrame], formula: str, says: str, study: pd.DataFrame
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        mixed_logit(formula, change(study))
    assert len(str(caught.value).splitlines()) == (3 if caught.type is FormulaError else 1)


def test_rows_with_fewer_categories_are_predicted(study: pd.DataFrame) -> None:
    categories = study.astype({"condition": "category", "network": "category"})
    results = mixed_logit("correct ~ condition * network + (1 | participant)", categories)
    some = categories[categories["network"] == "b"]
    few = some.assign(network=some["network"].cat.remove_unused_categories())
    expected = results.predict()[(categories["network"] == "b").to_numpy()]
    np.testing.assert_allclose(results.predict(few), expected)


def test_an_unknown_level_is_named(study: pd.DataFrame) -> None:
    results = mixed_logit("correct ~ condition + (1 | participant)", study)
    with pytest.raises(ValueError, match=r"cannot predict from the data: .*'maca'"):
        results.predict(study.head(3).assign(condition="maca"))


def test_the_order_of_categories_is_kept(study: pd.DataFrame) -> None:
    ordered = study.assign(condition=pd.Categorical(study["condition"], ["maco", "control"]))
    results = mixed_logit("correct ~ condition + (1 | participant)", ordered)
    assert "condition[T.control]" in results.params.index
    text = mixed_logit("correct ~ condition + (1 | participant)", study)
    assert results.params["condition[T.control]"] == pytest.approx(
        -text.params["condition[T.maco]"], abs=1e-6
    )


def test_points_of_quadrature_are_whole(study: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"quadrature = 2\.5"):
        mixed_logit("correct ~ 1 + (1 | item)", study, quadrature=2.5)  # type: ignore[arg-type]


def test_functions_of_r_are_those_of_numpy(study: pd.DataFrame) -> None:
    by_r, by_numpy = (
        mixed_logit(f"correct ~ {name}(age) + (1 | participant)", study)
        for name in ("log", "np.log")
    )
    assert by_r.params["log(age)"] == by_numpy.params["np.log(age)"]
