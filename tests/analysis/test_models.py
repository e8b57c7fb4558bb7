"""The models of a study: which are fitted to which data, which is chosen, what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.models import fit_models
from analysis.omnibus import likelihood_ratio


def draw(
    seed: int = 0,
    *,
    participants: int = 60,
    classes: int = 8,
    interaction: float = 0.0,
    class_network_sd: float = 0.0,
) -> pd.DataFrame:
    """Trials of 3 conditions (0, .5, 1) by 2 networks (0, -.5), sd .5 and .4."""
    rng = np.random.default_rng(seed)
    names = ["participant", "class_label", "network"]
    sizes = [range(participants), range(classes), range(2)]
    rows = pd.MultiIndex.from_product(sizes, names=names).to_frame(index=False)
    condition = rows["participant"] % 3
    eta = 0.2 + 0.5 * condition - 0.5 * rows["network"] + interaction * condition * rows["network"]
    eta += rng.normal(0, 0.5, participants)[rows["participant"]]
    eta += rng.normal(0, 0.4, classes)[rows["class_label"]]
    cells = rng.normal(0, 1, (classes, 2))
    eta += class_network_sd * cells[rows["class_label"], rows["network"]]
    return rows.assign(
        correct=rng.binomial(1, 1 / (1 + np.exp(-eta))),
        participant=["p" + str(i) for i in rows["participant"]],
        class_label=["c" + str(i) for i in rows["class_label"]],
        network=rows["network"].map({0: "VGG", 1: "ViT"}),
        condition=condition.map({0: "control", 1: "olah", 2: "maco"}),
    )


@pytest.fixture(scope="module")
def models():
    return fit_models(draw(1))


def test_the_models_are_the_papers(models):
    random = "(1 | participant) + (1 | class_label)"
    assert models.additive.design.formula.text == f"correct ~ condition + network + {random}"
    assert models.interaction.design.formula.text == f"correct ~ condition * network + {random}"
    assert models.comparison == likelihood_ratio(models.additive, models.interaction)


def test_without_an_interaction_the_smaller_model_is_chosen(models):
    assert models.chosen is models.additive and not models.has_interaction
    assert list(models.terms().index) == ["condition", "network"]


def test_an_interaction_that_is_there_is_chosen():
    models = fit_models(draw(interaction=-1.5))
    assert models.has_interaction
    assert "condition:network" in models.terms().index
    by_network = models.contrasts("condition", ("network",)).table()
    assert list(by_network["network"].unique()) == ["VGG", "ViT"] and len(by_network) == 6


def test_tests_and_contrasts_find_what_was_put_in(models):
    terms = models.terms()
    assert (terms["p"] < 0.01).all()
    assert list(terms["df"]) == [2, 1]
    assert terms["wald_chisq"].to_numpy() == pytest.approx(terms["chisq"].to_numpy(), rel=0.2)
    network = models.contrasts("network").table().iloc[0]
    assert network["contrast"] == "VGG - ViT"
    assert network["low"] < 0.5 < network["high"]
    assert models.means("condition", "network").table("response")["probability"].between(0, 1).all()


def test_a_network_effect_that_differs_between_classes_shows_in_the_structures():
    models = fit_models(draw(3, classes=12, class_network_sd=1.0))
    structures = models.structures()
    row = structures.loc["(1 | class_label:network)"]
    assert row["p"] < 0.01 and row["aic"] < structures.loc["", "aic"]
    assert row["network_wald_chisq"] < structures.loc["", "network_wald_chisq"] / 2
    assert structures.loc["(1 | class_label:condition)", "p"] > 0.01
    assert np.isnan(structures.loc["", "chisq"])


def test_a_factor_with_one_level_is_left_out():
    trials = draw()
    one = fit_models(trials[trials["network"] == "VGG"].reset_index(drop=True))
    assert one.factors == ("condition",) and one.interaction is None and one.comparison is None
    assert list(one.terms().index) == ["condition"]
    alone = fit_models(trials[trials["condition"] == "maco"].drop(columns="network"))
    assert alone.factors == () and alone.terms().empty
    assert alone.additive.design.formula.fixed == "1"


def test_classes_are_left_out_where_there_is_one():
    trials = draw()
    few = trials[trials["class_label"].isin(["c0"])].reset_index(drop=True)
    assert fit_models(few).groups == ("participant",)


def test_units_that_belong_to_one_network_each_are_not_added_twice():
    trials = draw()
    trials["class_label"] = trials["network"] + ":" + trials["class_label"]
    assert "(1 | class_label:network)" not in fit_models(trials).structures().index


def test_photographs_are_tried_as_a_random_effect_of_their_own():
    trials = draw()
    photographs = trials["class_label"] + "/" + (trials.index % 3).astype(str)
    assert (
        "(1 | base_image)" in fit_models(trials.assign(base_image=photographs)).structures().index
    )
    same = fit_models(trials.assign(base_image=trials["class_label"]))
    assert "(1 | base_image)" not in same.structures().index


def test_one_participant_is_refused():
    with pytest.raises(ValueError, match="one participant"):
        fit_models(draw(participants=1))
