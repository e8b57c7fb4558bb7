"""Descriptives: numbers that can be worked out by hand, and intervals that hold what they claim."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exports import CLASSES, NETWORKS, make_export

from analysis.descriptives import (
    accuracy,
    activation_bins,
    activation_correlation,
    baseline_comparison,
    confidence,
    reaction_times,
    with_stimuli,
)
from analysis.responses import read_export
from stimuli.schema import Study


@pytest.fixture
def generator():
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    return read_export(make_export(tmp_path_factory.mktemp("export"), participants=60)).main


def answered(*participants, **columns):
    """Trials: each participant's correct (1) and wrong (0) answers, and other columns as given."""
    rows = [
        {"participant": f"p{who}", "correct": right}
        for who, answers in enumerate(participants)
        for right in answers
    ]
    return pd.DataFrame(rows).assign(**columns)


def test_every_participant_counts_once(generator):
    found = accuracy(answered([1, 1, 1, 1], [0, 0]), [], generator).iloc[0]
    assert (found["participants"], found["trials"], found["mean"]) == (2, 6, 0.5)
    assert found["sd"] == pytest.approx(np.sqrt(0.5))
    assert (found["low"], found["high"]) == (0, 1)


def test_a_single_participant_has_no_interval(generator):
    found = accuracy(answered([1, 0]), [], generator).iloc[0]
    assert found["mean"] == 0.5
    assert found[["sd", "low", "high"]].isna().all()


def test_means_by_condition_and_network_are_the_simulated_ones(trials, generator):
    found = accuracy(trials, ["condition"], generator).set_index("condition")
    assert found["participants"].tolist() == [20, 20, 20]
    assert found.loc["maco", "mean"] == pytest.approx(0.9, abs=0.05)
    assert (found["low"] < found["mean"]).all() and (found["mean"] < found["high"]).all()
    assert found.loc["control", "high"] < found.loc["maco", "low"]
    cells = accuracy(trials, ["condition", "network"], generator)
    assert list(zip(cells["condition"], cells["network"], strict=True)) == [
        (condition, network) for condition in ("control", "maco", "olah") for network in NETWORKS
    ]
    by_class = accuracy(trials, ["class_label"], generator)
    assert set(by_class["class_label"]) == set(CLASSES)


def test_the_same_seed_gives_the_same_interval(trials):
    first, second = (accuracy(trials, ["network"], np.random.default_rng(3)) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_the_interval_is_that_of_the_t_distribution_for_many_participants(generator):
    """Percentile bootstrap and normal theory agree where there are many participants."""
    people = generator.binomial(20, 0.7, size=400)
    table = answered(*([1] * right + [0] * (20 - right) for right in people))
    found = accuracy(table, [], generator).iloc[0]
    half = 1.96 * found["sd"] / np.sqrt(400)
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.05)


def test_95_percent_intervals_cover_the_truth(generator):
    """200 studies of 30 people: 95 % +- 3 Monte-Carlo standard errors, less the bootstrap's own."""
    covered = 0
    for _ in range(200):
        people = generator.binomial(20, 0.7, size=30)
        table = answered(*([1] * right + [0] * (20 - right) for right in people))
        found = accuracy(table, [], generator, resamples=500).iloc[0]
        covered += found["low"] <= 0.7 <= found["high"]
    assert 0.89 <= covered / 200 <= 0.99


def test_reaction_times_are_medians_and_geometric_means(generator):
    table = answered([1, 1, 0], [1, 1, 1]).assign(rt_ms=[100, 10_000, 500, 1000, 1000, 0])
    found = reaction_times(table, [], generator).set_index("responses")
    assert found.loc["correct", "trials"] == 4  # that of 0 ms does not count
    assert found.loc["correct", "median_ms"] == pytest.approx((5050 + 1000) / 2)
    assert found.loc["correct", "geometric_mean_ms"] == pytest.approx(1000)
    assert found.loc["wrong", "geometric_mean_ms"] == pytest.approx(500)
    assert np.isnan(found.loc["wrong", "low_ms"])


def test_reaction_times_stand_in_their_cells(trials, generator):
    found = reaction_times(trials, ["condition"], generator)
    cell = found[(found["condition"] == "olah") & (found["responses"] == "all")].iloc[0]
    own = trials[trials["condition"] == "olah"].groupby("participant")["rt_ms"].median()
    assert cell["median_ms"] == pytest.approx(own.median())
    assert cell["low_ms"] < cell["geometric_mean_ms"] < cell["high_ms"]


def test_confidence_is_higher_where_it_was_simulated_so(trials, generator):
    found = confidence(trials, ["network"], generator).set_index(["responses", "network"])
    assert (found.loc["correct", "mean"] == 3).all()
    assert (found.loc["wrong", "mean"] == 1).all()
    assert confidence(trials.assign(confidence=pd.NA), [], generator).empty


def test_an_unknown_column_is_named(trials, generator):
    with pytest.raises(ValueError, match="these data have no column 'contition'"):
        accuracy(trials, ["contition"], generator)


def study_of(trials, differences):
    """A study with the trials of an export; the baseline "centre" is right in every other one."""
    found = []
    for number, (trial_id, rows) in enumerate(trials.groupby("trial_id", observed=True)):
        side = int(rows["favored_side"].iloc[0] == "right")
        activations, centre = [0.0, 0.0], [0.0, 0.0]
        activations[side] = differences[number]
        centre[side if number % 2 else 1 - side] = 1.0
        found.append(
            {
                "id": trial_id,
                "kind": "main",
                "network": rows["network"].iloc[0],
                "unit": {"kind": "class", "index": 0, "label": "owl"},
                "base_image": {"source": "x", "image": "x.png"},
                "references": {"maco": []},
                "queries": [
                    {
                        "image": "x.png",
                        "activation": value,
                        "occluder": {"x_px": 0, "y_px": 0, "size_px": 1},
                    }
                    for value in activations
                ],
                "base_activation": 1.0,
                "favored": side,
                "baselines": {"centre": centre, "blind": [1.0, 1.0]},
            }
        )
    network = {"model": "m", "weights_digest": "0", "input_size_px": 1}
    return Study.model_validate(
        {
            "schema_version": 1,
            "name": "tiny",
            "title": "tiny",
            "config": {},
            "software": {},
            "networks": [network | {"name": name} for name in NETWORKS],
            "conditions": ["maco"],
            "images": {"x.png": "0" * 64},
            "trials": found,
            "lists": [[found[0]["id"]]],
        }
    )


@pytest.fixture(scope="module")
def seen(trials):
    """The trials with stimuli whose difference grows with the share of correct answers."""
    shares = trials.groupby("trial_id", observed=True)["correct"].mean()
    differences = shares.rank(method="first").tolist()
    return with_stimuli(trials, study_of(trials, differences))


def test_accuracy_follows_the_activation_difference_it_was_made_from(seen):
    found = activation_correlation(seen)
    assert found["network"].tolist() == list(NETWORKS)
    assert found["items"].tolist() == [12, 12]
    assert (found["rho"] > 0.95).all()
    assert activation_correlation(seen.assign(activation_difference=1.0))["rho"].isna().all()


def test_bins_hold_equally_many_items_in_order(seen, generator):
    found = activation_bins(seen, generator, bins=3, resamples=100)
    assert found["trials"].tolist() == [4 * 60] * 6
    for _, network in found.groupby("network", observed=True):
        assert network["bin"].tolist() == [1, 2, 3]
        assert network["mean"].is_monotonic_increasing
        assert network["activation_difference"].is_monotonic_increasing


def test_baselines_stand_beside_the_participants(seen):
    found = baseline_comparison(seen).set_index(["condition", "baseline"])
    centre = found.xs("centre", level="baseline")
    assert centre["baseline_accuracy"].tolist() == [0.5] * 3
    cell = seen[seen["condition"] == "maco"]
    wrong = cell.loc[cell["baseline_centre"] == 0, "correct"].mean()
    assert centre.loc["maco", "accuracy_when_wrong"] == pytest.approx(wrong)
    assert centre.loc["maco", "accuracy"] == pytest.approx(cell["correct"].mean())
    same = (cell["baseline_centre"] == cell["correct"]).mean()
    assert centre.loc["maco", "same"] == pytest.approx(same)
    blind = found.xs("blind", level="baseline")
    assert blind["baseline_accuracy"].tolist() == [0.5] * 3
    assert blind["same"].isna().all()


def test_a_trial_of_another_study_is_refused(trials):
    study = study_of(trials[trials["network"] == "ViT"], [float(n) for n in range(1, 13)])
    with pytest.raises(ValueError, match="trial 'main-ResNet-0-0' is none of the study 'tiny'"):
        with_stimuli(trials, study)


def test_stimuli_are_needed_for_what_is_about_them(trials):
    with pytest.raises(ValueError, match="give with_stimuli the bundle"):
        activation_correlation(trials)
    with pytest.raises(ValueError, match="the trials have no baselines"):
        baseline_comparison(trials)
