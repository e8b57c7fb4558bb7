"""The search for the two extremes: it finds them in a fifth of the places, and marks the rest."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from maco import logit
from stimuli import search
from stimuli.build import build
from stimuli.draft import Draft
from stimuli.occlusion import ActivationMap, answers_of, corners, occlude, sweep
from stimuli.overview import heat_image
from stimuli.queries import NoPairError, Tally, choose_pair
from stimuli.schema import read_study
from stimuli.search import search_extremes, searched_places
from stimuli.study import StudyFileError, read_config
from stimuli.sweeps import Sweeps
from stimuli.units import find_unit, load_network

STUDY = """
name = "searched"
title = "Which?"
lists = 2

[units]
kind = "class"
classes = [0, 3]

[base_images]
source = "demo"
per_unit = 1
choose = "random"

[[networks]]
name = "ResNet"
model = "demo/resnet"

[[networks]]
name = "Other"
model = "demo/resnet"

[conditions.control]

[occluder]
size = 0.4
stride_px = 2
search = "extremes"

[queries]
rule = "extremes"
size_px = 64

[practice]
trials = 0

[catch]
trials = 1

[exclusions]
"""


def as_map(values: torch.Tensor) -> ActivationMap:
    rows, columns = values.shape
    return ActivationMap(values, torch.arange(columns), torch.arange(rows), 8, 0.0)


def rough_map(seed: int, side: int = 64) -> torch.Tensor:
    """A basin in a plateau, with ridges along rows and columns, and noise."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.rand(2, generator=generator) * side
    at = torch.arange(side)
    basin = torch.exp(-((at - x).square()[None] + (at - y).square()[:, None]) / (0.2 * side) ** 2)
    ridges = torch.randn(side, 1, generator=generator) + torch.randn(1, side, generator=generator)
    noise = torch.randn(side, side, generator=generator)
    return -4 * basin + 0.05 * ridges + 0.02 * noise


def test_both_extremes_are_found_in_a_fifth_of_the_places():
    for seed in range(20):
        values, asked = rough_map(seed), []

        def answers(places, values=values, asked=asked):
            asked += places.tolist()
            return values.flatten()[places]

        found = as_map(search_extremes(answers, *values.shape))
        assert found.lowest == int(values.argmin())
        assert found.highest == int(values.argmax())
        assert len(asked) == len(set(asked)) == searched_places(64 * 64) <= 64 * 64 / 5
        known = ~found.values.isnan()
        assert int(known.sum()) == len(asked)
        assert torch.equal(found.values[known], values[known])


def test_only_the_order_of_the_values_counts():
    values = rough_map(0)
    steep = torch.exp(values)
    plain, bent = (
        search_extremes(lambda places, of=of: of.flatten()[places], *of.shape)
        for of in (values, steep)
    )
    assert torch.equal(plain.isnan(), bent.isnan())


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (24, 25), (2, 40)])
def test_small_maps_are_evaluated_whole(rows, columns):
    found = search_extremes(lambda places: places.float(), rows, columns)
    assert torch.equal(found, torch.arange(rows * columns).float().view(rows, columns))


@pytest.mark.parametrize(("rows", "columns"), [(1, 3000), (3000, 1), (4, 1500), (13, 601)])
def test_maps_of_any_shape_are_searched(rows, columns):
    found = search_extremes(lambda places: -(places - 999.0).abs(), rows, columns)
    assert found.shape == (rows, columns)
    assert int(found.isfinite().sum()) == searched_places(rows * columns) < rows * columns
    # The lattice alone is a fifth of a single row.
    assert abs(as_map(found).highest - 999) <= (0 if min(rows, columns) > 1 else 5)


@pytest.mark.parametrize("value", [0.0, torch.inf])
def test_a_map_that_does_not_vary_or_is_not_finite_gives_no_pair(value):
    found = as_map(search_extremes(lambda places: torch.full((len(places),), value), 40, 40))
    with pytest.raises(NoPairError, match="the same wherever" if value == 0 else "not finite"):
        choose_pair("extremes", found, {}, margin=0, tally=Tally(), rng=np.random.default_rng(0))


@pytest.mark.parametrize("fill", ["mean", "grey"])
def test_a_searched_sweep_finds_what_the_whole_one_does(red_detector, red_square, fill):
    options = {"size_px": 8, "stride_px": 1, "fill": fill}
    whole = sweep(red_detector, logit(0), red_square, **options)
    done = []
    found = sweep(
        red_detector, logit(0), red_square, search="extremes", progress=done.append, **options
    )
    assert whole.is_whole and not found.is_whole
    assert sum(done) == searched_places(whole.values.numel()) < whole.values.numel()
    assert found.lowest == whole.lowest
    assert found.spread == pytest.approx(whole.spread, abs=1e-6)
    assert (found.base, found.place(50)) == (whole.base, whole.place(50))


def test_an_unknown_search_is_refused(red_detector, red_square):
    with pytest.raises(ValueError, match="unknown search 'coarse': all, extremes"):
        sweep(red_detector, logit(0), red_square, size_px=8, stride_px=1, search="coarse")


def test_rules_that_compare_all_places_refuse_a_searched_map():
    values = rough_map(1)
    found = as_map(search_extremes(lambda places: values.flatten()[places], *values.shape))
    options = {"margin": 0.0, "tally": Tally(), "rng": np.random.default_rng(0)}
    pair = int(values.argmin()), int(values.argmax())
    assert choose_pair("extremes", found, {}, **options) == pair
    for rule in ("minimum_vs_elsewhere", "random"):
        with pytest.raises(ValueError, match=f"'{rule}' needs every place"):
            choose_pair(rule, found, {}, **options)


def test_a_study_searches_only_for_the_rule_that_needs_no_more(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace('rule = "extremes"', 'rule = "random"'))
    with pytest.raises(StudyFileError) as error:
        read_config(path)
    assert str(error.value) == (
        f'{path}: occluder.search = "extremes" leaves out places that queries.rule = "random"'
        ' needs: leave occluder.search out, or set queries.rule = "extremes"'
    )


def test_a_study_without_a_search_keeps_its_digest(tmp_path):
    digests = {}
    for search_ in ("", 'search = "all"', 'search = "extremes"'):
        path = tmp_path / "study.toml"
        path.write_text(STUDY.replace('search = "extremes"', search_))
        config = read_config(path)
        digests[search_] = config.digest()
        assert ("search" in config.model_dump(mode="json")["occluder"]) == ("extremes" in search_)
    assert digests[""] == digests['search = "all"'] != digests['search = "extremes"']


def test_a_bundle_is_built_from_searched_maps(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "_FEWEST", 100)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    overview = build(path, tmp_path / "out", progress=False)
    study = read_study(tmp_path / "out")
    maps = load_file(tmp_path / "out" / "maps.safetensors")
    for trial in study.trials:
        if trial.kind == "main":
            [values] = [maps[key] for key in maps if key.startswith(f"{trial.id}/")]
            assert int(values.isfinite().sum()) == 100 < values.numel()
            found = as_map(values)
            flat = values.flatten()
            answers = sorted(query.activation for query in trial.queries)
            assert answers == [float(flat[found.lowest]), float(flat[found.highest])]
    assert study.config["occluder"]["search"] == "extremes"
    page = overview.read_text(encoding="utf-8")
    assert re.search(r"\bnan\b", page, re.IGNORECASE) is None


def test_the_progress_bar_counts_what_is_evaluated(tmp_path, monkeypatch):
    """Also for a map that an earlier build has kept."""
    monkeypatch.setattr(search, "_FEWEST", 100)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    config = read_config(path)
    networks = {"ResNet": load_network(config.networks[0], tmp_path, "cpu")}
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    image[:, 20:40, 10:30] = 200
    for _ in range(2):
        draft = Draft(tmp_path / "out", {})
        with Sweeps(config, networks, draft, expected=1, progress=True) as sweeps:
            map_ = sweeps.map_of("ResNet", find_unit(0, networks), image, 26)
            assert sweeps.bar.n == sweeps.bar.total == int(map_.values.isfinite().sum()) == 100


def test_the_picture_of_a_map_is_clear_where_nothing_was_evaluated():
    values = torch.tensor([[0.0, torch.nan], [1.0, 0.5]])
    png = base64.b64decode(heat_image(values).partition(",")[2])
    picture = Image.open(io.BytesIO(png))
    assert list(picture.getchannel("A").tobytes()) == [255, 0, 255, 255]
    whole = base64.b64decode(heat_image(values.nan_to_num(nan=0.0)).partition(",")[2])
    assert picture.getpixel((0, 1)) == Image.open(io.BytesIO(whole)).convert("RGBA").getpixel(
        (0, 1)
    )


def test_real_networks_extremes_are_found(shared_data):
    """SqueezeNet on a photograph: ten classes at every fourth pixel, 34 x 34 places."""
    from maco import Classifier
    from maco.images import read_image, to_bytes

    weights = shared_data / "weights" / "squeezenet1_1.fp16.safetensors"
    classifier = Classifier.load("torchvision/squeezenet1_1", weights=weights)
    [path] = (shared_data / "imagenet_sample").glob("084_*.jpg")
    image = to_bytes(read_image(path))[:, 16:240, 16:240]
    steps = corners(224, 90, 4).tolist()
    queries = torch.stack([occlude(image, x, y, 90) for y in steps for x in steps])
    every = [logit(index) for index in range(1000)]
    top = answers_of(classifier, every, image[None])[:, 0].topk(10).indices.tolist()
    maps = torch.cat(
        [answers_of(classifier, [logit(at) for at in top], part) for part in queries.split(16)], 1
    )
    same = 0
    for values in maps:
        found = as_map(search_extremes(lambda places, of=values: of[places], 34, 34))
        same += (found.lowest, found.highest) == (int(values.argmin()), int(values.argmax()))
        assert found.spread >= 0.95 * float(values.max() - values.min())
    assert same >= 9
