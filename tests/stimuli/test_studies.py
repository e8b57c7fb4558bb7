"""The study files that come with the toolkit."""

from __future__ import annotations

from pathlib import Path

import pytest

import stimuli.study
from maco import PRESETS as RENDERED
from stimuli.study import PRESETS, StudyConfig, read_config

STUDIES = sorted((Path(stimuli.study.__file__).parent / "studies").glob("*.toml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_are_valid_and_named_like_their_file(path):
    config = read_config(path)
    assert config.name == path.stem
    assert StudyConfig.model_validate(config.model_dump(mode="json")).digest() == config.digest()


def test_three_studies_are_shipped():
    assert [path.stem for path in STUDIES] == ["demo", "fel2023", "zimmermann2021"]


def test_shipped_replications_have_the_published_sizes():
    fel, zimmermann = (read_config(path) for path in STUDIES[1:])
    assert (fel.main_trials, len(fel.units.main), fel.practice.trials) == (57, 19, 6)
    assert list(fel.conditions) == ["olah", "maco", "maco_masked", "control"]
    assert (zimmermann.main_trials, zimmermann.list_classes) == (18, 10)
    assert len({unit.layer for unit in zimmermann.units.main}) == 18
    assert zimmermann.queries.show_base_image


def test_a_study_may_name_exactly_the_presets_that_maco_renders():
    assert set(PRESETS) == set(RENDERED)
