"""A name on the command line becomes the right network, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from maco.networks import load_network, read_networks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    network = timm.create_model("test_vit", num_classes=3)
    save_file(network.state_dict(), folder / "small.safetensors")
    (folder / "labels.txt").write_text("hen\njay\n\nowl\n")
    return folder


def table(folder, text):
    path = folder / "networks.toml"
    path.write_text(text)
    return path


ENTRY = """
[[networks]]
name = "ViT"
model = "test_vit"
weights = "small.safetensors"
options = { num_classes = 3 }
mean = [0.4, 0.4, 0.4]
labels = "labels.txt"
"""


def test_a_network_of_a_table_has_its_name_weights_and_labels(folder):
    classifier = load_network("ViT", networks=table(folder, ENTRY), device="cpu")
    assert (classifier.name, classifier.classes) == ("ViT", 3)
    assert classifier.class_labels == ("hen", "jay", "owl")
    assert classifier.mean == (0.4, 0.4, 0.4)


def test_a_name_outside_the_table_is_a_model(folder):
    path = table(folder, ENTRY)
    with pytest.raises(ValueError, match=r"no network 'ViTs'.*networks\.toml has ViT$"):
        load_network("ViTs", networks=path)
    with pytest.raises(ValueError, match=r"small\.safetensors do not fit test_vit"):
        load_network("test_vit", networks=path, weights=folder / "small.safetensors")


def test_a_study_file_is_a_table_of_networks():
    listed = read_networks(Path(__file__).parents[2] / "stimuli" / "studies" / "fel2023.toml")
    assert [entry["model"].split(".")[0] for entry in listed.values()][:2] == ["vgg16", "resnet50"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 3 4", r"not valid TOML"),
        ("title = 'x'", r"has no \[\[networks\]\]"),
        ("[[networks]]\nname = 'a'", r"needs a name and a model"),
        ("[[networks]]\nname = 'a'\nmodel = 'b'\nweight = 'c'", r"key 'weight'; did you mean weig"),
        (2 * "[[networks]]\nname = 'a'\nmodel = 'b'\n", r"two networks are named 'a'"),
        ("[[networks]]\nname = 'a'\nmodel = 'b'\nlabels = 'no.txt'", r"no\.txt cannot be read"),
    ],
)
def test_tables_that_cannot_be_read(folder, text, message):
    with pytest.raises(ValueError, match=message):
        read_networks(table(folder, text))


def test_what_is_wrong_with_a_network_is_said_with_its_name(folder):
    path = table(folder, ENTRY.replace("num_classes = 3", "num_classes = 4"))
    with pytest.raises(ValueError, match=r"network ViT: .*do not fit"):
        load_network("ViT", networks=path)
    with pytest.raises(ValueError, match=r"leave --weights out"):
        load_network("ViT", networks=path, weights=folder / "small.safetensors")
    with pytest.raises(ValueError, match=r"none\.toml cannot be read"):
        load_network("ViT", networks=folder / "none.toml")
