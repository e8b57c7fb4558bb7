"""Who took part, how long they took, where the model fails: figures show it as it is."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from drawn import (
    BINS,
    CONTRASTS,
    EFFECTS,
    FLOW,
    LINK,
    NAN,
    PEOPLE,
    POWER,
    RESIDUALS,
    RESPONSE,
    TIMES,
    intervals,
    labels,
    points,
    texts,
)

from analysis import figures


def test_the_flow_tells_each_step_in_words():
    said = texts(figures.exclusions_flow(FLOW))
    assert said == [
        "Arrived (n = 191)",
        "Excluded: left before the end (n = 9)",
        "182 left",
        "Excluded: worse than chance (n = 8; 3 more had been excluded before)",
        "Analysed (n = 174)",
        "control (n = 87)",
        "maco with transparency (n = 86)",
        "no condition (n = 1)",
    ]


def test_the_flow_without_rules_goes_straight_to_the_analysis():
    flow = FLOW.iloc[:1].assign(left=190)
    assert texts(figures.exclusions_flow(flow))[:2] == ["Arrived (n = 190)", "Analysed (n = 190)"]


def test_power_has_a_curve_an_effect_in_the_order_of_participants():
    figure = figures.power_curves(POWER, alpha=0.05)
    axes = figure.axes[0]
    assert points(axes) == [(40, 0.6), (80, 0.9), (40, 0.05), (80, 0.04)]
    assert intervals(axes) == [(0.55, 0.65), (0.88, 0.93), (0.03, 0.07), (0.02, 0.06)]
    marks = [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_mark"]
    assert marks == [0.8, 0.05]
    assert {"80 %", "alpha = 5 %", "strong", "none"} <= set(texts(figure))
    curves = [line for line in axes.lines if line.get_label() != "_mark"]
    assert len({(line.get_marker(), str(line.get_linestyle())) for line in curves}) == 2


def test_uniform_residuals_lie_on_the_diagonal_and_their_quartiles_on_the_lines():
    left, right = figures.residuals(RESIDUALS).axes
    found = np.array(points(left))
    assert found.shape == (990, 2)
    assert np.abs(found[:, 0] - found[:, 1]).max() < 0.011
    quartiles = right.lines[-1], right.lines[-3], right.lines[-5]
    for line, share in zip(quartiles, (0.75, 0.5, 0.25), strict=True):
        assert line.get_ydata() == pytest.approx([share] * 10, abs=0.011)


def test_the_band_of_residuals_is_that_of_massart():
    left = figures.residuals(RESIDUALS.iloc[:50]).axes[0]
    band = left.collections[0].get_paths()[0].get_extents()
    assert band.y1 - 1 == pytest.approx(np.sqrt(np.log(40) / 100))


def test_residuals_outside_0_to_1_are_refused():
    with pytest.raises(ValueError, match=r"residual 1\.2: scaled residuals lie between 0 and 1"):
        figures.residuals(pd.DataFrame({"predicted": [0.5], "residual": [1.2]}))


def test_reaction_times_are_drawn_on_a_logarithmic_axis_with_their_numbers():
    figure = figures.reaction_times(TIMES)
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert labels(axes.yaxis) == ["control", "maco with\ntransparency"]
    said = texts(figure)
    assert "21 correct 20 wrong" in said and "2 correct 0 wrong" in said
    assert "Choice; left out: 1 trial without a time" in said
    assert np.array([float(name) for name in labels(axes.xaxis)]) * 1000 == pytest.approx(
        axes.get_xticks()
    )
    assert any(line.get_xdata()[0] == pytest.approx(2000) for line in axes.lines)  # the median


def test_a_few_reaction_times_are_dots_and_no_curve():
    axes = figures.reaction_times(TIMES.iloc[-3:-1]).axes[0]
    dots = np.concatenate([c.get_offsets() for c in axes.collections])
    assert sorted(dots[:, 0]) == [700, 2500]
    assert not axes.lines


def test_activation_has_a_panel_a_network_in_its_own_units():
    figure = figures.activation(BINS)
    for axes, (_, table) in zip(figure.axes, BINS.groupby("network", sort=False), strict=True):
        expected = list(zip(table["activation_difference"], table["mean"], strict=True))
        assert points(axes) == expected
        assert intervals(axes) == list(zip(table["low"], table["high"], strict=True))
    assert [axes.get_title() for axes in figure.axes] == ["VGG16", "ResNet50"]


@pytest.mark.parametrize(
    ("draw", "column"),
    [
        (lambda drop: figures.performance(drop(PEOPLE), LINK, RESPONSE), "trials"),
        (lambda drop: figures.performance(PEOPLE, drop(LINK), RESPONSE), "log_odds"),
        (lambda drop: figures.performance(PEOPLE, LINK, drop(RESPONSE)), "probability"),
        (lambda drop: figures.forest(drop(CONTRASTS)), "p"),
        (lambda drop: figures.caterpillar(drop(EFFECTS), "class"), "se"),
        (lambda drop: figures.exclusions_flow(drop(FLOW)), "dropped"),
        (lambda drop: figures.power_curves(drop(POWER)), "power"),
        (lambda drop: figures.residuals(drop(RESIDUALS)), "residual"),
        (lambda drop: figures.reaction_times(drop(TIMES)), "rt_ms"),
        (lambda drop: figures.activation(drop(BINS)), "activation_difference"),
    ],
)
def test_a_missing_column_is_named_and_an_empty_table_refused(draw, column):
    with pytest.raises(ValueError, match=f"has no column {re.escape(repr(column))}; its columns:"):
        draw(lambda table: table.drop(columns=column))
    with pytest.raises(ValueError, match="is empty: there is nothing to draw"):
        draw(lambda table: table.iloc[:0])


def test_rows_without_a_condition_are_refused():
    people = PEOPLE.assign(condition=PEOPLE["condition"].where(PEOPLE.index > 1))
    with pytest.raises(ValueError, match="2 rows have no condition"):
        figures.performance(people, LINK, RESPONSE)


def test_an_outcome_that_is_neither_right_nor_wrong_is_refused():
    with pytest.raises(ValueError, match=r"correct = nan: 0 or 1 is allowed"):
        figures.reaction_times(TIMES.assign(correct=[NAN, *[1.0] * 43]))


def test_trials_without_any_time_are_refused():
    with pytest.raises(ValueError, match="no trial has an rt_ms above 0"):
        figures.reaction_times(TIMES.assign(rt_ms=NAN))
