"""The engine: its gradient, and that the order and coding of the data change nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis import mixed_logit
from analysis.agq import Quadrature
from analysis.design import build_design, independent_columns
from analysis.formula import parse_formula
from analysis.laplace import Block, Laplace

FORMULA = "correct ~ condition * network + (1 | participant) + (1 + network | item)"


def engine_of(formula: str, data: pd.DataFrame) -> Laplace:
    design = build_design(parse_formula(formula), data)
    blocks = [Block(e.z, e.codes, len(e.levels), e.free) for e in design.random]
    return Laplace(design.successes, design.trials, design.x, blocks)


@pytest.mark.parametrize(
    "random",
    [
        "(1 | participant)",
        "(1 | participant) + (1 | item)",
        "(1 + network | participant) + (1 | item) + (1 | item:network)",
        "(1 | participant) + (network || item)",
    ],
)
def test_the_gradient_is_that_of_the_deviance(random: str, study: pd.DataFrame) -> None:
    engine = engine_of(f"correct ~ condition + network + {random}", study)
    rng, split = np.random.default_rng(1), engine.parameters
    psi = rng.normal(0, 0.5, split + engine.x.shape[1])
    _, gradient = engine.deviance_and_gradient(psi[:split], psi[split:])

    def deviance(at: np.ndarray) -> float:
        return engine.deviance_and_gradient(at[:split], at[split:])[0]

    steps = 1e-5 * np.eye(len(psi))
    differences = [(deviance(psi + step) - deviance(psi - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("points", [1, 2, 7])
def test_the_gradient_of_quadrature_is_that_of_its_deviance(
    points: int, study: pd.DataFrame
) -> None:
    design = build_design(parse_formula("correct ~ network + (0 + age | participant)"), study)
    (effects,) = design.random
    block = Block(effects.z / 2000, effects.codes, len(effects.levels), effects.free)
    parts = (design.successes, design.trials, design.x, [block])
    engine, psi = Quadrature(*parts, points), np.array([0.8, 0.3, -0.5])
    deviance, gradient = engine.deviance_and_gradient(psi[:1], psi[1:])
    if points == 1:
        assert deviance == pytest.approx(Laplace(*parts).deviance_and_gradient(psi[:1], psi[1:])[0])
    for step, slope in zip(1e-5 * np.eye(3), gradient, strict=True):
        up, down = psi + step, psi - step
        rise = engine.deviance_and_gradient(up[:1], up[1:])[0]
        rise -= engine.deviance_and_gradient(down[:1], down[1:])[0]
        assert slope == pytest.approx(rise / 2e-5, rel=1e-5, abs=1e-5)


def test_the_order_of_rows_and_the_names_of_levels_change_nothing(study: pd.DataFrame) -> None:
    fitted = mixed_logit(FORMULA, study)
    shuffled = study.sample(frac=1, random_state=3).reset_index(drop=True)
    names = shuffled["participant"].unique()
    renamed = dict(zip(names, names[::-1], strict=True))
    shuffled["participant"] = shuffled["participant"].map(renamed)
    again = mixed_logit(FORMULA, shuffled)
    assert again.llf == pytest.approx(fitted.llf, abs=1e-8)
    np.testing.assert_allclose(again.params, fitted.params, atol=1e-6)
    np.testing.assert_allclose(again.bse, fitted.bse, rtol=1e-5)


def test_the_coding_of_factors_changes_no_prediction(study: pd.DataFrame) -> None:
    treatment = mixed_logit(FORMULA, study)
    for coding in ("Sum", "Helmert", "Treatment('maco')"):
        other = mixed_logit(FORMULA.replace("condition", f"C(condition, {coding})"), study)
        assert other.llf == pytest.approx(treatment.llf, abs=1e-8)
        np.testing.assert_allclose(other.predict(), treatment.predict(), atol=1e-6)


def test_a_covariate_on_another_scale_changes_its_coefficient_only(study: pd.DataFrame) -> None:
    formula = "correct ~ age + (1 | participant) + (1 + age | item)"
    data = study.assign(age=(study["age"] - 2000) / 30)
    fitted = mixed_logit(formula, data)
    scaled = mixed_logit(formula, data.assign(age=data["age"] * 1e4))
    assert scaled.llf == pytest.approx(fitted.llf, abs=1e-6)
    assert scaled.params["age"] * 1e4 == pytest.approx(fitted.params["age"], abs=1e-4)


def test_counts_are_the_same_as_their_trials(study: pd.DataFrame) -> None:
    counts = study.groupby(["participant", "condition", "network"], as_index=False)["correct"]
    table = counts.agg(hits="sum", trials="count")
    single = mixed_logit("correct ~ condition * network + (1 | participant)", study)
    grouped = mixed_logit(
        "cbind(hits, trials - hits) ~ condition * network + (1 | participant)", table
    )
    np.testing.assert_allclose(grouped.params, single.params, atol=1e-6)
    np.testing.assert_allclose(grouped.bse, single.bse, rtol=1e-5)
    np.testing.assert_allclose(grouped.theta, single.theta, atol=1e-6)


def test_a_fit_is_the_same_to_the_last_bit(study: pd.DataFrame) -> None:
    first, second = mixed_logit(FORMULA, study), mixed_logit(FORMULA, study)
    assert first.llf == second.llf
    assert (first.params == second.params).all()
    assert (first.bse == second.bse).all()


def test_columns_that_are_sums_of_earlier_ones_are_found() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    x = np.column_stack([np.ones(50), x[:, 0], 3 - x[:, 0], x[:, 1], x[:, 1] + x[:, 0], x[:, 2]])
    assert independent_columns(x) == [0, 1, 3, 5]
