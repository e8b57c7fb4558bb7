"""What each observer sees in a trial, where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from coloured_discs import CONDITIONS, OCCLUDER_PX, SIDE_PX, chosen, colours, make_bundle
from PIL import Image, ImageOps

from stimuli.observers.evidence import wrong_references
from stimuli.observers.figures import accuracy
from stimuli.observers.matching import MEASURES, match, seen_only_here
from stimuli.observers.panel import observe
from stimuli.schema import Occluder, Trial, read_study


def test_references_that_show_the_object_beat_control(watch):
    panel = watch()
    shown = accuracy(list(chosen(panel, "colours", "maco").values()))
    control = accuracy(list(chosen(panel, "colours", "control").values()))
    assert shown["low"] > 0.6
    assert shown["accuracy"] > control["accuracy"] + 0.15
    assert control["low"] <= 0.5 <= control["high"]


def test_local_matching_is_right_in_every_trial_and_wrong_with_the_decoy_as_reference(watch):
    """With another unit's references, which show the decoy, it prefers the decoy."""
    panel = watch()
    assert min(chosen(panel, "colours", "maco").values()) > 0.5
    assert max(panel.wrong["colours"]["maco"]) < 0.5


def test_references_without_an_object_say_less(watch):
    panel = watch()
    shown, empty = (
        np.mean(list(chosen(panel, "colours", condition).values())) for condition in CONDITIONS[:2]
    )
    assert empty < shown - 0.1


def test_pooled_over_the_image_colours_say_nothing(watch):
    """A square hidden by its own mean colour leaves the whole image's mean colour as it was."""
    shown = accuracy(list(chosen(watch(measure="global"), "colours", "maco").values()))
    assert shown["low"] < 0.5 < shown["high"]


def test_without_references_every_probability_is_one_half(watch):
    panel = watch()
    for kind in ("main", "catch"):
        assert set(chosen(panel, "colours", "control", kind).values()) == {0.5}
        assert set(chosen(panel, "random", "maco", kind).values()) == {0.5}
    evidence = [one.evidence for one in panel.observations if one.condition == "control"]
    assert "-0.0" not in {str(value) for value in evidence}


@pytest.mark.parametrize("measure", MEASURES)
def test_evidence_changes_sign_when_the_queries_change_sides(measure):
    generator = torch.Generator().manual_seed(0)
    one, other, *references = torch.randn(4, 5, 8, 8, generator=generator)
    seen = torch.rand(2, 8, 8, generator=generator).unbind()
    forth = match(measure, (one, other), seen, references)
    back = match(measure, (other, one), seen[::-1], references)
    assert forth == pytest.approx(-back, abs=1e-6)
    assert abs(forth) > 1e-3


def swapped(trial: Trial) -> Trial:
    return trial.model_copy(update={"queries": trial.queries[::-1], "favored": 1 - trial.favored})


def test_which_side_is_which_and_the_order_of_images_do_not_matter(study, watch):
    turned = [
        swapped(trial).model_copy(
            update={"references": {c: names[::-1] for c, names in trial.references.items()}}
        )
        for trial in study.trials
    ]
    changed = study.model_copy(update={"trials": turned[::-1]})
    for condition in CONDITIONS:
        before, after = (chosen(watch(s), "colours", condition) for s in (study, changed))
        assert before == pytest.approx(after, abs=1e-5)


def test_mirrored_pictures_are_seen_the_same(study, bundle, tmp_path, watch):
    """The queries mirrored, and their occluders with them."""
    (tmp_path / "images").mkdir()
    for name in study.images:
        with Image.open(bundle / "images" / name) as picture:
            ImageOps.mirror(picture).save(tmp_path / "images" / name)

    def mirrored(trial: Trial) -> Trial:
        queries = tuple(
            query.model_copy(
                update={
                    "occluder": query.occluder.model_copy(
                        update={"x_px": SIDE_PX - query.occluder.x_px - OCCLUDER_PX}
                    )
                }
            )
            for query in trial.queries
        )
        return trial.model_copy(update={"queries": queries})

    changed = study.model_copy(update={"trials": [mirrored(trial) for trial in study.trials]})
    panel = observe(changed, tmp_path, {"colours": [colours()]}, progress=False)
    expected = chosen(watch(), "colours", "maco")
    assert chosen(panel, "colours", "maco") == pytest.approx(expected, abs=1e-5)


def test_only_what_the_other_query_hides_counts():
    small, large = Occluder(x_px=24, y_px=24, size_px=16), Occluder(x_px=0, y_px=0, size_px=64)
    assert float(seen_only_here(large, small, (64, 64), 8).sum()) == 0
    assert float(seen_only_here(small, large, (64, 64), 8).sum()) == 64 - 4
    apart = Occluder(x_px=0, y_px=0, size_px=16)
    assert seen_only_here(apart, small, (64, 64), 4)[1:3, 1:3].tolist() == [[0.25, 0.25]] * 2


def test_a_query_that_shows_nothing_of_its_own_resembles_nothing():
    generator = torch.Generator().manual_seed(0)
    one, other, reference = torch.randn(3, 5, 8, 8, generator=generator)
    seen = torch.ones(8, 8), torch.zeros(8, 8)
    assert match("local", (one, other), seen, [one, reference]) > 0.9


def test_the_network_under_study_never_looks_at_its_own_trials(tmp_path):
    mine, another = colours(1.0), colours(2.0)
    folder = make_bundle(tmp_path / "bundle", digests=(mine.digest, "1" * 64))
    study = read_study(folder)
    with pytest.raises(
        ValueError, match=r"observer 'own'.*colours is the network under study in VGG"
    ):
        observe(study, folder, {"own": [mine]}, progress=False)
    both = observe(study, folder, {"both": [mine, another]}, progress=False)
    alone = observe(study, folder, {"both": [another]}, progress=False)
    of_vgg = {trial.id for trial in study.trials if trial.network == "VGG"}
    first, second = (
        [o.evidence for o in p.observations if o.trial_id in of_vgg and o.observer == "both"]
        for p in (both, alone)
    )
    ratio = [a / b for a, b in zip(first, second, strict=True) if b]
    assert ratio == pytest.approx([ratio[0]] * len(ratio))  # but for the scale the same evidence


def test_the_map_observer_is_right_in_every_trial(watch):
    for condition in CONDITIONS:
        certain = chosen(watch(softness=1e-3), "map", condition)
        assert set(certain.values()) == {1.0}


def test_object_blind_observers_answer_as_the_bundle_says(watch, study):
    panel = watch()
    assert set(chosen(panel, "centre_distance", "maco").values()) == {0.5}  # ties
    left = chosen(panel, "always_left", "control")
    favored = {trial.id: trial.favored for trial in study.trials}
    assert all(p == 1 - favored[trial] for trial, p in left.items())


def test_wrong_references_are_those_of_another_unit(study):
    shown = {trial.unit.name: trial.references for trial in study.trials}
    assert wrong_references(study)["VGG", "class:0"] == shown["class:1"]
    assert wrong_references(study)["ViT", "class:1"] == shown["class:0"]
