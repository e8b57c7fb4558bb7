"""A network is taken as it is: frozen, read without a trace, named and weighed exactly."""

from __future__ import annotations

import csv
from collections import OrderedDict

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from maco import OUTPUT, Classifier, channel
from maco.images import read_image


class Labelled(nn.Module):
    """A network of 1,000 classes that weighs nothing."""

    def forward(self, images):
        return images.mean((1, 2, 3))[:, None].expand(-1, 1000)


@pytest.fixture(scope="module")
def imagenet():
    return Classifier(Labelled(), name="thousand", input_size_px=8)


def images(count=2, height=24, width=24):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def hooks_of(classifier):
    modules = classifier.network.modules()
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)


def test_the_network_is_frozen_and_in_evaluation_mode(seeded):
    network = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.BatchNorm2d(4)))
    assert network.training
    classifier = Classifier(
        nn.Sequential(network, nn.Flatten(), nn.Linear(144, 3)), name="n", input_size_px=8
    )
    before = classifier.weights_digest()
    assert not any(module.training for module in classifier.network.modules())
    assert not any(weight.requires_grad for weight in classifier.network.parameters())
    assert torch.equal(classifier(images()), classifier(images()))
    again = Classifier(classifier.network, name="n", input_size_px=8)
    assert again.weights_digest() == before  # the running statistics too


def test_it_owns_size_mean_and_spread():
    network = nn.Flatten()
    classifier = Classifier(
        network, name="n", input_size_px=4, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1)
    )
    grey = torch.full((1, 3, 4, 4), 0.6)
    expected = torch.tensor([1.0, 1.6, 0.3]).repeat_interleave(16)[None]
    torch.testing.assert_close(classifier(grey), expected)
    given = images(1, 11, 7)
    resized = F.interpolate(given, (4, 4), mode="bilinear", antialias=True)
    torch.testing.assert_close(classifier(given), classifier(resized))


@pytest.mark.parametrize("shape", [(24, 24), (100, 37), (9, 9), (300, 300)])
def test_images_of_any_size_are_taken(tiny, shape):
    output = tiny(images(2, *shape))
    assert output.shape == (2, 5)
    assert output.isfinite().all()


@pytest.mark.parametrize(
    "expected",
    [{"mean": (0.5, 0.5)}, {"std": (1, 1, 0)}, {"input_size_px": 0}],
)
def test_impossible_expectations(expected):
    with pytest.raises(ValueError, match="must be"):
        Classifier(nn.Flatten(), name="n", **{"input_size_px": 8, **expected})


def test_read_gives_activations_by_layer_name(tiny):
    given = images(2)
    read = tiny.read(given, ["conv1", "pool"])
    assert set(read) == {"conv1", "pool", OUTPUT}
    assert torch.equal(read[OUTPUT], tiny(given))
    assert torch.equal(read["conv1"], tiny.network.conv1(tiny.prepare(given)))
    assert read["pool"].shape == (2, 12, 1, 1)
    assert set(tiny.read(given, [])) == set(tiny.read(given, [OUTPUT])) == {OUTPUT}


def test_what_comes_before_an_inplace_relu_is_not_changed_by_it(tiny):
    read = tiny.read(images(), ["conv1", "act1"])
    assert (read["conv1"] < 0).any()
    torch.testing.assert_close(read["act1"], read["conv1"].relu())
    given = images().requires_grad_()
    (gradient,) = torch.autograd.grad(tiny.read(given, ["conv1"])["conv1"].sum(), given)
    assert gradient.abs().sum() > 0


def test_no_hook_outlives_a_call(tiny):
    tiny.read(images(), ["conv1", "act2"])
    assert hooks_of(tiny) == 0
    with pytest.raises(ValueError, match="no layer"):
        tiny.read(images(), ["conv1", "zzz"])
    assert hooks_of(tiny) == 0
    with pytest.raises(RuntimeError):
        tiny.read(torch.rand(2, 5, 24, 24), ["conv1"])
    assert hooks_of(tiny) == 0


@pytest.mark.parametrize("layers", [["unused"], ("unused",), iter(["unused"])])
def test_layers_that_cannot_be_read(layers):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.pair, self.unused = nn.ReLU(), Pair(), nn.ReLU()

        def forward(self, x):
            return self.pair(self.twice(self.twice(x)))[0].flatten(1)

    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    classifier = Classifier(Odd(), name="odd", input_size_px=8)
    with pytest.raises(ValueError, match="odd does not run layer 'unused'"):
        classifier.read(images(), layers)
    with pytest.raises(ValueError, match="odd runs layer 'twice' more than once"):
        classifier.read(images(), ["twice"])
    with pytest.raises(ValueError, match="'pair' of odd gives no single tensor"):
        classifier.read(images(), ["pair"])
    assert hooks_of(classifier) == 0


def test_unknown_layers_are_answered_with_the_nearest_names(tiny):
    with pytest.raises(ValueError, match=r"tiny has no layer 'conv3'; did you mean .*conv2"):
        tiny.read(images(), ["conv3"])


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("Nile crocodile", 49),
        ("nile_crocodile", 49),
        ("African crocodile", 49),
        ("peacock", 84),
        ("Kerry blue terrier", 183),
        ("giant schnauzer", 197),
        ("hotdog", 934),
        ("Loafer", 630),
        ("n01608432", 21),
        ("84", 84),
        (999, 999),
    ],
)
def test_classes_by_synonym_wnid_and_index(imagenet, wanted, index):
    assert imagenet.class_index(wanted) == index


def test_class_names_that_name_no_class_or_two(imagenet):
    with pytest.raises(ValueError, match=r"'crane' names classes \[134, 517\]"):
        imagenet.class_index("crane")
    with pytest.raises(ValueError, match=r"no class 'peacok'; did you mean peacock"):
        imagenet.class_index("peacok")
    for index in (1000, -1):
        with pytest.raises(ValueError, match=f"no class {index}: 0 to 999"):
            imagenet.class_index(index)


def test_labels_of_ones_own(tiny):
    assert tiny.classes == 5
    assert tiny.class_labels == ("class 0", "class 1", "class 2", "class 3", "class 4")
    own = Classifier(
        tiny.network, name="own", input_size_px=24, labels=["a", "b", "c", "crane", "e"]
    )
    assert own.class_index("Crane") == 3
    with pytest.raises(ValueError, match="no class 'n01608432'"):
        own.class_index("n01608432")


def small_network():
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 3), norm=nn.BatchNorm2d(2)))


def test_the_digest_is_of_every_weight(seeded):
    def digest(network):
        return Classifier(network, name="n", input_size_px=8).weights_digest()

    network = seeded(small_network(), 3)
    first = digest(network)
    assert first == digest(seeded(small_network(), 3))
    assert len(first) == 64
    with torch.no_grad():
        network.conv.weight[1, 2, 0, 0] += 1e-6
    assert digest(network) != first
    other = seeded(small_network(), 3)
    other.norm.running_mean += 1
    assert digest(other) != first


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("vgg11", "features.18", (512, 2, 2)),
        ("resnet50", "layer3.1.conv2", (256, 2, 2)),
        ("vit_tiny_patch16_224", "blocks.5.mlp.fc1", (768, 5)),
    ],
)
def test_the_papers_kinds_of_network_can_be_read_by_layer(name, layer, shape):
    options = {"vgg11": {"mlp_ratio": 0.05}, "resnet50": {}}.get(name, {"img_size": 32})
    network = timm.create_model(name, num_classes=7, **options)
    classifier = Classifier(network, name=name, input_size_px=32)
    with torch.no_grad():
        read = classifier.read(images(2, 40, 40), [layer])
    assert read[layer].shape == (2, *shape)
    assert channel(layer, 250)(read).shape == (2,)
    assert classifier.classes == 7


HALF = (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "file", "options", "normalisation"),
    [
        ("torchvision/squeezenet1_1", "squeezenet1_1", {}, {}),
        ("mobilenetv2_100", "mobilenetv2_100", {"pad_type": "same"}, {"mean": HALF, "std": HALF}),
        ("vit_tiny_patch16_224", "vit_tiny_patch16_224", {}, {}),
    ],
)
def test_real_networks_see_what_is_in_photographs(name, file, options, normalisation, shared_data):
    weights = shared_data / "weights" / f"{file}.fp16.safetensors"
    classifier = Classifier.load(name, weights=weights, options=options, **normalisation)
    assert classifier.input_size_px == 224
    folder = shared_data / "imagenet_sample"
    with (folder / "index.csv").open() as table:
        rows = list(csv.DictReader(table))[::25]
    photographs = [read_image(folder / row["file"])[None] for row in rows]
    with torch.no_grad():
        guesses = [int(classifier(photograph).argmax()) for photograph in photographs]
    wanted = [classifier.class_index(row["wnid"]) for row in rows]
    assert wanted == [int(row["class_index"]) for row in rows]
    right = sum(guess == index for guess, index in zip(guesses, wanted, strict=True))
    assert right / len(rows) >= 0.6
