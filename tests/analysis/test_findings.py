"""From an export to all tables of a report, with exclusions and without."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exports import make_export

from analysis.findings import analyse, find
from analysis.responses import read_export
from stimuli.exclusion_rules import BelowChance


def spoil(trials, people):
    """p0 left early, and p3 is below chance."""
    people[0]["outcome"] = "timed_out"
    for row in trials:
        if row["participant"] == "p3" and row["trial_kind"] == "main":
            row["response_side"] = {"left": "right", "right": "left"}[row["favored_side"]]
            row["correct"] = 0


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    folder = make_export(tmp_path_factory.mktemp("export"), spoil, participants=24, repeats=3)
    return analyse(read_export(folder), np.random.default_rng(0))


def test_results_stand_with_and_without_exclusions(analysis):
    assert analysis.exclusions.dropped == ["p0", "p3"]
    assert analysis.kept.participants == 22 and analysis.everyone.participants == 24
    with_them = analysis.everyone.contrasts["condition"]["estimate"]
    assert (analysis.kept.contrasts["condition"]["estimate"] != with_them).all()
    assert not analysis.preregistered


def test_every_table_is_that_of_the_kept(analysis):
    kept = analysis.kept
    assert not set(kept.trials["participant"]) & {"p0", "p3"}
    assert kept.descriptives["accuracy_by_condition"]["participants"].sum() == 22
    assert set(kept.means) == {
        f"{of}_{scale}"
        for of in ("condition", "network", "condition_and_network")
        for scale in ("log_odds", "probability", "population")
    }
    assert {"reaction_times", "agreement"} <= set(kept.descriptives)
    assert set(kept.models.groups) <= set(kept.residuals)


def test_coefficients_have_wald_and_profile_intervals(analysis):
    table = analysis.kept.coefficients
    fixed = table.loc[analysis.kept.models.chosen.params.index]
    for low, high in (("low", "high"), ("profile_low", "profile_high")):
        assert (fixed[low] < fixed["estimate"]).all() and (fixed["estimate"] < fixed[high]).all()
    spread = table.loc["Intercept | participant"]
    assert np.isnan(spread["se"]) and spread["profile_low"] <= spread["estimate"]


def test_the_same_generator_gives_the_same_findings(analysis):
    again = analyse(analysis.export, np.random.default_rng(0)).kept
    for name, table in analysis.kept.descriptives.items():
        pd.testing.assert_frame_equal(table, again.descriptives[name])
    for name, checks in analysis.kept.residuals.items():
        pd.testing.assert_frame_equal(checks.table, again.residuals[name].table)


def test_nobody_excluded_is_said_and_not_computed_twice(analysis):
    found = analyse(analysis.export, np.random.default_rng(0), rules=())
    assert found.everyone is None and "No participant was excluded" in found.everyone_note
    assert found.kept.participants == 24


def test_rules_can_be_given_in_place_of_the_preregistered(analysis):
    found = analyse(analysis.export, np.random.default_rng(0), rules=[BelowChance()])
    assert found.exclusions.dropped == ["p3"]


def test_the_bootstrap_is_run_on_request(analysis):
    found = find(analysis.kept.trials, np.random.default_rng(0), draws=9)
    assert set(found.bootstrap) == {"condition", "network", "condition:network"}
    assert all(0.1 <= test.p <= 1 for test in found.bootstrap.values())


def test_a_repeated_trial_costs_no_table(analysis, tmp_path):
    def repeat(trials, people):
        again = [row for row in trials if row["participant"] == "p1"]
        trials.append(again[0] | {"trial_index": 999})

    folder = make_export(tmp_path / "twice", repeat, participants=24, repeats=3)
    found = analyse(read_export(folder), np.random.default_rng(0))
    assert found.exclusions.dropped == ["p1"]
    assert found.everyone.participants == 24
    assert "agreement" in found.everyone.descriptives


def test_residuals_are_looked_at_by_cells_that_the_model_lets_be_alike(analysis):
    assert "class_label:network" in analysis.kept.residuals
