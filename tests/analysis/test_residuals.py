"""Simulated residuals: quiet where the model holds, loud where it does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis import mixed_logit
from analysis.residuals import simulate_residuals


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    """20 participants at 30 sessions each of 12 trials; sessions differ by sd 1."""
    rng = np.random.default_rng(2)
    rows = pd.MultiIndex.from_product([range(20), range(30)], names=["participant", "session"])
    table = rows.to_frame(index=False)
    eta = rng.normal(0, 0.5, 20)[table["participant"]] + rng.normal(0, 1, len(table))
    table["right"] = rng.binomial(12, 1 / (1 + np.exp(-eta)))
    table["wrong"] = 12 - table["right"]
    table["visit"] = [
        f"{p}-{s}" for p, s in zip(table["participant"], table["session"], strict=True)
    ]
    return table


def test_a_model_that_holds_gives_uniform_residuals(study):
    results = mixed_logit("correct ~ condition + network + (1 | participant) + (1 | item)", study)
    found = simulate_residuals(results, "participant", np.random.default_rng(0))
    assert len(found.table) == 60 and found.table["residual"].between(0, 1).all()
    assert found.uniformity_p > 0.05 and found.dispersion_p > 0.05
    assert found.dispersion == pytest.approx(1, abs=0.4)
    assert found.outliers == 0
    by_participant = study.groupby("participant")["correct"]
    np.testing.assert_allclose(
        found.table.set_index("level")["observed"], by_participant.mean().sort_index()
    )
    assert (found.table["trials"] == 24).all()


def test_an_omitted_effect_shows_as_overdispersion(counts):
    drifting = counts.assign(right=np.where(counts["session"] % 7 == 0, 11, counts["right"]))
    drifting["wrong"] = 12 - drifting["right"]
    results = mixed_logit("cbind(right, wrong) ~ session + (1 | participant)", drifting)
    found = simulate_residuals(results, "session", np.random.default_rng(0), simulations=200)
    assert (found.table["trials"] == 240).all()
    assert found.dispersion > 5 and found.dispersion_p < 0.05
    assert found.outliers >= 4 and found.outliers_p < 1e-6
    assert found.uniformity_p < 0.05


def test_with_the_effect_dispersion_is_right_again(counts):
    results = mixed_logit("cbind(right, wrong) ~ session + (1 | participant) + (1 | visit)", counts)
    found = simulate_residuals(results, "visit", np.random.default_rng(0), simulations=200)
    assert found.dispersion == pytest.approx(1, abs=0.25)
    assert found.uniformity_p > 0.01


def test_the_same_generator_gives_the_same_residuals(study):
    results = mixed_logit("correct ~ network + (1 | participant)", study)
    one, two = (
        simulate_residuals(results, "network", np.random.default_rng(1), simulations=50)
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(one.table, two.table)


def test_a_column_outside_the_formula_is_refused(study):
    results = mixed_logit("correct ~ network + (1 | participant)", study)
    with pytest.raises(ValueError, match=r"by = 'item': the formula names"):
        simulate_residuals(results, "item", np.random.default_rng(0))
    with pytest.raises(ValueError, match="simulations = 1"):
        simulate_residuals(results, "network", np.random.default_rng(0), simulations=1)


def test_cells_show_an_effect_of_class_by_network_that_was_left_out(study):
    rng = np.random.default_rng(5)
    shifts = rng.normal(0, 1.2, (12, 2))
    items, networks = study["item"].str[1:].astype(int), (study["network"] == "b").astype(int)
    chance = 1 / (1 + np.exp(-shifts[items, networks]))
    table = study.assign(correct=rng.binomial(1, chance))
    results = mixed_logit("correct ~ network + (1 | participant) + (1 | item)", table)
    by_item = simulate_residuals(results, "item", np.random.default_rng(0), simulations=300)
    by_cell = simulate_residuals(
        results, ["item", "network"], np.random.default_rng(0), simulations=300
    )
    assert len(by_cell.table) == 24
    assert by_cell.dispersion_p < 0.05 < by_item.dispersion_p
