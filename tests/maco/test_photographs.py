"""Photographs by class: folders and index files as labs have them."""

from __future__ import annotations

import pytest
import torch

from maco import Classifier
from maco.images import encode_png, read_image
from maco.photographs import find_photographs, read_square

LABELS = ("hen, biddy", "great white shark", "tench", "ostrich", "jay")


@pytest.fixture
def network(tiny):
    return Classifier(tiny.network, name="tiny", input_size_px=24, labels=LABELS)


@pytest.fixture
def put(tmp_path):
    """put("hen/1.png"): a photograph at that place of the folder."""

    generator = torch.Generator().manual_seed(0)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(torch.rand(3, 40, 48, generator=generator)))
        return tmp_path

    return make


def relative(found, folder):
    return {
        index: [path.relative_to(folder).as_posix() for path in paths]
        for index, paths in found.items()
    }


def test_a_folder_a_class_named_by_label_synonym_or_index(put, network):
    folder = put(
        "Great_White-Shark/b.png", "Great_White-Shark/deep/a.png", "biddy/1.png", "4/x.png"
    )
    (folder / "biddy" / "notes.txt").write_text("not an image")
    put("holiday/1.png")  # of no class: left alone
    found = find_photographs(folder, network, [1, 0, 4])
    assert relative(found, folder) == {
        1: ["Great_White-Shark/b.png", "Great_White-Shark/deep/a.png"],
        0: ["biddy/1.png"],
        4: ["4/x.png"],
    }
    assert list(find_photographs(folder, network)) == [0, 1, 4]


@pytest.mark.parametrize(("column", "value"), [("class_index", "2"), ("label", "tench")])
def test_an_index_file_names_the_files_of_each_class_in_its_order(put, network, column, value):
    folder = put("z.png", "a.png", "other.png")
    rows = [f"file,{column}", f"z.png,{value}", "other.png,jay", f"a.png,{value}"]
    if column == "class_index":
        rows[2] = "other.png,4"
    (folder / "index.csv").write_text("\n".join(rows))
    found = find_photographs(folder, network, [2])
    assert relative(found, folder) == {2: ["z.png", "a.png"]}


def test_imagenet_folders_by_wnid(put, seeded):
    head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 1000))
    network = Classifier(seeded(head), name="thousand", input_size_px=8)
    folder = put("n01514859/1.png", "n01440764/1.png")
    assert list(find_photographs(folder, network, [8])) == [8]


def test_a_class_without_photographs_is_named_beside_what_is_there(put, network):
    folder = put("hen/1.png", "tench/1.png")
    with pytest.raises(ValueError, match=r"no photographs of ostrich \(class 3 of tiny\): it has"):
        find_photographs(folder, network, [0, 3])
    (folder / "jay").mkdir()
    with pytest.raises(ValueError, match=r"no photographs of jay .* it has hen, tench"):
        find_photographs(folder, network, [4])


def test_photographs_for_another_network_are_refused(put, network):
    folder = put("2/1.png", "731/1.png")
    with pytest.raises(ValueError, match="class 731, so it is for another network"):
        find_photographs(folder, network, [2])
    other = put("cats/1.png")
    (other / "index.csv").write_text("file,label\ncats/1.png,cats")
    with pytest.raises(ValueError, match="has no class of tiny: it has cats"):
        find_photographs(other, network)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("file,label\ngone.png,hen", "has no file gone.png, which index.csv lists"),
        ("image,label\nhen/1.png,hen", "needs a column file"),
        ("file,label\nhen/1.png,", "line 2: give a file and its label"),
    ],
)
def test_index_files_that_cannot_be_used(put, network, index, message):
    folder = put("hen/1.png")
    (folder / "index.csv").write_text(index)
    with pytest.raises(ValueError, match=message):
        find_photographs(folder, network, [0])


def test_no_folder_and_a_folder_without_classes(put, network, tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        find_photographs(tmp_path / "none", network, [0])
    with pytest.raises(ValueError, match=r"no folder for each class .* and no index\.csv"):
        find_photographs(put("loose.png"), network, [0])


def test_the_central_square_at_a_size(put):
    path = put("hen/1.png") / "hen" / "1.png"
    image = read_image(path)
    assert torch.equal(read_square(path, 40), image[:, :, 4:44])
    assert read_square(path, 24).shape == (3, 24, 24)
    with pytest.raises(ValueError, match="at least 64 px"):
        read_square(path, 24, smallest_px=64)


def test_the_real_set(shared_data, seeded):
    head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 1000))
    network = Classifier(seeded(head), name="thousand", input_size_px=8)
    found = find_photographs(shared_data / "imagenet_18", network)
    assert len(found) == 18
    assert len(found[8]) == 28
