"""Marginal means beside emmeans, and what emmeans does not do: exact population averages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frozen import FORMULAS, assert_agrees, expected, fitted, uneven
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from analysis import MixedLogitResults, mixed_logit
from analysis.marginal_means import marginal_means

Reference = Callable[[str], dict[str, Any]]
Table = Callable[[str], pd.DataFrame]

LINK = {
    "log_odds": ("emmean", 1e-5),
    "se": ("SE", 5e-5),
    "low": ("asymp.LCL", 1e-4),
    "high": ("asymp.UCL", 1e-4),
}
RESPONSE = {"probability": ("prob", 1e-5), **{k: LINK[k] for k in ("se", "low", "high")}}


@pytest.fixture(scope="module")
def maco(table: Table) -> MixedLogitResults:
    formula = "correct ~ visualization * network + (1 | participant) + (1 | class)"
    return mixed_logit(formula, table("maco_sim.csv"))


@pytest.mark.parametrize(
    ("key", "factors"),
    [
        ("emm_visualization", ["visualization"]),
        ("emm_network", ["network"]),
        ("emm_cell", ["visualization", "network"]),
    ],
)
def test_means_agree_with_emmeans(
    maco: MixedLogitResults, reference: Reference, key: str, factors: list[str]
) -> None:
    frozen, means = reference("maco_tight"), marginal_means(maco, factors)
    assert_agrees(means.table(), frozen[f"{key}_link"], factors, LINK)
    if key != "emm_network":
        assert_agrees(means.table("response"), frozen[f"{key}_response"], factors, RESPONSE)


@pytest.mark.parametrize(
    ("model", "key", "factors"),
    [
        ("three", "emm_group", ["group"]),
        ("three", "emm_cell", ["group", "network"]),
        ("three", "emm_group_by_network_block", ["group", "network", "block"]),
        ("additive", "emm_group", ["group"]),
        ("counts", "emm_network", ["network"]),
        ("gap", "emm_cell", ["group", "network"]),
        ("gap", "emm_group", ["group"]),
    ],
)
def test_means_agree_in_uneven_designs(model: str, key: str, factors: list[str]) -> None:
    means = marginal_means(fitted(model), factors[0], by=factors[1:])
    # Standard errors are three times those of the maco study, and so are lme4's own errors.
    columns = {**LINK, "log_odds": ("emmean", 3e-5)}
    assert_agrees(means.table(), expected()[model][key], factors, columns)


def test_the_coding_of_factors_does_not_matter() -> None:
    for factor in ("group", "network", "block"):
        plain = marginal_means(fitted("two"), factor).table().set_index(factor)
        coded = marginal_means(fitted("two_sum"), factor).table().set_index(factor)
        np.testing.assert_allclose(coded.loc[plain.index], plain, atol=1e-5)


def test_means_of_empty_cells_are_missing_and_said_to_be() -> None:
    means = marginal_means(fitted("gap"), ["group", "network"])
    assert means.table()["log_odds"].isna().sum() == 1
    assert means.notes[0].startswith("No estimate for group=olah network=n2:")
    assert np.isfinite(marginal_means(fitted("two"), ["group", "network"]).table()["se"]).all()


def test_a_mean_over_an_interaction_is_said_to_be() -> None:
    assert any("network" in note for note in marginal_means(fitted("two"), "group").notes)
    assert marginal_means(fitted("additive"), "group").notes == []
    assert marginal_means(fitted("two"), "group", by="network").notes == []


def exact_population(results: MixedLogitResults, beta: np.ndarray) -> dict[str, float]:
    """The averaged probability of each network in the slopes model, by adaptive integration."""
    by_person, item = results.random_effects_cov.values()
    averages = {}
    for network in ("n1", "n2"):
        z = np.array([1.0, network == "n2"])
        sd = np.sqrt(z @ by_person.to_numpy() @ z + item.iloc[0, 0])
        found = []
        for group in (0, 1, 2):
            x = np.array([1.0, group == 1, group == 2, network == "n2"])
            eta = float(x @ beta)
            found.append(
                quad(lambda u, e=eta, s=sd: expit(e + s * u) * norm.pdf(u), -12, 12, epsabs=1e-12)[
                    0
                ]
            )
        averages[network] = float(np.mean(found))
    return averages


def test_population_averages_are_the_integral_over_all_random_effects() -> None:
    results = fitted("slopes")
    assert list(results.params.index) == [
        "Intercept", "group[T.maco]", "group[T.olah]", "network[T.n2]",
    ]  # fmt: skip
    table = marginal_means(results, "network", population=True).table("response")
    exact = exact_population(results, results.params.to_numpy())
    for network, probability in zip(table["network"], table["probability"], strict=True):
        assert probability == pytest.approx(exact[network], abs=1e-8)
    typical = marginal_means(results, "network").table("response")["probability"]
    assert (np.abs(table["probability"] - 0.5) < np.abs(typical - 0.5)).all()


def test_errors_of_population_averages_are_by_the_delta_method() -> None:
    results = fitted("slopes")
    beta, step = results.params.to_numpy(), 1e-5
    gradient = [
        (
            exact_population(results, beta + shift)["n2"]
            - exact_population(results, beta - shift)["n2"]
        )
        / (2 * step)
        for shift in step * np.eye(len(beta))
    ]
    se = np.sqrt(gradient @ np.asarray(results.cov_params()) @ gradient)
    table = marginal_means(results, "network", population=True).table("response")
    row = table.set_index("network").loc["n2"]
    assert row["se"] == pytest.approx(se, rel=1e-5)
    p = row["probability"]
    assert logit(row["high"]) - logit(p) == pytest.approx(1.959964 * se / (p * (1 - p)), rel=1e-5)


def test_population_averages_of_empty_cells_are_missing() -> None:
    table = marginal_means(fitted("gap"), ["group", "network"], population=True).table()
    assert list(table[table["log_odds"].isna()].iloc[0, :2]) == ["olah", "n2"]
    assert table["log_odds"].isna().sum() == 1


def test_without_random_variation_the_population_is_the_typical_participant() -> None:
    rows = uneven().assign(idle=lambda data: np.arange(len(data)) % 7)
    results = mixed_logit("correct ~ group + (1 | idle)", rows)
    assert results.is_singular
    typical, average = (
        marginal_means(results, "group", population=population).table()
        for population in (False, True)
    )
    pd.testing.assert_frame_equal(typical, average, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factors": "grup"}, "the model has no factor 'grup'; did you mean 'group'"),
        ({"factors": "participant"}, "participant is not among the fixed effects"),
        ({"factors": "age"}, "age is a number with many values"),
        ({"factors": []}, "name a factor: the model has"),
        ({"factors": ["group"], "by": "group"}, "group is given twice"),
        ({"factors": "group", "level": 95}, "level = 95"),
    ],
)
def test_what_cannot_be_averaged_is_said_in_one_line(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        marginal_means(fitted("two"), **arguments)
    assert "\n" not in str(caught.value)


def test_an_effect_without_an_estimate_leaves_the_others_theirs() -> None:
    rows = uneven()
    rows.loc[rows["group"] == "olah", "correct"] = 1
    results = mixed_logit("correct ~ group + (1 | participant)", rows)
    assert list(results.bse.isna()) == [False, False, True]
    se = marginal_means(results, "group").table().set_index("group")["se"]
    assert np.isnan(se["olah"])
    assert se["control"] == pytest.approx(results.bse["Intercept"])


@pytest.mark.parametrize(
    ("written", "same_as"),
    [
        ("C(group, levels=['olah', 'maco', 'control']) * network", "group * network"),
        ("group / network", "group * network"),
        ("group:network", "group * network"),
        ("0 + group", "group"),
        ("C(group, Treatment('maco')) * I(age - 30)", "group * age"),
        ("group * center(age)", "group * age"),
    ],
)
def test_means_do_not_depend_on_how_the_model_is_written(written: str, same_as: str) -> None:
    ours, plain = (
        marginal_means(mixed_logit(f"correct ~ {text} + (1 | participant)", uneven()), "group")
        .table()
        .set_index("group")
        for text in (written, same_as)
    )
    np.testing.assert_allclose(ours.loc[plain.index], plain, atol=1e-5)


def test_a_number_cut_in_two_is_taken_at_its_mean() -> None:
    results = mixed_logit("correct ~ network + I(age > 40) + (1 | participant)", uneven())
    table = marginal_means(results, "network").table().set_index("network")
    older = uneven()["age"].mean() > 40
    assert table.loc["n1", "log_odds"] == pytest.approx(
        results.params["Intercept"] + older * results.params["I(age > 40)[T.True]"]
    )


def test_levels_keep_the_order_of_the_model() -> None:
    rows = uneven().assign(
        group=lambda d: pd.Categorical(d["group"], ["idle", "olah", "maco", "control"])
    )
    results = mixed_logit(FORMULAS["intercepts"], rows)
    assert list(marginal_means(results, "group").table()["group"]) == ["olah", "maco", "control"]


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale = 'odds'"):
        marginal_means(fitted("two"), "group").table("odds")  # type: ignore[arg-type]
