"""Every kind of network of the paper, with random weights: layers, maps and rising objectives."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from maco import (
    OUTPUT,
    Classifier,
    channel,
    logit,
    render,
)
from maco.construction import construct

SMALL_HEAD = {"num_classes": 7}
NETWORKS = {  # options that make the smallest of the family smaller still; side in pixels
    "vit_tiny_patch16_224": ({"img_size": 48, "depth": 3}, 48, (192, 10)),
    "flexivit_small": ({"img_size": 80, "depth": 2}, 80, (384, 26)),
    "resnetv2_18": ({}, 48, (128, 6, 6)),
    "convnext_atto": ({"depths": (1, 1, 2, 1)}, 64, (160, 4, 4)),
    "test_efficientnet": ({}, 48, (32, 6, 6)),
    "vgg11": ({"mlp_ratio": 0.05}, 48, (512, 6, 6)),
    "densenet121": ({"growth_rate": 8, "block_config": (2, 3, 4, 3)}, 64, (40, 8, 8)),
    "mobilenetv2_035": ({}, 64, (16, 8, 8)),
    "legacy_xception": ({}, 48, (256, 6, 6)),
    "swin_tiny_patch4_window7_224": (
        {"img_size": 32, "window_size": 2, "embed_dim": 24, "depths": (1, 1, 2, 1)},
        32,
        (96, 2, 2),
    ),
}


@pytest.fixture(params=NETWORKS)
def classifier(request):
    options, side, _ = NETWORKS[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, expected = construct(request.param, options={**SMALL_HEAD, **options})
    return Classifier(
        network, name=request.param, input_size_px=side, mean=expected.mean, std=expected.std
    )


def middle(layers):
    named = [layer for layer in layers if layer.intermediate]
    return named[len(named) // 2]


def test_layers_maps_and_objectives(classifier):
    layers = classifier.layers()
    probe = middle(layers)
    assert probe.shape == NETWORKS[classifier.name][2]
    side = classifier.input_size_px
    images = torch.rand(2, 3, side, side, generator=Generator().manual_seed(0))
    with torch.no_grad():
        read = classifier.read(images, [layer.name for layer in layers])
        maps = classifier.maps(images, probe.name)
    assert {name: tuple(read[name].shape[1:]) for name in read} == {
        layer.name: layer.shape for layer in layers
    }
    assert maps.shape[:2] == (2, probe.shape[0])
    assert maps.shape[2] == maps.shape[3] == int(maps[0, 0].numel() ** 0.5) > 1
    assert layers[-1].name == OUTPUT and layers[-1].shape == (7,)
    assert_rising(classifier, [logit(3), channel(probe.name, 5)])


def assert_rising(classifier, objectives):
    """A few steps make an image worth more than where it began, by more than images differ."""
    quick = {"transforms": "none", "size_px": 48, "learning_rate": 0.01, "progress": False}
    made = render(classifier, objectives, "lucid", steps=8, precision="float32", **quick)
    for objective, end in zip(objectives, made, strict=True):
        starts = render(classifier, [objective] * 4, "lucid", steps=1, precision="float32", **quick)
        values = torch.cat([start.trace for start in starts])
        assert end.trace[-1] > values.max() + values.std(), f"{objective} of {classifier.name}"
