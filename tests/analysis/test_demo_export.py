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
LOG_LIKELIHOODS = (-1551.5422758, -1544.7639373)
ESTIMATES = {
    "Intercept": (0.6090326259, 0.204396480),
    "condition[T.maco]": (0.0778426403, 0.234243363),
    "condition[T.maco_masked]": (-0.1575520154, 0.233535542),
    "condition[T.control]": (-0.8267258545, 0.236264838),
    "network[T.ResNet]": (-0.2400727441, 0.219410586),
    "network[T.ViT]": (0.0247470915, 0.222481565),
    "condition[T.maco]:network[T.ResNet]": (0.3053993508, 0.302831951),
    "condition[T.maco_masked]:network[T.ResNet]": (0.9118043098, 0.309242384),
    "condition[T.control]:network[T.ResNet]": (0.6327383393, 0.303400732),
    "condition[T.maco]:network[T.ViT]": (0.0848756193, 0.305570405),
    "condition[T.maco_masked]:network[T.ViT]": (0.0604002522, 0.303459629),
    "condition[T.control]:network[T.ViT]": (0.3898309716, 0.305662184),
}
SPREADS = {"participant": 0.32661740, "class_label": 0.31511456}
TUKEY = {
    "olah - maco": (-0.6064979, 0.1906293, 0.5371),
    "olah - maco_masked": (-0.5689254, 0.2358931, 0.7121),
    "olah - control": (0.0834180, 0.8883208, 0.0104),
    "maco - maco_masked": (-0.3488234, 0.4316597, 0.9929),
    "maco - control": (0.3030336, 1.0845738, 0.0000),
    "maco_masked - control": (0.2578589, 1.0469123, 0.0001),
}
RATIO_TESTS = {"condition": (23.2966886, 3.5022e-05), "network": (4.7934589, 0.091015)}
WALD_TESTS = {"condition": 25.16084, "network": 4.52918, "condition:network": 13.35941}


@pytest.fixture(scope="module")
def export():
    return read_export(DEMO)


@pytest.fixture(scope="module")
def models(export):
    return fit_models(exclude(export, preregistered(export)).kept.main)


def test_it_is_whole_and_says_whose_it_is(export):
    assert export.remarks == ()
    assert is_preregistered(export)
    assert export.codebook["participants"] == "machine"
    assert len(export.participants) == 120
    excluded = exclude(export, preregistered(export))
    assert set(excluded.table["rule"]) == {"incomplete", "below_chance", "catch_trials"}
    assert len(excluded.kept.main) == 100 * 24


def test_the_models_are_those_of_glmer(models):
    found = models.additive.llf, models.interaction.llf
    assert found == pytest.approx(LOG_LIKELIHOODS, abs=1e-6)
    assert models.chosen is models.interaction
    for name, (estimate, se) in ESTIMATES.items():
        assert models.chosen.params[name] == pytest.approx(estimate, abs=2e-4 * se)
        assert models.chosen.bse[name] == pytest.approx(se, rel=1e-3)
    for group, sd in SPREADS.items():
        variance = models.chosen.random_effects_cov[group].iloc[0, 0]
        assert np.sqrt(variance) == pytest.approx(sd, abs=1e-5)


def test_the_contrasts_are_those_of_emmeans(models):
    table = models.contrasts("condition").table().set_index("contrast")
    for name, (low, high, p) in TUKEY.items():
        row = table.loc[name]
        assert (row["low"], row["high"]) == pytest.approx((low, high), abs=2e-4)
        assert row["p"] == pytest.approx(p, abs=1e-4)


def test_the_tests_of_terms_are_those_of_drop1_and_car(models):
    terms = models.terms()
    for name, (chisq, p) in RATIO_TESTS.items():
        assert terms.loc[name, "chisq"] == pytest.approx(chisq, abs=2e-4)
        assert terms.loc[name, "p"] == pytest.approx(p, rel=1e-3)
    for name, chisq in WALD_TESTS.items():
        assert terms.loc[name, "wald_chisq"] == pytest.approx(chisq, rel=1e-3)


def test_without_its_codebook_it_is_known_by_its_browsers(tmp_path):
    for name in ("trials.csv", "participants.csv"):
        (tmp_path / name).write_bytes((DEMO / name).read_bytes())
    [remark] = read_export(tmp_path).remarks
    assert remark == "Machine participants: 117 of 120 are programs, not people."
