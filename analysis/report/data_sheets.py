"""Tables to read of what was observed: who was left out, accuracy, times, agreement, stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from analysis.report.apa import count, p_value, share, word
from analysis.report.sheets import Sheet, bare_percent, ends, of, sheet


def excluded(table: pd.DataFrame) -> Sheet:
    """Who was left out and why: a row a participant and rule."""
    columns = [
        of("participant", "Participant", str),
        of("condition", "Condition", lambda name: "none" if pd.isna(name) else word(name)),
        of("rule", "Rule", word),
        of("reason", "Reason", str),
    ]
    caption = "Participants left out, by pseudonym, and the rules they break."
    return replace(sheet(table, caption, columns), is_text=True)


def accuracy(table: pd.DataFrame, by: Sequence[str], caption: str) -> Sheet:
    """Observed shares of correct choices."""
    names = [of(name, word(name).capitalize(), word) for name in by]
    numbers = [
        of("participants", "Participants", count),
        of("trials", "Trials", count),
        of("mean", "Correct, %", bare_percent),
        ends(bare_percent),
        of("sd", "SD", bare_percent),
    ]
    return sheet(table, caption, [*names, *numbers], len(by))


def reaction_times(table: pd.DataFrame) -> Sheet:
    """Reaction times by condition and outcome."""
    columns = [
        of("condition", "Condition", word),
        of("responses", "Choices", str),
        of("participants", "Participants", count),
        of("trials", "Trials", count),
        of("median_ms", "Median, ms", count),
        of("geometric_mean_ms", "Geometric mean, ms", count),
        ends(count, "low_ms", "high_ms"),
    ]
    return sheet(table, "Reaction times by condition.", columns, 2)


def confidence(table: pd.DataFrame) -> Sheet:
    """Confidence by condition and outcome."""
    columns = [
        of("condition", "Condition", word),
        of("responses", "Choices", str),
        of("participants", "Participants", count),
        of("trials", "Trials", count),
        of("mean", "Mean rating"),
        ends(),
        of("sd", "SD"),
    ]
    return sheet(table, "Confidence by condition (1 = least sure).", columns, 2)


def agreement(choices: pd.DataFrame, favored: pd.DataFrame) -> Sheet:
    """Agreement on the side chosen, and on whether the favored query was chosen."""
    table = choices.merge(favored[["condition", "cohen", "fleiss"]], on="condition")
    columns = [
        of("condition", "Condition", word),
        of("participants", "Participants", count),
        of("items", "Trials shared", count),
        of("pairs", "Pairs", count),
        of("same", "Same choice, %", bare_percent),
        of("cohen_x", "Cohen's κ, side", share),
        of("fleiss_x", "Fleiss' κ, side", share),
        of("cohen_y", "Cohen's κ, favored", share),
        of("fleiss_y", "Fleiss' κ, favored", share),
    ]
    return sheet(table, "Agreement between participants who saw the same trials.", columns)


def activation(table: pd.DataFrame) -> Sheet:
    """Spearman's correlation of the difference in activation and accuracy."""
    columns = [
        of("network", "Network", word),
        of("items", "Trials", count),
        of("rho", "Spearman's rho", share),
        of("p", "p", p_value),
    ]
    caption = "Correlation over trials of the difference in activation and accuracy."
    return sheet(table, caption, columns)


def baselines(table: pd.DataFrame) -> Sheet:
    """Participants beside object-blind baselines."""
    columns = [
        of("condition", "Condition", word),
        of("baseline", "Baseline", word),
        of("trials", "Trials", count),
        of("accuracy", "Participants, %", bare_percent),
        of("baseline_accuracy", "Baseline, %", bare_percent),
        of("same", "Same choice, %", bare_percent),
        of("accuracy_when_right", "Participants where it is right, %", bare_percent),
        of("accuracy_when_wrong", "Participants where it is wrong, %", bare_percent),
    ]
    return sheet(table, "Participants and object-blind baselines on the same trials.", columns, 2)
