"""The bundle of a small study, read back and recomputed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from maco.images import from_pil, to_bytes
from stimuli import baselines
from stimuli.occlusion import activations, occlude
from stimuli.schema import verify_images
from stimuli.study import StudyConfig
from stimuli.study_tables import NetworkSource
from stimuli.units import find_unit, load_network


def pixels(folder: Path, name: str) -> torch.Tensor:
    with Image.open(folder / "images" / name) as picture:
        return to_bytes(from_pil(picture))


def test_the_bundle_is_whole(tiny, study):
    verify_images(tiny, study)
    assert sorted(path.name for path in tiny.iterdir()) == [
        "images",
        "maps.safetensors",
        "overview.html",
        "study.json",
    ]
    assert {path.name for path in (tiny / "images").iterdir()} == set(study.images)
    assert not tiny.with_name("bundle.partial").exists()
    kinds = [trial.kind for trial in study.trials]
    assert [kinds.count(kind) for kind in ("main", "practice", "catch")] == [8, 2, 1]
    assert len(study.lists) == 4
    assert StudyConfig.model_validate(study.config).name == "tiny"
    assert study.rendering["maco"]["steps"] == 2
    assert study.rendering["maco_masked"]["transparency"]
    assert "control" not in study.rendering


def test_no_file_tells_an_answer(tiny, study):
    """Not by name, order, size, date, or anything inside the file beside its pixels."""
    queries = {query.image: trial for trial in study.trials for query in trial.queries}
    sizes = {(tiny / "images" / name).stat().st_size for name in queries}
    assert len(sizes) == 1
    assert len({path.stat().st_mtime for path in tiny.rglob("*")}) == 1
    for name in study.images:
        path = tiny / "images" / name
        assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()[:20]
        with Image.open(path) as picture:
            assert picture.info == {}
    ids = [trial.id for trial in study.trials]
    assert ids == sorted(ids)
    main_trials = [trial for trial in study.trials if trial.kind == "main"]
    assert sum(trial.favored for trial in main_trials) == len(main_trials) / 2
    assert {trial.favored for trial in main_trials if trial.network == "Other"} == {0, 1}


def test_every_activation_is_that_of_its_image_file(tiny, study):
    networks = {
        source["name"]: load_network(NetworkSource(**source), Path(), "cpu")
        for source in study.config["networks"]
    }
    for network in study.networks:
        assert network.weights_digest == networks[network.name].weights_digest()
    for trial in study.trials:
        classifier = networks[trial.network]
        unit = find_unit(trial.unit.index, networks)
        base = pixels(tiny, trial.base_image.image)
        seen = torch.stack([base, *(pixels(tiny, query.image) for query in trial.queries)])
        found = activations(classifier, unit.objective, seen).tolist()
        stored = [trial.base_activation, *(query.activation for query in trial.queries)]
        assert found == pytest.approx(stored, rel=1e-4, abs=1e-4)
        for side, query in enumerate(trial.queries):
            box = query.occluder
            assert torch.equal(occlude(base, box.x_px, box.y_px, box.size_px), seen[1 + side])
            blind = baselines.measure(base, box.x_px, box.y_px, box.size_px)
            stored_blind = {name: values[side] for name, values in trial.baselines.items()}
            assert stored_blind == pytest.approx(blind)


def test_maps_hold_every_place_and_the_queries_among_them(tiny, study):
    maps = load_file(tiny / "maps.safetensors")
    for trial in study.trials:
        for query in trial.queries:
            box = query.occluder
            map_ = maps[f"{trial.id}/{box.size_px}"]
            assert map_[box.y_px // 16, box.x_px // 16] == pytest.approx(query.activation)
        if trial.kind != "catch":
            less = trial.queries[1 - trial.favored]
            assert float(map_.min()) == pytest.approx(less.activation)


def test_catch_trials_hide_nearly_all_or_nearly_nothing(study):
    [catch] = [trial for trial in study.trials if trial.kind == "catch"]
    favored, other = catch.queries[catch.favored], catch.queries[1 - catch.favored]
    assert (favored.occluder.size_px, other.occluder.size_px) == (
        round(0.15 * 112),
        round(0.8 * 112),
    )
    assert favored.activation > other.activation


def test_no_list_shows_a_photograph_twice(study):
    trials = {trial.id: trial for trial in study.trials}
    for dealt in study.lists:
        shown = [trials[one].base_image.image for one in dealt]
        assert len(shown) == len(set(shown))
        assert [trials[one].kind for one in dealt[:2]] == ["practice", "practice"]
        assert sum(trials[one].kind == "catch" for one in dealt) == 1


def test_conditions_show_their_own_references(study):
    for trial in study.trials:
        assert trial.references["control"] == []
        olah, maco, masked = (trial.references[c] for c in ("olah", "maco", "maco_masked"))
        assert len({*olah, *maco, *masked}) == 6
    same = [
        t.references["maco"] for t in study.trials if t.network == "ResNet" and t.unit.index == 0
    ]
    other = [
        t.references["maco"] for t in study.trials if t.network == "Other" and t.unit.index == 0
    ]
    assert len({tuple(names) for names in same}) == 1
    assert same[0] != other[0]  # another seed, also where the weights are the same


def test_observers_can_be_recomputed(study):
    for name, rates in study.observers.items():
        main_trials = [
            trial
            for trial in study.trials
            if trial.kind == "main" and name in {"all", trial.network}
        ]
        for measure, rate in rates.items():
            right = [
                (
                    trial.baselines[measure][trial.favored]
                    > trial.baselines[measure][1 - trial.favored]
                )
                for trial in main_trials
            ]
            assert rate == pytest.approx(sum(right) / len(right))
