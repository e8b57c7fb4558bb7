"""Agreement: the worked examples of the literature, and participants whose choices are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats import inter_rater

from analysis.agreement import agreement, cohen_kappa, fleiss_kappa, pairwise_kappa

# Cohen (1960), 200 cases in three categories by two judges; Fleiss, Cohen & Everitt (1969).
COHEN_1960 = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
FLEISS_COHEN_EVERITT_1969 = [[53, 5, 2], [11, 14, 5], [1, 6, 3]]
# Ten patients, fourteen psychiatrists, five diagnoses: the usual worked example of Fleiss' kappa.
TEN_PATIENTS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def labels(table):
    """Two raters' labels that give a table of counts."""
    pairs = [
        (row, column)
        for row, counts in enumerate(table)
        for column, count in enumerate(counts)
        for _ in range(count)
    ]
    return [row for row, _ in pairs], [column for _, column in pairs]


def chosen(*participants):
    """Trials of participants who chose "l" or "r" in trials t0, t1, ...; " " was not shown."""
    rows = [
        {"participant": f"p{who}", "condition": "maco", "trial_id": f"t{number}", "side": side}
        for who, sides in enumerate(participants)
        for number, side in enumerate(sides)
        if side != " "
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("table", "published"), [(COHEN_1960, 0.492), (FLEISS_COHEN_EVERITT_1969, 0.429)]
)
def test_cohens_kappa_is_the_published_one(table, published):
    assert cohen_kappa(*labels(table)) == pytest.approx(published, abs=5e-4)


def test_fleiss_kappa_is_the_published_one():
    assert fleiss_kappa(TEN_PATIENTS) == pytest.approx(0.210, abs=5e-4)


def test_kappas_are_those_of_statsmodels():
    generator = np.random.default_rng(1)
    for _ in range(20):
        table = generator.integers(0, 9, size=(3, 3)) + 1
        theirs = inter_rater.cohens_kappa(table, return_results=False)
        assert cohen_kappa(*labels(table)) == pytest.approx(theirs)
        counts = generator.multinomial(6, [0.2, 0.3, 0.5], size=15)
        assert fleiss_kappa(counts) == pytest.approx(inter_rater.fleiss_kappa(counts))


def test_kappa_has_no_value_where_chance_alone_agrees_always():
    assert np.isnan(cohen_kappa("ll", "ll"))
    assert np.isnan(fleiss_kappa([[3, 0], [3, 0]]))
    assert cohen_kappa("lr", "rl") == -1


def test_an_item_with_one_rating_tells_nothing():
    assert fleiss_kappa([*TEN_PATIENTS, [1, 0, 0, 0, 0]]) == fleiss_kappa(TEN_PATIENTS)
    with pytest.raises(ValueError, match="no item has two ratings"):
        fleiss_kappa([[1, 0], [0, 1]])


def test_every_pair_is_compared_over_the_trials_both_saw():
    trials = chosen("lrlrll", "lrrrl ", "   llr", "l     ")
    pairs = pairwise_kappa(trials, choice="side").set_index(["first", "second"])
    assert set(pairs.index) == {("p0", "p1"), ("p0", "p2"), ("p1", "p2")}
    assert pairs.loc[("p0", "p1"), "trials"] == 5
    assert pairs.loc[("p0", "p1"), "same"] == pytest.approx(4 / 5)
    expected = cohen_kappa("lrlrl", "lrrrl")
    assert pairs.loc[("p0", "p1"), "kappa"] == pytest.approx(expected)
    assert pairs.loc[("p1", "p2"), "kappa"] == pytest.approx(cohen_kappa("rl", "ll"))


def test_agreement_is_told_for_every_condition():
    alike, unlike = chosen("lrlr", "lrlr", "lrlr"), chosen("lrlr", "rlrl").assign(condition="olah")
    found = agreement(pd.concat([alike, unlike]), choice="side").set_index("condition")
    assert found.loc["maco", ["cohen", "fleiss", "same"]].tolist() == [1, 1, 1]
    assert found.loc["olah", ["cohen", "fleiss", "same"]].tolist() == [-1, -1, 0]
    assert found.loc["maco", ["participants", "items", "pairs"]].tolist() == [3, 4, 3]


def test_an_answer_given_twice_is_refused():
    trials = chosen("lr", "lr")
    with pytest.raises(ValueError, match="participant 'p0' answered trial 't0' twice"):
        agreement(pd.concat([trials, trials]), choice="side")
