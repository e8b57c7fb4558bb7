"""Pooled features, and which layers are read."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from maco import OUTPUT, Classifier
from maco.metrics.features import default_layers, pooled_features


def images(count, *sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(3, *(sizes or (24, 24)), generator=generator) for _ in range(count)]


def test_features_are_the_mean_over_places_and_vectors_stay(tiny):
    pictures = images(5)
    done = []
    found = pooled_features(tiny, pictures, ["conv1", OUTPUT], batch=2, progress=done.append)
    read = tiny.read(torch.stack(pictures), ["conv1"])
    torch.testing.assert_close(found["conv1"], read["conv1"].mean((2, 3)))
    torch.testing.assert_close(found[OUTPUT], read[OUTPUT])
    assert done == [2, 2, 1]
    assert not found[OUTPUT].requires_grad


def test_a_photograph_counts_by_its_central_square(tiny):
    [wide] = images(1, 24, 50)
    found = pooled_features(tiny, [wide, wide[:, :, 13:37]], ["conv2"])["conv2"]
    torch.testing.assert_close(found[0], found[1])


def test_a_tensor_of_images_is_as_good_as_a_list(tiny):
    pictures = images(3)
    one = pooled_features(tiny, torch.stack(pictures), ["conv2"])["conv2"]
    torch.testing.assert_close(one, pooled_features(tiny, iter(pictures), ["conv2"])["conv2"])


def test_no_image_and_no_layer_are_refused(tiny):
    with pytest.raises(ValueError, match="no image"):
        pooled_features(tiny, [], ["conv1"])
    with pytest.raises(ValueError, match="no layer"):
        pooled_features(tiny, images(1), [])


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("vit_tiny_patch16_224", tuple(f"blocks.{block}" for block in range(6, 12))),
        ("mobilenetv2_100", ("blocks.2", "blocks.4", "blocks.6")),
        ("resnet18", ("layer2", "layer3", "layer4")),
        ("torchvision/squeezenet1_1", tuple(f"features.{fire}" for fire in (7, 9, 10, 11, 12))),
        ("torchvision/resnet18", ("layer2", "layer3", "layer4")),
    ],
)
def test_the_later_half_of_a_network_is_read(name, layers):
    classifier = from_nothing(name)
    assert default_layers(classifier) == layers


def test_the_default_layers_of_a_network_without_names_can_be_read(tiny):
    assert default_layers(tiny) == ("conv2",)
    assert pooled_features(tiny, images(2), default_layers(tiny))["conv2"].shape == (2, 12)


def from_nothing(name):
    """A network with random weights at a small size."""
    import timm
    import torchvision

    if name.startswith("torchvision/"):
        network = torchvision.models.get_model(name.split("/")[1], weights=None)
        return Classifier(network, name=name, input_size_px=64)
    options = {"img_size": 64} if name.startswith("vit") else {}
    network = timm.create_model(name, **options)
    return Classifier(network, name=name, input_size_px=64)


def test_a_block_without_weights_or_a_linear_one_is_no_layer():
    blocks = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)]
    body = nn.Sequential(*blocks, nn.Conv2d(4, 4, 3))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    network = nn.Sequential(OrderedDict(body=body, head=head))
    classifier = Classifier(network, name="own", input_size_px=16)
    assert default_layers(classifier) == ("body.3", "body.4")
