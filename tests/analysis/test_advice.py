"""Advice on a fit: what a user is told about a model that leaves something out."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import mixed_logit


@pytest.fixture(scope="module")
def data(study):
    """The simulated study, its network also under the name x, and a covariate xy."""
    xy = np.random.default_rng(7).normal(size=len(study))
    return study.rename(columns={"network": "x"}).assign(xy=xy)


@pytest.mark.parametrize(
    ("slopes", "is_advised"),
    [("1", True), ("1 + xy", True), ("1 + x", False), ("1 + C(x, Sum)", False)],
)
def test_an_omitted_slope_is_known_by_its_whole_name(data, slopes, is_advised):
    fitted = mixed_logit(f"correct ~ x + xy + ({slopes} | participant)", data)
    assert any("x varies within participant" in one for one in fitted.warnings) == is_advised


def test_an_effect_at_the_year_0_is_no_separation(study):
    """At the mean of the years it is moderate; no photograph is near the year 0."""
    fitted = mixed_logit("correct ~ condition * age + (1 | participant)", study)
    assert fitted.params.abs().max() > 10
    assert not any(one.startswith("Separation") for one in fitted.warnings)


def test_cells_without_a_wrong_answer_are_named(study):
    table = study.copy()
    table.loc[(table["condition"] == "maco") & (table["network"] == "b"), "correct"] = 1
    fitted = mixed_logit("correct ~ condition * network + (1 | participant)", table)
    told = [one for one in fitted.warnings if one.startswith("Separation")]
    assert any("condition by network = maco, b" in one and "1 in all 360" in one for one in told)
    assert any("estimate of condition[T.maco]:network[T.b]" in one for one in told)
