"""Networks come by name, with weights of the hub or of a file, or with a clear line why not."""

from __future__ import annotations

import ast
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import maco
from maco import Classifier
from maco.classifiers import check_device
from maco.construction import construct, intermediates
from maco.weights import load_weights


def test_unknown_networks_are_answered_with_the_nearest_names():
    with pytest.raises(
        ValueError, match=r"timm has no network 'resnet_18'; did you mean .*resnet18"
    ):
        Classifier.load("resnet_18")
    with pytest.raises(
        ValueError, match=r"torchvision has no network 'vgg_16'; did you mean .*vgg16"
    ):
        Classifier.load("torchvision/vgg_16")
    with pytest.raises(ValueError, match="resnet18 cannot be built with options"):
        Classifier.load("resnet18", options={"colour": "red"}, weights="none.pth")


def test_unknown_pretrained_tags_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"resnet18\.a1_in1k"):
        Classifier.load("resnet18.mine")


def test_networks_are_known_by_name():
    network, expected = construct("test_vit", options={"num_classes": 3})
    assert expected.input_size_px == 160
    assert intermediates(network) == {f"blocks.{block}" for block in range(6)}
    assert intermediates(nn.Flatten()) == set()


def test_one_file_knows_timm_and_torchvision():
    package = Path(maco.__file__).parent
    knowing = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if isinstance(node, ast.Import | ast.ImportFrom) and any(
                name.split(".")[0] in {"timm", "torchvision"} for name in names
            ):
                knowing.add(file.relative_to(package).as_posix())
    assert knowing == {"construction.py"}


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "vga"])
def test_devices_that_are_not_there(device):
    with pytest.raises(ValueError, match=device):
        check_device(device)
    with pytest.raises(ValueError, match=device):
        Classifier.load("resnet18", weights="none.pth", device=device)


def test_auto_is_a_device_that_is_there():
    assert check_device("auto").type in {"cpu", "cuda"}


def small_network():
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 3), norm=nn.BatchNorm2d(2)))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize("half", [False, True])
def test_weights_come_from_files(tmp_path, suffix, half, seeded):
    source = seeded(small_network(), 3)
    state = {
        k: v.half() if half and v.is_floating_point() else v for k, v in source.state_dict().items()
    }
    file = tmp_path / f"weights.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, file)
    network = small_network()
    load_weights(network, file, "small")
    for key, value in network.state_dict().items():
        assert value.dtype == source.state_dict()[key].dtype
        torch.testing.assert_close(value, state[key].to(value.dtype), rtol=0, atol=0)


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_training_checkpoints_are_unwrapped(tmp_path, wrapper, seeded):
    source = seeded(small_network(), 3)
    file = tmp_path / "checkpoint.pth"
    torch.save({wrapper: source.state_dict(), "epoch": 9}, file)
    network = small_network()
    load_weights(network, file, "small")
    assert torch.equal(network.conv.weight, source.conv.weight)


def test_weights_that_do_not_fit(tmp_path):
    state = small_network().state_dict()
    file = tmp_path / "w.safetensors"
    del state["conv.bias"]
    state["head.weight"] = torch.zeros(3)
    state["norm.weight"] = torch.zeros(5)
    save_file(state, file)
    network = small_network()
    before = network.conv.weight.clone()
    with pytest.raises(ValueError, match="do not fit small") as caught:
        load_weights(network, file, "small")
    message = str(caught.value)
    assert "1 missing (such as conv.bias)" in message
    assert "1 unknown (such as head.weight)" in message
    assert "1 of another shape (such as norm.weight)" in message
    assert str(file) in message
    assert torch.equal(network.conv.weight, before)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x02garbage" * 9])
def test_files_that_are_no_weights(tmp_path, suffix, content):
    file = tmp_path / f"w.{suffix}"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"w\.{suffix} is no weights file"):
        load_weights(small_network(), file, "small")


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="there is no weights file"):
        load_weights(small_network(), tmp_path / "none.pth", "small")
    with pytest.raises(ValueError, match="there is no weights file"):
        load_weights(small_network(), tmp_path, "small")


class Touch:
    """What a hostile pickle does when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_weights_runs_no_code(tmp_path, zipped):
    file, trace = tmp_path / "w.pth", tmp_path / "ran"
    if zipped:
        torch.save({"conv.weight": Touch(trace)}, file)
    else:
        file.write_bytes(pickle.dumps(Touch(trace)))
    with pytest.raises(ValueError, match="is no weights file"):
        load_weights(small_network(), file, "small")
    assert not trace.exists()


@pytest.mark.parametrize("error", [OSError, ConnectionError])
def test_a_hub_out_of_reach_is_one_clear_line(monkeypatch, error):
    def unreachable(name, pretrained, **options):
        assert pretrained
        raise error("no route to host\nand forty lines more")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(ValueError, match="could not be fetched") as caught:
        Classifier.load("resnet18")
    message = str(caught.value)
    assert message.startswith("the weights of resnet18")
    assert "no route to host" in message
    assert "give a file with weights" in message
    assert "\n" not in message


def test_weights_of_a_file_need_no_hub(monkeypatch, tmp_path):
    build = timm.create_model
    asked = []

    def offline(name, pretrained, **options):
        asked.append(pretrained)
        return build(name, pretrained=pretrained, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    options = {"num_classes": 3}
    file = tmp_path / "w.safetensors"
    network = build("test_resnet", **options)
    save_file(network.state_dict(), file)
    classifier = Classifier.load(
        "test_resnet", weights=file, options=options, labels=("cat", "dog", "emu")
    )
    assert asked == [False]
    assert classifier.class_index("emu") == 2
    grey = torch.full((1, 3, 160, 160), 0.4)
    torch.testing.assert_close(classifier(grey), network.eval()(classifier.prepare(grey)))
