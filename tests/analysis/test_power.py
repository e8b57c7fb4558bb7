"""Power by simulation: the plan comes back, errors hold their level, theory agrees."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from exports import make_export
from scipy import stats

from analysis import mixed_logit
from analysis.power import FEL2023, Plan, power
from analysis.power.__main__ import main

SMALL = Plan(
    conditions={"control": 0.0, "maco": 0.9},
    networks={"a": 0.0, "b": 0.4},
    classes=10,
    participant_sd=0.6,
    class_sd=0.3,
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return power(SMALL, [24], np.random.default_rng(1), scales=[0, 1], simulations=200)


def row(table: pd.DataFrame, scale: float, test: str) -> pd.Series:
    (place,) = table.index[(table["scale"] == scale) & (table["test"] == test)]
    return table.loc[place]


def test_each_participant_answers_each_class_with_each_network():
    trials = FEL2023.trials(174)
    assert len(trials) == 174 * 19 * 3
    assert not trials.duplicated(["participant", "class_label", "network"]).any()
    people = trials.drop_duplicates("participant")["condition"].value_counts()
    assert sorted(people) == [43, 43, 44, 44]
    assert list(trials["condition"].cat.categories) == list(FEL2023.conditions)


def test_assumed_effects_and_spreads_come_back():
    plan = replace(SMALL, classes=60, class_network_sd=0.5)
    trials = plan.trials(800)
    eta = pd.Series(plan.log_odds(trials, np.random.default_rng(0)))
    centred = eta - eta.groupby(trials["condition"], observed=True).transform("mean")
    assert centred.groupby(trials["participant"]).mean().std() == pytest.approx(0.6, rel=0.1)
    by_cell = eta.groupby([trials["class_label"], trials["network"]], observed=True).mean()
    assert by_cell.unstack().diff(axis=1).iloc[:, 1].std() == pytest.approx(0.5 * 2**0.5, rel=0.3)
    means = eta.groupby(trials["condition"], observed=True).mean()
    assert means["maco"] - means["control"] == pytest.approx(0.9, abs=4 * 0.6 * (4 / 800) ** 0.5)
    flat = pd.Series(plan.log_odds(trials, np.random.default_rng(0), scale=0))
    assert np.ptp(eta - flat - 0.9 * (trials["condition"] == "maco")) < 1e-12


def test_without_an_effect_a_test_errs_as_often_as_alpha(table):
    for test in ("condition", "maco - control"):
        found = row(table, 0, test)
        assert found["low"] < 0.06 and found["high"] > 0.05  # 24 people: slightly above 5 %
    assert row(table, 0, "maco - control")["assumed"] == 0


def test_intervals_cover_the_truth_and_estimates_are_unbiased(table):
    for scale in (0, 1):
        found = row(table, scale, "maco - control")
        assert abs(found["coverage"] - 0.95) < 4 * (0.95 * 0.05 / 200) ** 0.5
        assert abs(found["bias"]) < 4 * found["width"] / 3.92 / 200**0.5 + 0.02
        assert found["failed"] == 0


def test_power_is_what_theory_says(table):
    """Two groups of 12; each one's mean log-odds has the variance .6² + 1/(20 p (1 - p))."""
    found = row(table, 1, "maco - control")
    p = 1 / (1 + np.exp(-0.65))
    se = np.sqrt(2 / 12 * (0.6**2 + 1 / (20 * p * (1 - p))))
    expected = stats.norm.sf(1.96 - 0.9 / se)
    assert found["power"] == pytest.approx(expected, abs=0.09)
    assert found["width"] == pytest.approx(2 * 1.96 * se, rel=0.1)
    assert row(table, 1, "condition")["power"] == pytest.approx(expected, abs=0.09)


def test_more_participants_find_more(table):
    more = power(SMALL, [60], np.random.default_rng(1), simulations=50)
    assert row(more, 1, "condition")["low"] > row(table, 1, "condition")["power"]


def test_the_number_of_processes_changes_nothing():
    small = replace(SMALL, classes=4)
    one, two = (
        power(small, [8, 12], np.random.default_rng(2), simulations=30, jobs=jobs)
        for jobs in (1, 2)
    )
    pd.testing.assert_frame_equal(one, two)


def test_a_plan_of_a_fit_assumes_its_estimates():
    trials = SMALL.trials(300)
    rng = np.random.default_rng(3)
    chance = 1 / (1 + np.exp(-SMALL.log_odds(trials, rng)))
    trials["correct"] = rng.binomial(1, chance)
    plan = Plan.from_fit(mixed_logit(SMALL.formula, trials))
    assert plan.conditions["control"] == 0
    assert plan.conditions["maco"] == pytest.approx(0.9, abs=0.3)
    assert plan.networks["b"] == pytest.approx(0.4, abs=0.2)
    assert plan.participant_sd == pytest.approx(0.6, abs=0.12)
    assert plan.intercept == pytest.approx(0, abs=0.4)
    assert plan.classes == 10 and plan.formula == SMALL.formula


def test_the_command_prints_and_saves(tmp_path):
    arguments = ["--participants", "8", "12", "--classes", "4", "--simulations", "10"]
    arguments += ["--condition", "control=0", "--condition", "maco=1", "--jobs", "1"]
    done = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "maco - control" in done.output
    saved = pd.read_csv(tmp_path / "power.csv")
    assert list(saved["participants"].unique()) == [8, 12]
    plan = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert plan["conditions"] == {"control": 0.0, "maco": 1.0} and plan["classes"] == 4
    assert (tmp_path / "power.svg").stat().st_size > 1000


def test_the_command_plans_from_a_study_that_was_run(tmp_path):
    export = make_export(tmp_path / "export")
    arguments = ["--export", str(export), "--participants", "12", "--simulations", "2"]
    done = CliRunner().invoke(main, [*arguments, "--jobs", "1", "--classes", "3"])
    assert done.exit_code == 0, done.output
    assert "condition" in done.output


def test_one_network_is_left_out_of_the_model_whatever_its_name():
    one = Plan({"control": 0.0, "maco": 0.5}, {"unconditional": 0.3}, classes=4)
    assert one.formula == "correct ~ condition + (1 | participant) + (1 | class_label)"
    found = power(one, [8], np.random.default_rng(0), simulations=3)
    assert list(found["test"]) == ["condition", "maco - control"]
    two = replace(one, networks={"unconditional": 1.0, "other": 0.0}, formula="")
    chance = power(
        replace(two, conditions={"a": 0.0, "b": 0.0}),
        [40],
        np.random.default_rng(0),
        simulations=20,
    )
    assert row(chance, 1, "condition")["power"] < 0.3  # network's effect is none of condition's


def test_a_test_of_several_terms_is_named_by_them():
    plan = replace(SMALL, classes=4, formula=SMALL.formula.replace("condition + ", "condition * "))
    found = power(plan, [8], np.random.default_rng(0), simulations=2)
    assert found["test"].iloc[0] == "condition + condition:network"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--condition", "maco"], "write NAME=LOG_ODDS"),
        (["--condition", "maco=1"], "two conditions"),
        (["--participants", "3"], "participants = 3"),
        (["--class-sd", "-1"], "class_sd = -1"),
        (["--alpha", "5"], "alpha = 5"),
        (["--scale", "nan"], "scales = [nan]"),
        (["--condition", "a=nan", "--condition", "b=0"], "a = nan"),
        (["--jobs", "0"], "0 is not in the range"),
        (["--formula", "correct ~ network + (1 | participant)"], "no effect of condition"),
        (["--export", "nowhere"], "nowhere"),
        (["--bundle", "nowhere"], "nowhere"),
        (["--formula", "correct ~ conditoin + (1 | participant)"], "conditoin"),
    ],
)
def test_what_cannot_be_planned_is_said_in_a_line(arguments, told):
    done = CliRunner().invoke(main, ["--simulations", "1", "--jobs", "1", *arguments])
    assert done.exit_code != 0
    assert told in done.output and "Traceback" not in done.output
