"""The science of the demo: where the class object is known, the build must find it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from maco import Visualization, logit, render
from stimuli.build import build
from stimuli.demo.world import CLASSES, Scene, scene
from stimuli.schema import Study, Trial, read_study
from stimuli.study_tables import NetworkSource
from stimuli.units import load_network

DEMO = Path(__file__).parents[2] / "stimuli" / "studies" / "demo.toml"


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """The demo study with its photographs, sweeps and queries; references are tested elsewhere."""
    text = DEMO.read_text()
    start, end = text.index("[conditions.olah]"), text.index("[conditions.control]")
    folder = tmp_path_factory.mktemp("demo")
    (folder / "demo.toml").write_text(text[:start] + text[end:])
    build(folder / "demo.toml", folder / "bundle", progress=False, device="cpu")
    return read_study(folder / "bundle")


def scene_of(trial: Trial, study: Study) -> Scene:
    name, number = trial.base_image.source.removesuffix(".png").split("/")
    label = CLASSES.index(name.replace("_", " "))
    assert label == trial.unit.index
    generator = np.random.default_rng((study.config["seed"], label, int(number)))
    return scene(generator, label, study.config["queries"]["size_px"])


def hidden_share(trial: Trial, side: int, mask: np.ndarray) -> float:
    """Share of the class object behind the occluder of one query."""
    box = trial.queries[side].occluder
    inside = mask[box.y_px : box.y_px + box.size_px, box.x_px : box.x_px + box.size_px]
    return float(inside.sum() / mask.sum())


@pytest.mark.parametrize("network", ["VGG", "ResNet", "ViT"])
def test_the_less_favored_query_hides_the_class_object(study, network):
    """In at least nine of ten main trials it covers most of the object; the other leaves it."""
    trials = [t for t in study.trials if t.kind == "main" and t.network == network]
    assert len(trials) == 24
    right = 0
    for trial in trials:
        mask = scene_of(trial, study).mask
        covered = hidden_share(trial, 1 - trial.favored, mask)
        spared = hidden_share(trial, trial.favored, mask)
        right += covered >= 0.5 and spared <= 0.2
    assert right >= 0.9 * len(trials), f"{right} of {len(trials)}"


def test_object_blind_observers_are_near_chance(study):
    """No more than 2.6 standard errors from one half: what guessing exceeds once in a hundred."""
    main = sum(trial.kind == "main" for trial in study.trials)
    for measure, rate in study.observers["all"].items():
        assert abs(rate - 0.5) <= 2.6 * (0.25 / main) ** 0.5, f"{measure}: {rate}"


def test_every_participant_meets_every_unit_with_every_network(study):
    trials = {trial.id: trial for trial in study.trials}
    for dealt in study.lists:
        met = [
            (trials[one].unit.index, trials[one].network)
            for one in dealt
            if trials[one].kind == "main"
        ]
        assert len(met) == len(set(met)) == 24


@pytest.fixture(scope="module")
def visualization() -> Visualization:
    """What the demo's ResNet likes about its first class, as the demo study renders it."""
    preset = tomllib.loads(DEMO.read_text())["presets"]["small"]
    classifier = load_network(NetworkSource(name="ResNet", model="demo/resnet"), Path(), "cpu")
    base = preset.pop("base")
    [made] = render(classifier, logit(0), base, progress=False, **preset)
    return made


def test_the_visualization_excites_its_unit(visualization):
    start, end = visualization.trace[:5].mean(), visualization.trace[-5:].mean()
    assert end > start + 3


def test_transparency_shows_where_the_object_formed(visualization):
    """Ladybirds are red: what the mask keeps is redder than what it hides."""
    red = visualization.image[0] - visualization.image[1:].amax(0)
    alpha = visualization.alpha
    kept, hidden = alpha >= 0.9, alpha <= 0.3
    assert red[kept].mean() > red[hidden].mean() + 0.05
    assert bool((alpha >= 0).all()) and bool((alpha <= 1).all())
    strongest = red >= torch.quantile(red, 0.98)
    assert alpha[strongest].mean() > alpha.mean() + 0.2
