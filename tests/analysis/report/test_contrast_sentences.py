"""What is said of means and contrasts, and of control: never more than the numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from told import NO_DIFFERENCE, difference, mean

from analysis.report import tell
from analysis.report.sentences import (
    contrast,
    control,
    means,
)


@pytest.mark.parametrize(
    ("sign", "pair"), [(1, ("maco_masked", "control")), (-1, ("control", "maco_masked"))]
)
def test_a_contrast_is_told_from_the_higher_level_as_in_the_paper(sign, pair):
    told = contrast(difference(sign * 0.69), "condition", pair)
    assert told == (
        "The odds of a correct choice were higher in maco masked than in control "
        "(β = 0.69, SE = 0.13, z = 5.31, p < .001, OR = 1.99, 95% CI [1.43, 2.78])."
    )


def test_a_contrast_without_evidence_says_neither_higher_nor_equal():
    told = contrast(difference(-0.14, p=0.658), "network", ("ViT", "VGG16"))
    assert told.startswith(
        "There was no clear evidence of a difference between VGG16 and ViT (VGG16 minus ViT: "
        "β = 0.14, SE = 0.13, z = 1.08, p = .658, OR = 1.15, 95% CI ["
    )
    assert "higher" not in told
    assert not NO_DIFFERENCE.search(told)


def test_a_contrast_at_a_level_of_the_other_factor_says_so():
    told = contrast(difference(0.69), "condition", ("maco", "control"), others={"network": "ViT"})
    assert told.startswith(
        "The odds of a correct choice were higher in maco than in control, for ViT ("
    )


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (difference(19.4, se=45.0, p=0.9), []),
        (difference(2.0), [{"condition": "maco"}]),
        (difference(2.0, se=np.nan), []),
        (difference(np.nan), []),
    ],
    ids=["enormous", "all correct", "no standard error", "empty cell"],
)
def test_a_contrast_without_a_finite_estimate_gets_no_number(row, cells):
    told = contrast(row, "condition", ("maco", "control"), cells)
    assert told.startswith("The difference between maco and control ")
    assert not re.search(r"\d", told)


def test_separation_in_another_cell_leaves_a_contrast_alone():
    elsewhere = [{"condition": "maco", "network": "ViT"}]
    row, pair = difference(0.69), ("maco", "control")
    assert "higher" in contrast(row, "condition", pair, elsewhere, {"network": "VGG16"})
    assert "separation" in contrast(row, "condition", pair, elsewhere, {"network": "ViT"})
    assert "separation" in contrast(row, "condition", pair, elsewhere)


def test_means_are_percentages_with_intervals_and_leave_out_what_is_not_finite():
    table = pd.DataFrame(
        {"condition": ["control", "maco_masked", "olah"], "probability": [0.5903, 0.75, 1.0]}
        | {"low": [0.53, 0.7, 0.0], "high": [0.648, 0.79, 1.0]}
    )
    assert means(table, "condition", [{"condition": "olah"}]) == (
        "The model's mean for a typical participant was 59.0% in control (95% CI [53.0, 64.8]) "
        "and 75.0% in maco masked (95% CI [70.0, 79.0])."
    )


@pytest.mark.parametrize(
    ("log_odds", "claim"),
    [(0.4, "was above chance: 59.9%"), (-0.4, "was below chance"), (0.1, "is open: 52.5%")],
)
def test_control_is_told_to_be_above_chance_only_if_it_is(log_odds, claim):
    assert claim in control(mean(log_odds), "control")


def test_control_is_told_as_the_probability_of_the_model_and_not_as_accuracy():
    told = control(mean(0.4), "control")
    assert told.startswith(
        "The model's probability of a correct choice for a typical participant in control, without "
        "visualizations, was above chance: 59.9%, 95% CI ["
    )
    averaged = control(mean(0.1), "control", over=("network",))
    assert averaged.startswith("Whether the model's probability")
    assert "visualizations, averaged over networks, differed from chance is open" in averaged


def test_control_without_a_finite_estimate_is_not_told():
    assert control(mean(0.4, se=np.nan), "control") == ""
    assert control(mean(18.0), "control", [{"condition": "control"}]) == ""


def test_of_separated_data_only_the_finite_contrasts_have_a_size(separated):
    told = tell(separated, "control")
    conditions = " ".join(told.contrasts[0].sentences)
    assert conditions.count("no finite estimate (separation") == 2
    assert conditions.count("β = ") == 1
    assert "in maco" not in " ".join(told.results)
