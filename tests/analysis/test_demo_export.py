"""The export that is shipped: it reads, tells what was put in, and R says the same of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import analysis
from analysis.exclusions import exclude, is_preregistered, preregistered
from analysis.models import fit_models
from analysis.responses import read_export

DEMO = Path(analysis.__file__).parent / "demo"
# glmer (lme4 1.1-31, bobyqa, tolPwrss = 1e-13) and emmeans 1.8.4 on the same rows
LOG_LIKELIHOODS = (-699.23567, -697.16330)
ESTIMATES = {
    "Intercept": (0.679373775, 0.22148119),
    "condition[T.maco]": (0.448736015, 0.22436217),
    "condition[T.maco_masked]": (0.192553423, 0.21162742),
    "condition[T.control]": (-0.383861394, 0.23041185),
    "network[T.ResNet]": (0.013169774, 0.16229373),
    "network[T.ViT]": (-0.660287176, 0.15816070),
}
SPREADS = {"participant": 0.31387217, "class_label": 0.37916350}
TUKEY = {
    "olah - maco": (-1.0251296, 0.1276575, 0.1879),
    "olah - maco_masked": (-0.7362310, 0.3511242, 0.7996),
    "olah - control": (-0.2080740, 0.9757967, 0.3418),
    "maco - maco_masked": (-0.3238028, 0.8361680, 0.6680),
    "maco - control": (0.2064160, 1.4587788, 0.0036),
    "maco_masked - control": (-0.0196115, 1.1724411, 0.0623),
}
RATIO_TESTS = {"condition": (11.239089, 0.010501), "network": (24.249545, 5.4235e-06)}


@pytest.fixture(scope="module")
def export():
    return read_export(DEMO)


@pytest.fixture(scope="module")
def models(export):
    return fit_models(exclude(export, preregistered(export)).kept.main)


def test_it_is_whole_and_preregistered(export):
    assert export.remarks == ()
    assert is_preregistered(export)
    assert len(export.participants) == 52 and len(export.main) == 48 * 24
    excluded = exclude(export, preregistered(export))
    assert list(excluded.table["rule"]) == ["incomplete"] * 4 + ["below_chance"] * 2


def test_the_models_are_those_of_glmer(models):
    found = models.additive.llf, models.interaction.llf
    assert found == pytest.approx(LOG_LIKELIHOODS, abs=1e-5)
    assert models.chosen is models.additive
    for name, (estimate, se) in ESTIMATES.items():
        assert models.additive.params[name] == pytest.approx(estimate, abs=2e-4 * se)
        assert models.additive.bse[name] == pytest.approx(se, rel=1e-3)
    for group, sd in SPREADS.items():
        variance = models.additive.random_effects_cov[group].iloc[0, 0]
        assert np.sqrt(variance) == pytest.approx(sd, abs=1e-5)


def test_the_contrasts_are_those_of_emmeans(models):
    table = models.contrasts("condition").table().set_index("contrast")
    for name, (low, high, p) in TUKEY.items():
        row = table.loc[name]
        assert (row["low"], row["high"]) == pytest.approx((low, high), abs=2e-4)
        assert row["p"] == pytest.approx(p, abs=1e-4)


def test_the_tests_of_terms_are_those_of_drop1(models):
    terms = models.terms()
    for name, (chisq, p) in RATIO_TESTS.items():
        assert terms.loc[name, "chisq"] == pytest.approx(chisq, abs=2e-4)
        assert terms.loc[name, "p"] == pytest.approx(p, rel=1e-3)
