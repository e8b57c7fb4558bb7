"""Result sentences: the numbers in APA style, and no claim that the numbers do not make."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from exports import make_export

from analysis.findings import find
from analysis.omnibus import LikelihoodRatio
from analysis.report import tell
from analysis.report.apa import interval, listed, number, p_value, percent, ratio, said_p, share
from analysis.report.sentences import (
    compare,
    contrast,
    control,
    means,
    omnibus,
    singular,
    structures,
)
from analysis.report.summary import summary
from analysis.responses import read_export

NO_DIFFERENCE = re.compile(
    r"no (?:significant )?(?:difference|effect|interaction)\b|did not differ"
)


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


def comparison(*, chisq: float, p: float, gain: float, df: int = 6) -> LikelihoodRatio:
    """A test whose larger model has the lower AIC by `gain`."""
    return LikelihoodRatio(("a", "b"), (8, 8 + df), (0, 0), (gain, 0.0), chisq, df, p, p, "")


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


def terms(**p: float) -> pd.DataFrame:
    table = pd.DataFrame({"df": 3.0, "chisq": 40.137, "p": pd.Series(p)})
    return table.rename(index=lambda name: name.replace("_by_", ":"))


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


def difference(estimate: float, se: float = 0.13, p: float = 0.0001) -> pd.Series:
    reach = 2.57 * se
    return pd.Series(
        {"estimate": estimate, "se": se, "low": estimate - reach, "high": estimate + reach}
        | {"z": estimate / se, "p": p}
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


def mean(log_odds: float, se: float = 0.1) -> pd.Series:
    ends = {"low": log_odds - 1.96 * se, "high": log_odds + 1.96 * se}
    return pd.Series({"condition": "control", "log_odds": log_odds, "se": se, **ends})


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


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    """Findings of a study in which maco helps for one network as much as it harms for the other."""

    def cross(trials, people):
        seen = Counter()
        for row in trials:
            key = (row["participant"], row["network"])
            seen[key] += 1
            helped = (row["condition"] == "maco") == (row["network"] == "ViT")
            right = seen[key] % 4 != 0 if helped else seen[key] % 4 == 0
            other = {"left": "right", "right": "left"}[row["favored_side"]]
            row |= {"correct": int(right), "response_side": row["favored_side"] if right else other}

    shares = {"control": 0.5, "maco": 0.5}
    folder = make_export(tmp_path_factory.mktemp("crossed") / "export", cross, accuracy=shares)
    return find(read_export(folder).main, np.random.default_rng(0))


@pytest.fixture(scope="module")
def separated(tmp_path_factory):
    """Findings of a study in which everyone in maco is right."""

    def perfect(trials, people):
        for row in trials:
            if row["condition"] == "maco":
                row |= {"correct": 1, "response_side": row["favored_side"]}

    export = read_export(make_export(tmp_path_factory.mktemp("perfect") / "export", perfect))
    return find(export.main, np.random.default_rng(0))


def test_of_separated_data_only_the_finite_contrasts_have_a_size(separated):
    told = tell(separated, "control")
    conditions = " ".join(told.contrasts[0].sentences)
    assert conditions.count("no finite estimate (separation") == 2
    assert conditions.count("β = ") == 1
    assert "in maco" not in " ".join(told.results)


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


def short(separated, **families: list[tuple[str, pd.Series]]) -> list[str]:
    """The summary of findings whose contrasts are those given, by factor."""
    contrasts = {
        factor: pd.DataFrame([row | {"contrast": name} for name, row in rows])
        for factor, rows in (
            (key, [(n, dict(r)) for n, r in each]) for key, each in families.items()
        )
    }
    return summary(replace(separated, contrasts={**separated.contrasts, **contrasts}), [])


CONDITION_PAIRS = ("control - maco", "control - olah", "maco - olah")


def test_the_summary_tells_differences_with_evidence_with_their_size_and_the_others_by_name(
    separated,
):
    rows = [difference(-0.83, p=0.004), difference(0.3, p=0.34), difference(0.6, p=0.06)]
    told = short(
        separated,
        condition=list(zip(CONDITION_PAIRS, rows, strict=True)),
        network=[("ResNet - ViT", difference(0.67, p=0.0001))],
    )
    assert len(told) <= 5
    assert told[-2] == (
        "The odds of a correct choice were higher in maco than in control (OR = 2.29, 95% CI "
        "[1.64, 3.20], adjusted p = .004) and for ResNet than for ViT (OR = 1.95, 95% CI "
        "[1.40, 2.73], adjusted p < .001)."
    )
    assert told[-1] == (
        "There was no clear evidence (adjusted p ≥ .05) of a difference between control and olah "
        "or maco and olah."
    )
    assert not NO_DIFFERENCE.search(" ".join(told))


@pytest.mark.parametrize(
    ("p", "missing"), [(0.001, "no clear evidence (adjusted"), (0.2, "were higher")]
)
def test_the_summary_has_no_sentence_about_nothing(separated, p, missing):
    rows = [(name, difference(0.5, p=p)) for name in CONDITION_PAIRS]
    told = short(separated, condition=rows, network=[("ResNet - ViT", difference(0.5, p=p))])
    assert missing not in " ".join(told[2:])


def test_the_summary_of_separated_data_gives_no_size_to_what_has_none(separated):
    told = tell(separated, "control").short
    assert told[-1] == (
        "There is no estimate to rely on of the difference between control and maco or maco and "
        "olah."
    )
    assert "maco" not in " ".join(told[:-1])


def test_the_summary_says_that_contrasts_are_averaged_if_the_effect_depends(separated):
    class Interacting:
        factors, trials, has_interaction = ("condition", "network"), separated.models.trials, True

    rows = [(name, difference(0.5, p=0.001)) for name in CONDITION_PAIRS]
    varied = replace(separated, models=Interacting)
    told = short(varied, condition=rows, network=[("ResNet - ViT", difference(0.1, p=0.9))])
    assert told[-2].startswith("Averaged over the other factor, the odds of a correct choice were")
    assert told[-1].startswith("Averaged over the other factor, there was no clear evidence")


def test_the_summary_joins_the_tests_in_a_sentence(separated):
    found = replace(separated, terms=terms(condition=1e-9, network=0.3))
    assert summary(found)[0] == (
        "Condition predicted whether the favored query was chosen, χ²(3) = 40.14, p < .001; there "
        "was no clear evidence that network predicted whether the favored query was chosen, "
        "χ²(3) = 40.14, p = .300."
    )
