"""Preregistered exclusions in a study file: what is written is kept, in its order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import stimuli.study
from stimuli.exclusion_rules import (
    DEFAULTS,
    RULES,
    BelowChance,
    CatchTrials,
    Duration,
    Incomplete,
    Late,
    OneSided,
)
from stimuli.study import StudyConfig, StudyFileError, read_config

DEMO = Path(stimuli.study.__file__).parent / "studies" / "demo.toml"


@pytest.fixture
def write(tmp_path):
    """Writes the demo study with other exclusions, or without any; gives its path."""

    def write_study(exclusions="", before=""):
        text = DEMO.read_text(encoding="utf-8").split("[exclusions")[0]
        path = tmp_path / "study.toml"
        path.write_text(f"{before}\n{text}\n{exclusions}", encoding="utf-8")
        return path

    return write_study


def test_rules_keep_the_order_of_their_tables(write):
    text = "[exclusions.late]\n[exclusions.below_chance]\nalpha = 0.01\n[exclusions.incomplete]"
    rules = read_config(write(text)).exclusions
    assert rules == (Late(), BelowChance(alpha=0.01), Incomplete())


def test_rules_survive_the_bundle(write):
    text = "[exclusions.one_sided]\n[exclusions.duration]\nminimum_s = 90\n[exclusions.incomplete]"
    config = read_config(write(text))
    kept = json.loads(json.dumps(config.model_dump(mode="json")))
    assert list(kept["exclusions"].items()) == [
        ("one_sided", {"share": 0.95}),
        ("duration", {"minimum_s": 90.0}),
        ("incomplete", {}),
    ]
    assert StudyConfig.model_validate(kept) == config


def test_a_study_without_rules_has_the_defaults_and_an_empty_table_none(write):
    assert read_config(write()).exclusions == DEFAULTS
    assert [rule.name for rule in DEFAULTS] == ["incomplete", "duplicate", "below_chance"]
    assert read_config(write(before="exclusions = {}")).exclusions == ()


def test_the_configuration_of_an_older_bundle_still_reads(write):
    config = read_config(write()).model_dump(mode="json")
    del config["exclusions"]
    assert StudyConfig.model_validate(config).exclusions == DEFAULTS


def test_other_rules_are_another_configuration(write):
    digests = {
        read_config(write(text)).digest()
        for text in ("", "[exclusions.late]", "[exclusions.below_chance]\nalpha = 0.01")
    }
    assert len(digests) == 3


def test_every_rule_can_be_written(write):
    options = {"duration": "maximum_s = 900"}
    for name in RULES:
        [rule] = read_config(write(f"[exclusions.{name}]\n{options.get(name, '')}")).exclusions
        assert type(rule) is RULES[name]


def test_shipped_studies_say_what_the_papers_did():
    fel = read_config(DEMO.with_name("fel2023.toml")).exclusions
    zimmermann = read_config(DEMO.with_name("zimmermann2021.toml")).exclusions
    assert BelowChance() in fel
    for rule in (
        CatchTrials(minimum=0.6),
        Duration(minimum_s=90, maximum_s=900),
        OneSided(share=1.0),
    ):
        assert rule in zimmermann


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[exclusions.below_chanse]",
            "exclusions: unknown key 'below_chanse'; allowed: incomplete",
        ),
        ("[exclusions.below_chance]\nalfa = 0.05", "exclusions.below_chance: unknown key 'alfa'"),
        (
            "[exclusions.below_chance]\nalpha = 2",
            "exclusions.below_chance.alpha = 2: Input should be less than 1",
        ),
        ("[exclusions.late]\nx = 1", "exclusions.late: unknown key 'x'; allowed: none"),
        ("[exclusions]\nlate = true", "exclusions.late = True: Input should be a valid dict"),
        ("[[exclusions]]\nrule = 'late'", "exclusions: a table a rule is expected, such as"),
        ("[exclusions.duration]", "exclusions.duration: no limit is given; write minimum_s"),
        (
            "[exclusions.duration]\nminimum_s = 900\nmaximum_s = 90",
            "exclusions.duration: minimum_s = 900 must be below maximum_s = 90",
        ),
        ("[exclusions.too_fast]\nrt_ms = '300'", "exclusions.too_fast.rt_ms = '300': Input"),
        ("[exclusions.one_sided]\nshare = 0.5", "exclusions.one_sided.share = 0.5: Input should"),
    ],
)
def test_mistakes_name_the_file_the_key_and_the_value(write, text, line):
    path = write(text)
    with pytest.raises(StudyFileError) as error:
        read_config(path)
    assert str(error.value).startswith(f"{path}: {line}")


def test_the_nearest_rule_is_offered(write):
    with pytest.raises(StudyFileError, match="nearest: below_chance"):
        read_config(write("[exclusions.below_chanse]"))


def test_a_rule_on_catch_trials_needs_catch_trials(write):
    path = write("[exclusions.catch_trials]")
    text = path.read_text(encoding="utf-8").replace("[catch]\ntrials = 3", "[catch]\ntrials = 0")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyFileError, match=r"exclusions.catch_trials, but catch.trials = 0"):
        read_config(path)
