"""Feature inversion: what it matches, in which order it is shown, and what it refuses."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache

import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import nn

from maco import Classifier, MacoPhase, Visualization, find_preset, natural_spectrum, render
from maco.images import encode_png, read_image
from maco.invert import (
    in_order,
    inversion_preset,
    invert,
    similarity,
    spread_layers,
    target,
)
from maco.invert.__main__ import main as invert_command
from maco.invert.strip import draw_strip
from maco.photographs import read_square


@pytest.fixture(scope="module")
def natural(generators):
    """natural(seed, size_px): an image with the spectrum of photographs."""

    parameterization = cache(lambda size_px: MacoPhase(natural_spectrum(), size_px, size_px))

    def draw(seed, size_px=24):
        phases = parameterization(size_px)
        return phases(phases.initial(generators(seed)))[0]

    return draw


@pytest.fixture(scope="module")
def small(seeded):
    """A network for 48 px, in whose tables of modules later layers come first."""

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.late = nn.Conv2d(8, 12, 3)
            self.early = nn.Conv2d(3, 8, 5, stride=2)
            self.head = nn.Linear(12, 5)

        def forward(self, images):
            maps = self.late(self.early(images).relu()).relu()
            return self.head(maps.mean((2, 3)))

    return Classifier(seeded(Small(), 3), name="small", input_size_px=48)


@pytest.fixture(scope="module")
def inverted(small, natural):
    """inverted("early"): the inversion of natural(5, 48) in a layer."""
    preset = inversion_preset(small, steps=40)
    return cache(
        lambda layer: invert(small, natural(5, 48), layer, preset, seed=1, progress=False).image
    )


@pytest.mark.parametrize("layer", ["early", "late"])
def test_the_inversion_answers_as_the_photograph_and_no_other_image_does(
    small, natural, inverted, layer
):
    photograph, image = natural(5, 48), inverted(layer)
    assert image.shape == (3, 48, 48)
    reached = similarity(small, image, photograph, layer)
    others = [similarity(small, natural(seed, 48), photograph, layer) for seed in range(20, 30)]
    assert similarity(small, photograph, photograph, layer) == pytest.approx(1)
    assert reached > 0.8
    assert 1 - reached < 0.5 * (1 - max(others))


def test_an_early_layer_gives_the_photograph_back(natural, inverted):
    """Up to contrast: the brightness at each pixel goes with the photograph's."""
    photograph = natural(5, 48)
    others = [natural(seed, 48) for seed in range(20, 30)]
    assert alike(inverted("early"), photograph) > 0.7
    assert max(alike(image, photograph) for image in others) < 0.5


def alike(image, other):
    """Correlation of the brightness of pixels."""
    pair = torch.stack([image.mean(0).flatten(), other.mean(0).flatten()])
    return float(torch.corrcoef(pair)[0, 1])


def test_the_target_is_what_the_layer_answers_to_the_prepared_photograph(small, natural):
    photograph = natural(5, 48)
    wanted = target(small, photograph, "late")
    with torch.no_grad():
        seen = small.network.late(small.network.early(small.prepare(photograph[None])).relu())
    [value] = wanted({"late": seen})
    assert float(value) == pytest.approx(float(seen.norm()), rel=1e-4)  # a cosine of 1


def test_by_default_the_network_sees_the_whole_picture_pixel_by_pixel(small):
    preset = inversion_preset(small)
    images = torch.rand(1, 3, *preset.shape)
    views = preset.transform()(images, [torch.Generator()], small.input_size_px, 0)
    assert torch.equal(views, images)
    assert inversion_preset(small, size_px=96).shape == (96, 96)
    assert inversion_preset(small, "paper", steps=3) == find_preset("paper", steps=3)


def test_layers_are_shown_as_the_network_runs_them(small):
    assert in_order(small, ["late", "early", "late"]) == ["early", "late"]
    assert spread_layers(small) == ["early", "late"]


def test_layers_are_spread_over_the_intermediates_that_timm_names():
    network = timm.create_model("test_vit2")
    classifier = Classifier(network, name="vit", input_size_px=64)
    named = [layer.name for layer in classifier.layers() if layer.intermediate]
    assert spread_layers(classifier, 99) == named
    two = spread_layers(classifier, 2)
    assert two == [named[0], named[-1]]


def test_layers_of_other_networks_are_the_least_nested_that_have_places():
    stage = nn.Sequential(OrderedDict(a=nn.Conv2d(3, 3, 3), b=nn.Conv2d(3, 3, 3)))
    parts = OrderedDict(
        one=stage, two=nn.Conv2d(3, 4, 3), pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten()
    )
    classifier = Classifier(nn.Sequential(parts), name="stages", input_size_px=16)
    assert spread_layers(classifier, 2) == ["one", "two"]
    assert spread_layers(classifier, 4) == ["one.a", "one.b", "one", "two"]
    flat = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), name="flat", input_size_px=4)
    with pytest.raises(ValueError, match="flat has no layer with places in the image"):
        spread_layers(flat)


def made_of(colour, size_px=32, opacity=1.0):
    sensitivity = torch.zeros(3, size_px, size_px)
    sensitivity[:, :, : size_px // 2] = opacity
    image = torch.tensor(colour)[:, None, None].expand(3, size_px, size_px)
    return Visualization(image, sensitivity, torch.zeros(1), torch.zeros(1), {})


def test_the_strip_has_the_photograph_first_then_each_layer_opaque_and_masked(tmp_path):
    red, blue, green = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)
    photograph = made_of(green).image
    content = draw_strip(
        photograph, [made_of(red), made_of(blue, 64)], [("early", "1"), ("late", "2")], side_px=32
    )
    (tmp_path / "strip.png").write_bytes(content)
    strip = read_image(tmp_path / "strip.png")
    gap, head = 2, 8
    assert strip.shape == (3, head + 2 * (32 + gap), 3 * 32 + 4 * gap)
    rows = [head + 16, head + gap + 32 + 16]

    def at(column, row, across):
        return tuple(strip[:, rows[row], gap + column * (32 + gap) + across].tolist())

    white = (1.0, 1.0, 1.0)
    assert [at(column, 0, 24) for column in range(3)] == [green, red, blue]
    assert [at(column, 1, 8) for column in range(3)] == [white, red, blue]
    assert [at(column, 1, 24) for column in range(1, 3)] == [white, white]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small network of ImageNet's classes, with random weights in a file."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), file)
    return file


@pytest.fixture
def command(weights, natural, tmp_path):
    """command("--layer", "layer1"): the result of the command, by default into tmp_path/out."""
    wide = natural(3, 260)[:, :200]
    (tmp_path / "photo.png").write_bytes(encode_png(wide))

    def run(*arguments):
        given = {
            "--model": "test_resnet",
            "--weights": weights,
            "--image": tmp_path / "photo.png",
            "--out": tmp_path / "out",
            "--steps": 2,
            "--device": "cpu",
        }
        own = {key for key in given if key in arguments}
        words = [word for pair in given.items() if pair[0] not in own for word in pair]
        return CliRunner().invoke(invert_command, [str(word) for word in (*words, *arguments)])

    return run


def test_a_strip_and_running_it_again(command, weights, tmp_path):
    out = tmp_path / "out"
    first = command("--layer", "layer4", "layer1")
    assert first.exit_code == 0, first.output
    assert "2 inverted, 0 were there" in first.output
    assert first.output.rindex("layer1") < first.output.rindex("layer4")
    names = {path.name for path in out.iterdir()}
    assert {"layer1.png", "layer1-masked.png", "layer4.safetensors", "strip.png"} <= names
    made = Visualization.load(out / "layer1")
    classifier = Classifier.load("test_resnet", weights=weights)
    square = read_square(tmp_path / "photo.png", classifier.input_size_px)
    assert made.image.shape == square.shape
    assert made.config["objective"] == repr(target(classifier, square, "layer1"))
    (out / "layer4.safetensors").unlink()
    kept = (out / "layer1.safetensors").stat().st_mtime_ns
    again = command("--layer", "layer1", "layer4")
    assert "1 inverted, 1 were there" in again.output
    assert (out / "layer1.safetensors").stat().st_mtime_ns == kept


def test_what_was_made_otherwise_is_not_taken_for_done(command, natural, tmp_path):
    other = tmp_path / "other.png"
    other.write_bytes(encode_png(natural(4, 200)))
    assert command("--layer", "layer1").exit_code == 0
    kept = (tmp_path / "out" / "layer1.safetensors").stat().st_mtime_ns
    for changed in [("--steps", 3), ("--seed", 1), ("--image", other)]:
        result = command("--layer", "layer1", *changed)
        assert result.exit_code == 1
        assert "made of another photograph or by another configuration" in result.output
    assert (tmp_path / "out" / "layer1.safetensors").stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "layer9"], "has no layer 'layer9'; did you mean layer"),
        (["--image", "none.jpg"], "none.jpg does not exist"),
        (["--image", "small.png"], "small.png is 30 x 30 px: at least 160 px are needed"),
        (["--model", "test_resnett"], "did you mean test_resnet"),
        (["--weights", "none.safetensors"], "no weights file"),
        (["--steps", "0"], "steps is 0: 1 or more"),
        (["--out", "file/out"], "cannot be written"),
    ],
)
def test_requests_that_cannot_be_met(command, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.png").write_bytes(encode_png(torch.zeros(3, 30, 30)))
    (tmp_path / "file").write_text("in the way")
    result = command("--layer", "layer1", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_layers_that_cannot_be_inverted(natural):
    class Two(nn.Module):
        def forward(self, images):
            return images, images

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.two, self.dead = Two(), nn.ReLU()

        def forward(self, images):
            first, _ = self.two(images)
            return self.dead(first - 100).mean((2, 3))

    odd = Classifier(Odd(), name="odd", input_size_px=24)
    with pytest.raises(ValueError, match="'two' of odd gives no single tensor"):
        in_order(odd, ["two"])
    with pytest.raises(ValueError, match=r"target in 'dead' has length 0\.0"):
        invert(odd, natural(1), "dead")


def test_real_layers_keep_less_and_less_of_a_photograph(shared_data):
    weights = shared_data / "weights" / "squeezenet1_1.fp16.safetensors"
    network = Classifier.load("torchvision/squeezenet1_1", weights=weights)
    photograph = read_square(shared_data / "imagenet_512" / "024.jpg", network.input_size_px)
    preset = inversion_preset(network, steps=12)
    early, late = (
        alike(invert(network, photograph, layer, preset, progress=False).image, photograph)
        for layer in ("features.2", "features.12")
    )
    assert early > late


def test_the_transparency_shows_no_grid_of_strides(small, natural):
    """The first layer looks at every other pixel; that is no property of the photograph."""

    def roughness(sensitivity):
        rows = sensitivity.mean((0, 1))
        return float(rows.diff(n=2).abs().mean() / rows.mean())

    preset = inversion_preset(small, steps=6)
    photograph = natural(5, 48)
    objective = target(small, photograph, "early")
    [plain] = render(small, objective, preset, seeds=[1], progress=False)
    smooth = invert(small, photograph, "early", preset, seed=1, progress=False)
    assert torch.equal(smooth.image, plain.image)
    assert roughness(smooth.sensitivity) < 0.3 * roughness(plain.sensitivity)
