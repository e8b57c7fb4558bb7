"""Bootstrap intervals: their width, their coverage, and clusters."""

from __future__ import annotations

import numpy as np
import pytest

from maco.metrics.intervals import bootstrap_interval


def test_an_interval_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = bootstrap_interval(values, np.random.default_rng(1))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.exponential(1, 40), rng, level=0.9, draws=300)
        inside += low <= 1 <= high
    assert 0.82 < inside / 300 < 0.93


def test_repeats_of_a_class_say_nothing_new():
    rng = np.random.default_rng(0)
    once = rng.normal(0, 1, 12)
    repeated, classes = np.repeat(once, 20), np.repeat(np.arange(12), 20)
    alone = bootstrap_interval(once, np.random.default_rng(1))
    clustered = bootstrap_interval(repeated, np.random.default_rng(1), clusters=classes)
    naive = bootstrap_interval(repeated, np.random.default_rng(1))
    assert clustered == pytest.approx(alone)
    assert naive[1] - naive[0] < 0.4 * (alone[1] - alone[0])


def test_classes_of_different_size_keep_their_weight():
    values, classes = [1.0] * 9 + [0.0], ["hen"] * 9 + ["jay"]
    low, high = bootstrap_interval(values, np.random.default_rng(0), clusters=classes)
    assert (low, high) == (0, 1)


def test_of_one_class_nothing_can_be_said():
    interval = bootstrap_interval([1, 2, 3], np.random.default_rng(0), clusters=["hen"] * 3)
    assert np.isnan(interval).all()


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "at least one value"),
        ([1, float("nan")], {}, "finite"),
        ([1, 2], {"clusters": [1]}, "2 values and 1 cluster labels"),
        ([1, 2], {"level": 95}, "level is 95"),
    ],
)
def test_bad_input_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values, np.random.default_rng(0), **options)
