"""Layers are listed as they are read, and their maps lie as the image does."""

from __future__ import annotations

import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from timm.layers import LayerNorm2d
from torch import nn

from maco import OUTPUT, Classifier, Layer
from maco.layers import as_map, channels_first
from maco.layers.__main__ import main


def images(count=2, side=24):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_layers_are_listed_in_the_order_in_which_they_run(tiny):
    assert tiny.layers() == (
        Layer("conv1", "Conv2d", (8, 11, 11)),
        Layer("act1", "ReLU", (8, 11, 11)),
        Layer("conv2", "Conv2d", (12, 9, 9)),
        Layer("act2", "ReLU", (12, 9, 9)),
        Layer("pool", "AdaptiveAvgPool2d", (12, 1, 1)),
        Layer("flat", "Flatten", (12,)),
        Layer("head", "Linear", (5,)),
        Layer(OUTPUT, "Sequential", (5,)),
    )
    assert not any(module._forward_hooks for module in tiny.network.modules())


class Odd(nn.Module):
    """Layers that run twice, never, give two tensors, or cut their images in windows."""

    def __init__(self):
        super().__init__()
        self.twice, self.pair, self.unused = nn.ReLU(), Pair(), nn.ReLU()
        self.windows, self.last = nn.Identity(), nn.Identity()

    def forward(self, x):
        x = self.pair(self.twice(self.twice(x)))[0]
        x = self.windows(x.reshape(-1, 3, 4, 4)).reshape(x.shape)
        return self.last(x).flatten(1)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def test_what_is_listed_is_what_can_be_read():
    odd = Classifier(Odd(), name="odd", input_size_px=8)
    assert [layer.name for layer in odd.layers()] == ["last", OUTPUT]


@pytest.mark.parametrize(
    ("module", "shape", "turned"),
    [
        (nn.Conv2d(1, 1, 1), (6, 4, 4), False),
        (nn.Linear(6, 6), (4, 4, 6), True),
        (nn.GELU(), (4, 4, 6), True),
        (nn.GELU(), (6, 4, 4), False),
        (nn.Linear(4, 4), (4, 4, 4), True),
        (nn.LayerNorm(4), (4, 4, 4), True),
        (LayerNorm2d(4), (4, 4, 4), False),
        (nn.Conv2d(4, 4, 1), (4, 4, 4), False),
        (nn.Linear(6, 6), (10, 6), True),
        (nn.Conv1d(6, 6, 1), (6, 10), False),
        (nn.Linear(6, 6), (6,), False),
    ],
)
def test_channels_come_first_whatever_the_network_does(module, shape, turned):
    given = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    expected = given.movedim(-1, 1) if turned else given
    assert torch.equal(channels_first(given, module), expected)


def test_tokens_are_laid_out_on_the_grid_of_the_patches():
    grid = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    network = nn.Identity()
    for before in (0, 1, 2, 5):
        network.num_prefix_tokens = before
        tokens = torch.cat([torch.zeros(2, 5, before), grid.flatten(2)], 2)
        assert torch.equal(as_map(tokens, network), grid)
        assert torch.equal(as_map(grid.flatten(2), network), grid)  # before they are joined
        assert as_map(torch.cat([tokens, tokens[:, :, :3]], 2), network) is None
    for shape in ((5,), (5, 1, 1), (5, 4, 3), (5, 1), (5, 2, 4, 4)):
        assert as_map(torch.zeros(2, *shape), network) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [("test_vit", {}), ("test_vit", {"img_size": 96, "reg_tokens": 4}), ("test_convnext", {})],
)
def test_maps_are_timms_intermediate_features(name, options):
    network = timm.create_model(name, **options)
    side = options.get("img_size", 160)
    classifier = Classifier(network, name=name, input_size_px=side)
    named = [layer for layer in classifier.layers() if layer.intermediate]
    assert len(named) == len(network.feature_info)
    given = images(2, side)
    with torch.no_grad():
        features = network.forward_intermediates(classifier.prepare(given), intermediates_only=True)
        for layer, expected in zip(named, features, strict=True):
            torch.testing.assert_close(classifier.maps(given, layer.name), expected)


def test_layers_without_extent_have_no_map(tiny):
    assert tiny.maps(images(), "conv2").shape == (2, 12, 9, 9)
    for layer in ("pool", "flat", "head", OUTPUT):
        with pytest.raises(ValueError, match=f"layer '{layer}' of tiny has no places in the im"):
            tiny.maps(images(), layer)
    odd = Classifier(Odd(), name="odd", input_size_px=8)
    with pytest.raises(ValueError, match="gives 8 rows for 2 images"):
        odd.maps(images(), "windows")


def ask(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_command_lists_intermediates_or_everything():
    short = ask("--model", "test_vit")
    assert short.exit_code == 0, short.output
    lines = [line.split() for line in short.output.splitlines()]
    assert lines[0] == ["test_vit,", "160", "px"]
    assert lines[1] == ["layer", "kind", "shape"]
    assert lines[2] == ["blocks.0", "Block", "64", "x", "101", "*"]
    assert lines[8] == [OUTPUT, "VisionTransformer", "1000"]
    full = ask("--model", "test_vit", "--all").output.splitlines()
    more = int(lines[9][0])
    assert lines[9][1:] == ["more", "with", "--all"]
    assert len(full) == 9 + more
    assert any(line.startswith("blocks.3.mlp.fc1 ") for line in full)


def test_the_command_knows_tables_of_networks(tmp_path):
    save_file(timm.create_model("test_vit", num_classes=3).state_dict(), tmp_path / "w.safetensors")
    table = tmp_path / "networks.toml"
    table.write_text(
        '[[networks]]\nname = "mine"\nmodel = "test_vit"\nweights = "w.safetensors"\n'
        'options = { num_classes = 3 }\nlabels = ["a", "b", "c"]\n'
    )
    made = ask("--model", "mine", "--networks", table)
    assert made.exit_code == 0, made.output
    assert made.output.startswith("mine, 160 px")
    assert f"{OUTPUT}" in made.output


def test_the_command_lists_everything_of_a_network_without_intermediates():
    made = ask("--model", "torchvision/squeezenet1_1").output.splitlines()
    assert any(line.split()[:2] == ["features.3.squeeze", "Conv2d"] for line in made)
    assert not any(line.endswith("*") for line in made)


def test_unknown_networks_are_one_clear_line():
    made = ask("--model", "resnet_18")
    assert made.exit_code == 1
    assert "timm has no network 'resnet_18'; did you mean" in made.output
    assert "resnet18" in made.output
