"""Contrasts and their adjustments beside emmeans, mvtnorm and known integrals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frozen import assert_agrees, expected, fitted
from scipy.integrate import quad
from scipy.stats import norm

from analysis import MixedLogitResults, mixed_logit
from analysis.adjustment import ADJUSTMENTS, adjusted_p, coverage, critical_value
from analysis.contrasts import Contrasts, custom, interaction, pairwise, versus_control
from analysis.marginal_means import MarginalMeans, marginal_means

Reference = Callable[[str], dict[str, Any]]
Table = Callable[[str], pd.DataFrame]

COLUMNS = {
    "estimate": ("estimate", 1e-5),
    "se": ("SE", 5e-5),
    "low": ("asymp.LCL", 2e-4),
    "high": ("asymp.UCL", 2e-4),
    "p": ("p.value", 2e-4),
}


@pytest.fixture(scope="module")
def maco(table: Table) -> MixedLogitResults:
    formula = "correct ~ visualization * network + (1 | participant) + (1 | class)"
    return mixed_logit(formula, table("maco_sim.csv"))


@pytest.fixture(scope="module")
def groups() -> MarginalMeans:
    return marginal_means(fitted("three"), "group")


@pytest.mark.parametrize("adjust", ["tukey", "holm", "fdr", "sidak", "bonferroni", "none"])
def test_pairwise_contrasts_agree(maco: MixedLogitResults, reference: Reference, adjust: str):
    table = pairwise(marginal_means(maco, "visualization"), adjust=adjust).table()
    frozen = reference("maco_tight")[f"pairs_visualization_{adjust}"]
    assert_agrees(table, frozen, ["contrast"], COLUMNS)


def test_odds_ratios_agree(maco: MixedLogitResults, reference: Reference) -> None:
    table = pairwise(marginal_means(maco, "visualization")).table(odds_ratios=True)
    frozen = reference("maco_tight")["pairs_visualization_or_tukey"]
    columns = {name: COLUMNS[name] for name in ("low", "high", "p")}
    assert_agrees(table, frozen, ["contrast"], {"odds_ratio": ("odds.ratio", 1e-5), **columns})


def test_families_are_within_a_level_of_by(maco: MixedLogitResults, reference: Reference) -> None:
    frozen = reference("maco_tight")
    table = pairwise(marginal_means(maco, "network")).table()
    assert_agrees(table, frozen["pairs_network_tukey"], ["contrast"], COLUMNS)
    table = pairwise(marginal_means(maco, "visualization", by="network")).table()
    keys = ["contrast", "network"]
    assert_agrees(table, frozen["pairs_vis_by_network_tukey"], keys, COLUMNS)


def test_dunnett_is_near_the_approximation_of_emmeans(
    maco: MixedLogitResults, reference: Reference
) -> None:
    table = versus_control(marginal_means(maco, "visualization"), "A_none").table()
    frozen = reference("maco_tight")["vs_control_dunnettx"]
    # "dunnettx" is up to .02 off in the middle of the range and good in the tail.
    columns = {**COLUMNS, "low": ("asymp.LCL", 2e-3), "high": ("asymp.UCL", 2e-3)}
    assert_agrees(table, frozen, ["contrast"], {**columns, "p": ("p.value", 0.03)})
    significant = [row for row in frozen if row["p.value"] < 0.05]
    table = table[table["contrast"].isin([row["contrast"] for row in significant])]
    assert_agrees(table, significant, ["contrast"], {"p": COLUMNS["p"]})


def tables_of_three() -> dict[str, tuple[Contrasts, list[str]]]:
    results = fitted("three")
    cells = marginal_means(results, ["group", "network"])
    by_network = marginal_means(results, "group", by="network")
    weights = {"others": [-1, 0.5, 0.5], "last": {"maco": -1, "olah": 1}}
    return {
        "pairs_by_network": (pairwise(by_network), ["contrast", "network"]),
        "pairs_cells": (pairwise(cells), ["contrast"]),
        "custom": (custom(marginal_means(results, "group"), weights), ["contrast"]),
        "dunnett_mvt": (versus_control(marginal_means(results, "group")), ["contrast"]),
        "dunnett_mvt_by": (versus_control(by_network, "olah"), ["contrast", "network"]),
    }


@pytest.mark.parametrize(
    "key", ["pairs_by_network", "pairs_cells", "custom", "dunnett_mvt", "dunnett_mvt_by"]
)
def test_contrasts_agree_in_uneven_cells(key: str) -> None:
    contrasts, keys = tables_of_three()[key]
    assert_agrees(contrasts.table(), expected()["three"][key], keys, COLUMNS)


def test_differences_of_differences_agree() -> None:
    frozen = expected()["three"]["interaction"]
    for row in frozen:
        row["contrast"] = f"{row['group_pairwise']}, {row['network_pairwise']}"
    cells = marginal_means(fitted("three"), ["group", "network"])
    assert_agrees(interaction(cells).table(), frozen, ["contrast"], COLUMNS)
    weights = {
        ("control", "n1"): 1, ("control", "n2"): -1, ("olah", "n1"): -1, ("olah", "n2"): 1,
    }  # fmt: skip
    by_hand = custom(cells, {"control - olah, n1 - n2": weights}).table()
    assert_agrees(by_hand, [frozen[1]], ["contrast"], COLUMNS)


def test_contrasts_of_counts_agree() -> None:
    frozen = expected()["counts"]
    table = pairwise(marginal_means(fitted("counts"), "network", by="group")).table()
    assert_agrees(table, frozen["pairs_by_group"], ["contrast", "group"], COLUMNS)
    table = pairwise(marginal_means(fitted("counts"), "group"), adjust="holm").table()
    assert_agrees(table, frozen["pairs_group"], ["contrast"], COLUMNS)


def test_contrasts_with_an_empty_cell_are_missing_and_the_others_adjusted_without_them() -> None:
    table = pairwise(marginal_means(fitted("gap"), "group", by="network")).table()
    frozen = expected()["gap"]["pairs_by_network"]
    assert_agrees(table, frozen, ["contrast", "network"], COLUMNS)
    assert table["p"].isna().sum() == 2


def test_contrasts_of_population_averages_are_ratios_of_their_odds() -> None:
    means = marginal_means(fitted("slopes"), "network", population=True)
    p = means.table("response")["probability"]
    ratio = pairwise(means).table(odds_ratios=True)["odds_ratio"].iloc[0]
    assert ratio == pytest.approx((p[0] / (1 - p[0])) / (p[1] / (1 - p[1])))


@pytest.mark.parametrize("loadings", [[0.5**0.5] * 3, [0.3, 0.9, 0.6, 0.5], [0.8] * 7])
def test_dunnett_is_exact(loadings: list[float]) -> None:
    b = np.array(loadings)
    correlation = np.outer(b, b)
    np.fill_diagonal(correlation, 1)

    def inside(u: float, limit: float) -> float:
        ends = [(end - b * u) / np.sqrt(1 - b**2) for end in (-limit, limit)]
        return float(np.prod(norm.cdf(ends[1]) - norm.cdf(ends[0])) * norm.pdf(u))

    for limit in (0.5, 1.5, 2.4, 3.5):
        exact = quad(inside, -12, 12, args=(limit,), epsabs=1e-11, limit=200)[0]
        assert coverage(limit, correlation) == pytest.approx(exact, abs=2e-5)
    options = {"means": len(b) + 1, "correlation": correlation}
    critical = critical_value(0.95, "dunnett", count=len(b), **options)
    assert quad(inside, -12, 12, args=(critical,), limit=200)[0] == pytest.approx(0.95, abs=2e-5)
    z = np.full(len(b), critical)
    assert adjusted_p(z, "dunnett", **options)[0] == pytest.approx(0.05, abs=2e-5)


def test_dunnett_of_equal_groups_is_the_published_table() -> None:
    """Dunnett (1964), two-sided 5 % points with infinite degrees of freedom."""
    for count, published in ((2, 2.21), (3, 2.35), (4, 2.44), (5, 2.51), (9, 2.69)):
        correlation = np.full((count, count), 0.5) + 0.5 * np.eye(count)
        found = critical_value(
            0.95, "dunnett", count=count, means=count + 1, correlation=correlation
        )
        assert found == pytest.approx(published, abs=0.0051)


@pytest.mark.parametrize("adjust", ADJUSTMENTS)
def test_an_interval_without_zero_is_a_small_p(adjust: str) -> None:
    """Also of one contrast, where every adjustment is none."""
    correlation = np.array([[1, 0.5], [0.5, 1]])
    z = np.array([1.0, 4.0])
    p = adjusted_p(z, adjust, means=3, correlation=correlation)
    reach = critical_value(0.95, adjust, count=2, means=3, correlation=correlation)
    assert list(p < 0.05) == list(reach < z)
    single = adjusted_p(z[1:], adjust, means=2, correlation=np.eye(1))
    assert single[0] == pytest.approx(2 * norm.sf(4), rel=1e-3)


def test_levels_widen_intervals(groups: MarginalMeans) -> None:
    narrow, wide = (pairwise(groups, level=level).table() for level in (0.8, 0.99))
    assert (wide["high"] > narrow["high"]).all()
    assert np.allclose(wide["p"], narrow["p"])


@pytest.mark.parametrize(
    ("contrast", "message"),
    [
        (lambda m: pairwise(m, adjust="scheffe"), "adjust = 'scheffe' is unknown: use one of tuk"),
        (lambda m: versus_control(m, adjust="tukey"), "'tukey' is for pairwise contrasts"),
        (lambda m: pairwise(m, adjust="dunnett"), "'dunnett' is for versus-control contrasts"),
        (lambda m: custom(m, {"a": [1, -1, 0]}, adjust="tukey"), "these are custom"),
        (lambda m: versus_control(m, "ola"), "no mean of level 'ola'; did you mean 'olah'"),
        (lambda m: versus_control(m, "n1"), "'n1'; they are control, maco, olah"),
        (lambda m: custom(m, {"a": [1, -1]}), "contrast 'a' has 2 weights for 3 means"),
        (lambda m: custom(m, {"a": {"macco": 1}}), "did you mean 'maco'"),
        (lambda m: custom(m, {"a": [0, 0, 0]}), "not all 0"),
        (lambda m: custom(m, {}), "no contrast is given"),
        (lambda m: interaction(m), "needs means of two factors"),
        (lambda m: pairwise(m, level=95), "level = 95"),
    ],
)
def test_what_cannot_be_contrasted_is_said_in_one_line(
    groups: MarginalMeans, contrast: Callable[[MarginalMeans], Contrasts], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        contrast(groups)
    assert "\n" not in str(caught.value)
