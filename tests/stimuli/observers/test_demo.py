"""Machine observers on the demo world: its networks look, and photographs are the references."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from handmade import HandmadeBundle

from stimuli.demo.networks import WEIGHTS
from stimuli.demo.world import CLASSES, Scene, measure_box, scene
from stimuli.observers.__main__ import main
from stimuli.observers.layers import as_map, default_layer, find_layers
from stimuli.observers.table import Observation, read_observations
from stimuli.occlusion import occlude
from stimuli.study_tables import NetworkSource
from stimuli.units import load_network

SIDE_PX, OCCLUDER_PX = 112, 45
NETWORKS = {"VGG": "demo/vgg", "ResNet": "demo/resnet", "ViT": "demo/vit"}
CONDITIONS = ("photographs", "control")


def draw(label: int, number: int) -> Scene:
    return scene(np.random.default_rng((77, label, number)), label, SIDE_PX)


def corner(mask: np.ndarray) -> tuple[int, int]:
    """Where the occluder hides the middle of what is in a mask."""
    x, y, width, height = measure_box(mask)
    room = SIDE_PX - OCCLUDER_PX
    middle = x + width // 2 - OCCLUDER_PX // 2, y + height // 2 - OCCLUDER_PX // 2
    return min(max(middle[0], 0), room), min(max(middle[1], 0), room)


def pixels(drawn: Scene) -> torch.Tensor:
    return torch.from_numpy(drawn.image).permute(2, 0, 1).contiguous()


def crop(drawn: Scene) -> torch.Tensor:
    x, y = corner(drawn.mask)
    return pixels(drawn)[:, y : y + OCCLUDER_PX, x : x + OCCLUDER_PX]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """24 trials: the less favored query hides the class object, the favored one a distractor."""
    made = HandmadeBundle(tmp_path_factory.mktemp("world") / "bundle")
    trials = []
    for label in range(8):
        shown = [made.store(crop(draw(label, number))) for number in (1, 2, 3, 4)]
        drawn = draw(label, 0)
        places = [corner(drawn.distractor_masks[0]), corner(drawn.mask)]
        queries = [
            {
                "image": made.store(occlude(pixels(drawn), x, y, OCCLUDER_PX)),
                "activation": activation,
                "occluder": {"x_px": x, "y_px": y, "size_px": OCCLUDER_PX},
            }
            for (x, y), activation in zip(places, (2.0, 1.0), strict=True)
        ]
        trials += [
            {
                "id": f"t{label}{network}",
                "kind": "main",
                "network": network,
                "unit": {"kind": "class", "index": label, "label": CLASSES[label]},
                "base_image": {"source": f"{label}", "image": made.store(pixels(drawn))},
                "references": {"photographs": shown, "control": []},
                "queries": queries[:: 1 - 2 * (label % 2)],
                "base_activation": 2.0,
                "favored": label % 2,
            }
            for network in NETWORKS
        ]
    networks = [
        {
            "name": name,
            "model": model,
            "weights_digest": load_network(
                NetworkSource(name=name, model=model), Path(), "cpu"
            ).weights_digest(),
            "input_size_px": 96,
        }
        for name, model in NETWORKS.items()
    ]
    return made.finish(networks, CONDITIONS, trials)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def answered(bundle, tmp_path_factory) -> tuple[Result, Path]:
    """The command as a user runs it: what it prints, and the file it writes."""
    out = tmp_path_factory.mktemp("observed") / "observers.csv"
    return run(bundle, "--out", out, "--device", "cpu", "--power", 80, 120, 174), out


def rows(out: Path, condition: str) -> list[Observation]:
    return [
        one
        for one in read_observations(out)
        if one.observer == "peers" and one.condition == condition
    ]


def test_photographs_of_the_object_tell_which_query_hides_it(answered):
    result, out = answered
    assert result.exit_code == 0, result.output
    shown = [one.p_favored for one in rows(out, "photographs")]
    assert len(shown) == 24
    assert np.mean([p > 0.5 for p in shown]) >= 0.85
    assert {one.p_favored for one in rows(out, "control")} == {0.5}


def test_the_answers_are_in_the_references(answered):
    """With another class's photographs the same networks do not know the object."""
    figures = json.loads(answered[1].with_suffix(".json").read_text())
    own = figures["observers"]["peers"]
    right, wrong = own["conditions"]["photographs"], own["wrong_references"]["photographs"]
    assert right["low"] > 0.6 and right["low"] > wrong["high"]
    assert wrong["low"] < 0.5
    assert figures["remarks"] == []


def test_it_prints_accuracies_units_and_the_power_command(answered):
    printed = answered[0].stdout
    assert "peers" in printed and "best units: " in printed and "references mislead" in printed
    assert "python -m analysis.power --bundle" in printed
    assert printed.rstrip().endswith("observers.json")
    assert "--participants 80 120 174" in printed


def test_the_same_bundle_gives_the_same_bytes(bundle, answered, tmp_path):
    again = tmp_path / "new" / "observers.csv"
    assert run(bundle, "--out", again, "--device", "cpu").exit_code == 0
    assert again.read_bytes() == answered[1].read_bytes()


def test_a_fitted_softness_and_chosen_networks(bundle, tmp_path):
    out = tmp_path / "observers.csv"
    models = f"demo/vgg:20+demo/resnet@{WEIGHTS['resnet']}:layer2"
    fit = ("--fit", "photographs=0.6", "--device", "cpu")
    result = run(bundle, "--out", out, "--observer", f"mine={models}", *fit)
    assert result.exit_code == 0, result.output
    mine = [
        one.p_favored
        for one in read_observations(out)
        if (one.observer, one.condition) == ("mine", "photographs")
    ]
    assert np.mean(mine) == pytest.approx(0.6, abs=1e-5)
    assert "mine: looks with demo/vgg:20, demo/resnet:layer2" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--observer", "own=demo/vgg"), "demo/vgg is the network under study in VGG's trials"),
        (("--observer", "a=resnet_nope"), "timm has no network 'resnet_nope'"),
        (("--observer", "a=demo/vgg:nope"), "demo/vgg has no layer 'nope'"),
        (("--observer", "a=demo/vgg:29"), "layer '29' of demo/vgg gives no feature map"),
        (("--observer", "a=resnet18@gone.safetensors"), "gone.safetensors"),
        (("--observer", "a"), "write NAME=MODEL"),
        (("--observer", "a=@file"), "there is no model before '@file'"),
        (("--observer", "map=demo/vgg+demo/vit"), "the name is taken"),
        (("--observer", "a=demo/vit", "--observer", "a=demo/vgg"), "is given twice"),
        (("--fit", "photographs"), "write CONDITION=ACCURACY"),
        (("--fit", "control=0.7"), "no condition 'control' with references to fit: photographs"),
        (("--softness", "nan"), "it must be 0 or more"),
    ],
)
def test_a_wrong_option_is_told_in_a_line(bundle, tmp_path, arguments, expected):
    out = tmp_path / "observers.csv"
    result = run(bundle, "--out", out, "--device", "cpu", *arguments)
    assert result.exit_code != 0
    [told] = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert expected in told
    assert not out.exists()


def test_a_bundle_that_is_none_and_a_file_that_cannot_be_are_told(bundle, tmp_path):
    (tmp_path / "half.partial").mkdir()
    (tmp_path / "file").write_text("")
    for folder, out, expected in (
        (tmp_path / "none", tmp_path / "a.csv", "is this a bundle?"),
        (tmp_path / "half", tmp_path / "a.csv", "is not finished: run python -m stimuli.build"),
        (tmp_path / "half.partial", tmp_path / "a.csv", "is not finished"),
        (bundle, tmp_path, "cannot be written"),
        (bundle, tmp_path / "a.json", "cannot end in .json"),
        (bundle, tmp_path / "file" / "a.csv", str(tmp_path / "file")),
    ):
        result = run(folder, "--out", out)
        assert result.exit_code == 1
        assert expected in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_a_missing_image_is_told(bundle, tmp_path):
    copy = tmp_path / "copy"
    (copy / "images").mkdir(parents=True)
    (copy / "study.json").write_bytes((bundle / "study.json").read_bytes())
    result = run(copy, "--out", tmp_path / "a.csv")
    assert result.exit_code == 1 and "the image is missing" in result.stderr


@pytest.mark.parametrize(
    ("network", "layer"), [("vgg", "13"), ("resnet", "layer1"), ("vit", "patch_embed.backbone.13")]
)
def test_the_default_layer_is_half_way_and_resolves_the_occluder(network, layer):
    source = NetworkSource(name=network, model=f"demo/{network}")
    classifier = load_network(source, Path(), "cpu")
    assert default_layer(classifier, 0.4) == layer
    [chosen] = [one for one in find_layers(classifier) if one.name == layer]
    assert chosen.cells * 0.4 >= 8


def test_tokens_are_laid_out_as_the_image_is():
    grid = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    tokens = grid.flatten(2).transpose(1, 2)
    for before in (0, 1, 5):
        with_prefix = torch.cat([torch.zeros(2, before, 3, dtype=torch.int64), tokens], dim=1)
        assert torch.equal(as_map(with_prefix), grid)
    assert torch.equal(as_map(grid.permute(0, 2, 3, 1)), grid)
    assert as_map(torch.zeros(2, 10)) is None and as_map(torch.zeros(2, 10, 1, 1)) is None
