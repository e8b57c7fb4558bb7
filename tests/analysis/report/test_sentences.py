"""What is said of tests and models, in the words and numbers of the APA."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from exports import make_export
from told import NO_DIFFERENCE, comparison, terms

from analysis.findings import find
from analysis.report import tell
from analysis.report.apa import interval, listed, number, p_value, percent, ratio, said_p, share
from analysis.report.sentences import (
    compare,
    omnibus,
    singular,
    structures,
)
from analysis.responses import read_export


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(-0.136), "−0.14"),  # noqa: RUF001
        (number(-0.001), "0.00"),
        (number(np.nan), "–"),  # noqa: RUF001
        (number(12345.6, 1), "12,345.6"),
        (share(0.1264), ".13"),
        (share(-0.058), "−.06"),  # noqa: RUF001
        (share(1.0), "1.00"),
        (p_value(0.0213), ".021"),
        (p_value(0.00042), "< .001"),
        (p_value(0.99996), "> .999"),
        (said_p(0.0496), "p = .050"),
        (said_p(1e-9), "p < .001"),
        (percent(0.5843), "58.4%"),
        (ratio(1.9937), "1.99"),
        (ratio(0.0412), "0.041"),
        (ratio(3.2e9), "3.2 × 10^9"),  # noqa: RUF001
        (interval(-0.5, 0.25), "[−0.50, 0.25]"),  # noqa: RUF001
        (interval(np.nan, 1), "–"),  # noqa: RUF001
        (listed(["a", "b", "c"]), "a, b, and c"),
    ],
)
def test_numbers_are_written_as_the_apa_writes_them(written, expected):
    assert written == expected


def test_a_better_model_with_interaction_is_told_as_in_the_paper():
    told = compare(comparison(chisq=25.342, p=0.0003, gain=13.34))
    assert told == (
        "The model with the interaction fitted better, χ²(6) = 25.34, p < .001, ΔAIC = 13.3."
    )


@pytest.mark.parametrize(
    ("test", "reported"),
    [
        (comparison(chisq=3.2, p=0.198, gain=-0.8), "main effects, which is reported"),
        (comparison(chisq=4.2, p=0.122, gain=0.2), "lower AIC (ΔAIC = 0.2) and is reported"),
        (comparison(chisq=15.8, p=0.045, gain=-0.2, df=8), "model of main effects had the lower"),
    ],
    ids=["neither", "only AIC", "only the test"],
)
def test_the_sentence_says_which_model_is_reported_where_criteria_disagree(test, reported):
    told = compare(test)
    assert reported in told
    assert "fitted better" not in told


def test_an_interaction_without_evidence_is_not_told_to_be_absent():
    told = compare(comparison(chisq=3.2, p=0.198, gain=-0.8))
    assert told.startswith("There was no clear evidence of an interaction, χ²(6) = 3.20, p = .198")
    assert not NO_DIFFERENCE.search(told)


def test_terms_are_told_with_their_tests():
    assert omnibus(terms(condition=1e-9, network=0.3)) == [
        "Condition predicted whether the favored query was chosen, χ²(3) = 40.14, p < .001.",
        "There was no clear evidence that network predicted whether the favored query was chosen, "
        "χ²(3) = 40.14, p = .300.",
    ]


def test_with_an_interaction_it_is_told_first_and_of_each_factor_only_the_average():
    assert omnibus(terms(condition=0.3, network=1e-9, condition_by_network=0.02)) == [
        "The effect of condition depended on the network, χ²(3) = 40.14, p = .020.",
        "On average over the networks, there was no clear evidence that condition predicted "
        "whether the favored query was chosen, χ²(3) = 40.14, p = .300.",
        "On average over the conditions, network predicted whether the favored query was chosen, "
        "χ²(3) = 40.14, p < .001.",
    ]


def test_in_a_crossover_no_sentence_denies_the_effect_of_condition(crossed):
    told = tell(crossed, "control")
    for sentences in (told.results[1:], told.short):
        assert sentences[0].startswith("The effect of condition depended on the network, χ²")
    told_all = " ".join(told.results + told.short)
    denials = re.findall(r"[^.;]*no clear evidence that (?:condition|network)[^.;]*", told_all)
    assert denials
    assert all("n average over the" in one for one in denials)
    assert told_all.count("for a typical participant, averaged over networks, was") == 2
    assert "without visualizations, averaged over networks, " in told_all


def test_a_term_that_cannot_be_tested_gets_no_statistic():
    assert omnibus(terms(network=np.nan)) == ["The term network could not be tested."]


def test_a_singular_fit_names_the_variance_that_is_0():
    sizes = {"participant": 0.0, "class_label": 0.2}
    covariances = {name: pd.DataFrame([[size]]) for name, size in sizes.items()}
    fit = SimpleNamespace(is_singular=True, random_effects_cov=covariances)
    assert singular(fit) == (
        "The fit was singular: the variance of participant was estimated as 0."
    )
    assert singular(SimpleNamespace(is_singular=False)) == ""


def test_a_larger_random_part_that_fits_better_is_told_with_what_it_changes():
    table = pd.DataFrame(
        {"parameters": [14, 15, 15], "chisq": [np.nan, 25.02, 0.0], "p": [np.nan, 1e-7, 1.0]}
        | {"condition_wald_chisq": [44.1, 44.2, 44.1], "network_wald_chisq": [57.4, 20.7, 57.4]}
        | {"converged": True},
        index=["", "(1 | class_label:network)", "(1 | participant:network)"],
    )
    assert structures(table, ("condition", "network")) == [
        "Adding (1 | class_label:network) fitted better, χ²(1) = 25.02, p < .001; Wald χ² changes "
        "for network from 57.40 to 20.70. Report the tests with and without it."
    ]


def test_of_a_larger_random_part_that_did_not_converge_nothing_is_told():
    table = pd.DataFrame(
        {"parameters": [14, 15], "chisq": [np.nan, 25.02], "p": [np.nan, 1e-7]}
        | {"condition_wald_chisq": [44.1, 9.9], "converged": [True, False]},
        index=["", "(1 | class_label:condition)"],
    )
    assert structures(table, ("condition",)) == []
    assert structures(table.assign(converged=True), ("condition",)) != []


def test_one_factor_is_told_without_a_comparison(tmp_path):
    def only_vit(trials, people):
        trials[:] = [row for row in trials if row["network"] == "ViT"]

    export = read_export(make_export(tmp_path / "export", only_vit))
    told = tell(find(export.main, np.random.default_rng(0)), None)
    assert [family.title for family in told.contrasts] == ["Conditions"]
    assert not re.search("interaction|network|chance", " ".join(told.results))


def test_of_a_fit_that_did_not_converge_nothing_is_told_but_that(separated):
    fit = separated.models.additive
    lost = SimpleNamespace(
        converged=False, aic=fit.aic, design=fit.design, warnings=["The fit has not converged."]
    )
    models = replace(separated.models, additive=lost, interaction=None)
    told = tell(replace(separated, models=models), "control")
    assert told.short == [] and told.results == [] and told.contrasts == []
    assert told.refused.startswith("No result is told: the model correct ~ condition + network")
    assert "did not converge" in told.refused
