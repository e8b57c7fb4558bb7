"""The images of a report: which trial and units are shown, what was answered, and how large."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bundles import CONDITIONS, make_bundle
from PIL import Image

from analysis.report.examples import MINIMUM, example, extremes
from analysis.report.panels import Panel, task, units
from stimuli.schema import Study, Unit, read_study


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("panels") / "bundle", main=8)


@pytest.fixture(scope="module")
def study(bundle) -> Study:
    return read_study(bundle)


def main_ids(study: Study) -> list[str]:
    return [trial.id for trial in study.trials if trial.kind == "main"]


def answered(*cells: tuple[str, str, int, int]) -> pd.DataFrame:
    """Trials of cells: trial id, condition, correct answers, all answers."""
    rows = [
        {"trial_id": trial_id, "condition": condition, "correct": int(place < correct)}
        for trial_id, condition, correct, given in cells
        for place in range(given)
    ]
    found = pd.DataFrame(rows)
    return found.assign(participant=[f"p{row}" for row in range(len(found))]).astype(
        {"trial_id": "category", "condition": "category"}
    )


def test_the_example_is_the_trial_nearest_the_median_with_references(study):
    ids = main_ids(study)[:5]
    shares = zip(ids, (2, 9, 6, 10, 3), strict=True)
    answers = [
        cell
        for trial_id, correct in shares
        for cell in ((trial_id, "maco", correct, 10), (trial_id, "control", 10 - correct, 10))
    ]
    found = example(answered(*answers), study)
    assert found.trial.id == ids[2]
    assert found.median == pytest.approx(0.6)


def test_of_trials_as_near_the_one_with_more_answers_is_shown_then_the_first_by_name(study):
    low, high, third = sorted(main_ids(study))[:3]
    even = answered((low, "maco", 2, 4), (high, "maco", 6, 8))
    assert example(even, study).trial.id == high
    thirds = answered((high, "maco", 2, 3), (low, "maco", 1, 3))
    assert example(thirds, study).trial.id == low
    more = answered((low, "maco", 2, 4), (high, "maco", 0, 4), (third, "olah", 4, 4))
    assert example(more, study).trial.id == low


def test_a_trial_that_a_condition_has_not_answered_is_no_example_if_another_is(study):
    first, second, third = main_ids(study)[:3]
    table = answered(
        (first, "maco", 5, 10),
        (second, "maco", 9, 10),
        (second, "control", 1, 2),
        (third, "maco", 1, 10),
    )
    assert example(table, study).trial.id == second


def test_without_an_answer_with_references_there_is_nothing_to_show(study, bundle):
    table = answered((main_ids(study)[0], "control", 20, 30))
    assert task(table, study, bundle) is None
    assert units(table, study, bundle) is None


def test_below_each_query_is_how_many_chose_it(study, bundle):
    trial_id = main_ids(study)[0]
    table = answered((trial_id, "olah", 3, 4), (trial_id, "control", 2, 3))
    panels = task(table, study, bundle).panels
    assert [panel.title for panel in panels] == list(CONDITIONS)
    trial = next(trial for trial in study.trials if trial.id == trial_id)
    told = [
        [panel.choices[side].told.replace("\N{NO-BREAK SPACE}", " ") for panel in panels]
        for side in (trial.favored, 1 - trial.favored)
    ]
    assert told[0] == ["75% (3 of 4)", "not answered", "67% (2 of 3)"]
    assert told[1] == ["25% (1 of 4)", "not answered", "33% (1 of 3)"]
    for panel in panels:
        assert [choice.is_favored for choice in panel.choices].index(True) == trial.favored


def test_each_condition_is_shown_with_its_own_references_and_control_with_none(study, bundle):
    trial_id = main_ids(study)[0]
    olah, maco, control = task(answered((trial_id, "maco", 3, 4)), study, bundle).panels
    assert [len(panel.references) for panel in (olah, maco, control)] == [4, 4, 0]
    assert {one.address for one in olah.references}.isdisjoint(
        one.address for one in maco.references
    )
    assert all(panel.across == 2 and panel.base is None for panel in (olah, maco, control))
    trial = next(trial for trial in study.trials if trial.id == trial_id)
    assert maco.references[1].words == (
        f"Reference 2 of 4: maco of {trial.unit.label} for {trial.network}"
    )
    favored, other = (maco.choices[side].frame.words for side in (trial.favored, 1 - trial.favored))
    assert "favored by the network" in favored and "favored" not in other


def test_the_whole_photograph_is_shown_if_participants_saw_it(study, bundle):
    shown = study.model_copy(update={"config": {"queries": {"show_base_image": True}}})
    found = task(answered((main_ids(study)[0], "maco", 3, 4)), shown, bundle)
    assert all(panel.base.words == "The whole photograph" for panel in found.panels)
    assert "Everyone sees the whole photograph too." in found.paragraphs[0]


def test_the_task_is_told_with_its_conditions_and_trials(study, bundle):
    found = task(answered((main_ids(study)[0], "maco", 3, 4)), study, bundle)
    assert (
        "In the conditions olah and maco, participants see 4 reference images"
        in (found.paragraphs[0])
    )
    assert "In the condition control, these places stay blank." in found.paragraphs[0]
    assert "is asked 2 practice, 8 main, and 1 catch trials." in found.paragraphs[0]
    assert "nearest the median of all trials (75.0" in found.paragraphs[1]


def by_network(study: Study, network: str) -> list[str]:
    return [trial.id for trial in study.trials if trial.kind == "main" and trial.network == network]


def test_units_are_ranked_by_their_answers_with_references_alone(study, bundle):
    vgg, vit = by_network(study, "VGG")[0], by_network(study, "ViT")[0]
    table = answered(
        (vgg, "maco", 9, 20), (vgg, "control", 5, 5), (vit, "olah", 12, 15), (vit, "maco", 3, 5)
    )
    (best,), (worst,) = extremes(table, study)
    assert (best.trial.network, best.answers.correct, best.answers.given) == ("ViT", 15, 20)
    assert (worst.trial.network, worst.answers.correct, worst.answers.given) == ("VGG", 9, 20)
    assert (worst.blind.correct, worst.blind.given) == (5, 5)
    shown = units(table, study, bundle)
    told = " ".join(shown.worst[0].lines).replace("\N{NO-BREAK SPACE}", " ")
    assert told == "with references: 45% (9 of 20) without: 100% (5 of 5)"
    assert shown.best[0].references[0].words.startswith("Reference 1 of 4: olah of")
    assert "those of olah, the condition with the highest observed share" in shown.rule


def test_the_best_begin_with_the_best_and_the_worst_with_the_worst(study):
    ids = main_ids(study)
    units_of = {
        trial_id: Unit(kind="class", index=place, label=f"class {place}")
        for place, trial_id in enumerate(ids)
    }
    trials = [
        trial.model_copy(update={"unit": units_of.get(trial.id, trial.unit)})
        for trial in study.trials
    ]
    corrects = (12, 17, 5, 9, 19, 2, 14, 7)
    table = answered(*((ids[at], "maco", right, 20) for at, right in enumerate(corrects)))
    best, worst = extremes(table, study.model_copy(update={"trials": trials}))
    assert [one.answers.correct for one in best] == [19, 17, 14]
    assert [one.answers.correct for one in worst] == [2, 5, 7]
    assert [one.trial.id for one in worst] == [ids[5], ids[2], ids[7]]


def test_of_units_alike_none_is_both_best_and_worst(study):
    vgg, vit = by_network(study, "VGG")[0], by_network(study, "ViT")[0]
    (best,), (worst,) = extremes(answered((vgg, "maco", 9, 12), (vit, "olah", 9, 12)), study)
    assert {best.trial.network, worst.trial.network} == {"VGG", "ViT"}


def test_a_unit_with_few_answers_is_neither_best_nor_worst(study, bundle):
    vgg, vit = by_network(study, "VGG")[0], by_network(study, "ViT")[0]
    table = answered((vgg, "maco", 15, 30), (vit, "maco", MINIMUM - 1, MINIMUM - 1))
    assert extremes(table, study) == ([], [])
    assert units(table, study, bundle) is None


def frames(panel: Panel) -> list[tuple[str, int]]:
    return [
        *((one.address, 160) for one in panel.references),
        *((choice.frame.address, 200) for choice in panel.choices),
    ]


def test_images_are_small_whatever_the_bundle_holds(tmp_path):
    folder = make_bundle(tmp_path / "bundle", practice=0, main=4)
    study, noise = read_study(folder), np.random.default_rng(0)
    for path in (folder / "images").iterdir():
        Image.fromarray(noise.integers(0, 256, (400, 400, 3), dtype=np.uint8)).save(
            path, compress_level=1
        )
    table = answered(*((trial_id, "maco", 6, 20) for trial_id in main_ids(study)))
    shown = units(table, study, folder)
    panels = [*task(table, study, folder).panels, *shown.best, *shown.worst]
    found = [frame for panel in panels for frame in frames(panel)]
    for address, limit in found:
        kind, _, body = address.partition(",")
        assert kind == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(body))) as image:
            assert image.size == (limit, limit)
            assert not image.getexif()
    assert sum(len(address) for address, _ in found) < 1_500_000


def test_what_is_no_image_is_refused_in_a_line(tmp_path):
    folder = make_bundle(tmp_path / "bundle", main=8)
    study = read_study(folder)
    trial = next(trial for trial in study.trials if trial.kind == "main")
    path = folder / "images" / trial.queries[0].image
    path.write_bytes(b"GIF87a and then nothing")
    with pytest.raises(ValueError, match=f"{re.escape(path.name)}: not an image that can be read"):
        task(answered((trial.id, "maco", 3, 4)), study, folder)
