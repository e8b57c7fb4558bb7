"""The summary: what there is evidence for, with its size, and nothing about nothing."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from told import NO_DIFFERENCE, difference, terms

from analysis.report import tell
from analysis.report.summary import summary


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
