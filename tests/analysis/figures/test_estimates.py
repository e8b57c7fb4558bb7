"""Performance, forests and caterpillars show the numbers of their tables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from drawn import (
    CONDITIONS,
    CONTRASTS,
    EFFECTS,
    LINK,
    NAN,
    NETWORKS,
    PEOPLE,
    RESPONSE,
    example,
    intervals,
    labels,
    points,
    texts,
)

from analysis import figures


def test_performance_shows_the_means_with_their_intervals():
    figure = example("performance")
    for axes, table, column in zip(
        figure.axes, (LINK, RESPONSE), ("log_odds", "probability"), strict=True
    ):
        found = [(round(x), pytest.approx(y)) for x, y in points(axes)]
        expected = table.sort_values(
            "network", key=lambda names: names.map(NETWORKS.index), kind="stable"
        )
        places = [CONDITIONS.index(name) for name in expected["condition"]]
        assert found == list(zip(places, expected[column], strict=True))
        ends = list(zip(expected["low"], expected["high"], strict=True))
        assert np.array(intervals(axes, "_interval")) == pytest.approx(np.array(ends))
        assert labels(axes.xaxis) == ["control", "olah", "maco", "maco with\ntransparency"]


def test_performance_shows_every_participant_once_beside_their_network():
    figure = example("performance")
    right, wrong = PEOPLE["correct"], PEOPLE["trials"] - PEOPLE["correct"]
    for axes, values in zip(
        figure.axes, (np.log((right + 0.5) / (wrong + 0.5)), right / PEOPLE["trials"]), strict=True
    ):
        dots = np.concatenate(
            [c.get_offsets() for c in axes.collections if len(c.get_offsets()) > 1]
        )
        assert sorted(dots[:, 1]) == pytest.approx(sorted(values))
        assert len(np.unique(dots.round(6), axis=0)) == len(PEOPLE)
        centres = np.array([x for x, _ in points(axes)])
        assert np.abs(dots[:, :1] - centres).min(axis=1).max() < 0.84 / 3 / 2


def test_performance_says_where_chance_is():
    figure = example("performance")
    for axes, chance in zip(figure.axes, (0, 0.5), strict=True):
        lines = [line for line in axes.lines if line.get_label() == "_mark"]
        assert [list(line.get_ydata()) for line in lines] == [[chance, chance]]
    assert texts(figure).count("chance") == 2


def test_one_participant_one_condition_and_no_interval_are_drawn_as_they_are():
    person = PEOPLE.iloc[:1]
    link, response = (table.iloc[:1].assign(low=NAN, high=NAN) for table in (LINK, RESPONSE))
    figure = figures.performance(person, link, response)
    assert points(figure.axes[0]) == [(0, 0.1)]
    assert points(figure.axes[1]) == [(0, 0.5)]
    assert intervals(figure.axes[0]) == intervals(figure.axes[1]) == []
    assert figure.axes[0].get_ylim()[0] < 0  # chance is in sight


def test_somebody_without_trials_in_a_network_has_no_dot_there():
    people = PEOPLE.iloc[:3].assign(correct=[9, 0, 4], trials=[17, 0, 17])
    axes = figures.performance(people, LINK, RESPONSE).axes[1]
    dots = [
        y for c in axes.collections if not hasattr(c, "get_segments") for _, y in c.get_offsets()
    ]
    assert sorted(dots) == pytest.approx([4 / 17, 9 / 17])


def test_many_cells_get_a_row_for_each_panel_and_labels_that_do_not_meet():
    copies = [f"{name}_of_considerable_length" for name in ("", "x", "y")]
    tables = [
        pd.concat([table.assign(condition=table["condition"] + copy) for copy in copies])
        for table in (PEOPLE, LINK, RESPONSE)
    ]
    first, second = figures.performance(*tables).axes
    assert first.get_position().y0 > second.get_position().y1
    boxes = [label.get_window_extent() for label in second.get_xticklabels()]
    assert len(boxes) == 12
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_forest_shows_estimates_as_points_and_as_words():
    figure = figures.forest(CONTRASTS, adjustment="Tukey")
    axes = figure.axes[0]
    assert [x for x, _ in points(axes)] == list(CONTRASTS["estimate"])
    assert intervals(axes) == list(zip(CONTRASTS["low"], CONTRASTS["high"], strict=True))
    assert labels(axes.yaxis) == [
        "Visualization",
        "maco \N{MINUS SIGN} control",
        "maco with transparency \N{MINUS SIGN} control",
        "Network",
        "ResNet50 \N{MINUS SIGN} ViT",
    ]
    rows = [
        tick
        for tick, name in zip(axes.get_yticks(), labels(axes.yaxis), strict=True)
        if " " in name
    ]
    assert [y for _, y in points(axes)] == rows
    said = texts(figure)
    assert "0.92 [0.60, 1.24]" in said and "< .001" in said
    assert "\N{MINUS SIGN}0.69 [\N{MINUS SIGN}1.02, \N{MINUS SIGN}0.36]" in said and ".021" in said
    assert "p (Tukey)" in said and "Estimate [95 % interval]" in said


def test_the_axis_above_a_forest_is_in_odds_ratios():
    below, above = figures.forest(CONTRASTS).axes
    assert above.get_xlim() == below.get_xlim()
    ratios = [float(label) for label in labels(above.xaxis)]
    assert 1 in ratios and 2 in ratios
    assert np.log(ratios) == pytest.approx(above.get_xticks())


def test_a_contrast_without_an_interval_or_an_estimate_says_so():
    table = CONTRASTS.drop(columns="family")
    table.loc[0, ["low", "high", "p"]] = NAN
    table.loc[1, ["estimate", "low", "high", "p"]] = NAN
    figure = figures.forest(table)
    assert intervals(figure.axes[0]) == [(0.35, 0.63)]
    assert "0.92 [no interval]" in texts(figure) and "cannot be estimated" in texts(figure)
    assert texts(figure).count("\N{EN DASH}") == 2


def test_caterpillar_sorts_the_levels_and_draws_their_intervals():
    figure = figures.caterpillar(EFFECTS, "class_label")
    axes = figure.axes[0]
    assert points(axes) == [(-0.2, 0), (0.4, 1)]
    assert labels(axes.yaxis) == ["nile crocodile", "llama"]
    ends = [(-0.2 - 1.96 * 0.2, -0.2 + 1.96 * 0.2), (0.4 - 1.96 * 0.1, 0.4 + 1.96 * 0.1)]
    assert np.array(intervals(axes)) == pytest.approx(np.array(ends), abs=1e-4)
    assert "class label (2 levels)" in texts(figure)


@pytest.mark.parametrize(("count", "named"), [(60, 60), (61, 0)])
def test_caterpillar_names_sixty_levels_at_most(count, named):
    table = pd.DataFrame({"level": range(count), "mode": np.arange(count) / 10, "se": 0.1})
    axes = figures.caterpillar(table, "participant").axes[0]
    assert len(labels(axes.yaxis)) == named
    assert len(points(axes)) == count
