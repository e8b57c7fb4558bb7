"""python -m maco.concepts: a folder of photographs in, a record and pictures out."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from maco import Visualization
from maco.concepts.__main__ import main
from maco.concepts.sheet import Row, draw_sheet
from maco.images import encode_png, read_image


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photographs of two classes, and the weights of a small network of ImageNet's classes."""
    folder = tmp_path_factory.mktemp("place")
    generator = torch.Generator().manual_seed(0)
    for name in ("hen/a", "hen/b", "jay/a", "jay/b", "tench/only"):
        path = folder / "photographs" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = torch.rand(1, 3, 8, 10, generator=generator)
        path.write_bytes(encode_png(torch.nn.functional.interpolate(small, (64, 80))[0]))
    save_file(timm.create_model("test_resnet").state_dict(), folder / "small.safetensors")
    return folder


def run(place, out, *more):
    fixed = ["--model", "test_resnet", "--weights", place / "small.safetensors", "--device", "cpu"]
    fixed += ["--images", place / "photographs", "--out", out, "--rows", 2, "--patches", 4]
    fixed += ["--steps", 1, "--size", 32, "--concepts", 2]
    return CliRunner().invoke(main, [str(word) for word in (*fixed, *more)])


def test_concepts_of_two_classes_and_running_it_again(place, tmp_path):
    result = run(place, tmp_path, "--class", "hen", "jay")
    assert result.exit_code == 0, result.output
    assert "2 classes done, 0 were there" in result.output
    folder = tmp_path / "test_resnet" / "hen-8"
    record = json.loads((folder / "concepts.json").read_text())
    assert (record["network"], record["label"], record["class_index"]) == ("test_resnet", "hen", 8)
    importance = [concept["importance"] for concept in record["concepts"]]
    assert importance == sorted(importance, reverse=True)
    for index, concept in enumerate(record["concepts"]):
        assert (concept["index"], concept["visualization"]) == (index, f"concept-{index}")
        low, high = concept["importance_interval"]
        assert low <= concept["importance"] <= high
        made = Visualization.load(folder / concept["visualization"])
        assert made.config["objective"].startswith(f"direction({record['layer']!r}")
        for patch in concept["patches"]:
            left, top, side = patch["box_px"]
            source = read_image(place / "photographs" / "hen" / patch["source"])
            shown = read_image(folder / patch["image"])
            assert torch.equal(source[:, top : top + side, left : left + side], shown)
        for heatmap in concept["heatmaps"]:
            assert read_image(folder / heatmap["image"]).shape == (3, 160, 160)
    assert read_image(folder / "concepts.png").shape[0] == 3
    (folder / "concepts.json").unlink()
    again = run(place, tmp_path, "--class", "hen", "jay")
    assert "1 classes done, 1 were there" in again.output
    assert json.loads((folder / "concepts.json").read_text()) == record
    other = run(place, tmp_path, "--class", "jay", "--seed", 4)
    assert other.exit_code == 1
    assert "made by another configuration" in other.output


def test_without_pictures(place, tmp_path):
    result = run(place, tmp_path, "--class", "hen", "--no-render")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "test_resnet" / "hen-8"
    record = json.loads((folder / "concepts.json").read_text())
    assert [concept["visualization"] for concept in record["concepts"]] == [None, None]
    assert not list(folder.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class", "ostrich"], "no photographs of ostrich (class 9 of test_resnet): it has"),
        (["--class", "henn"], "did you mean hen"),
        (["--class", "tench"], "1 photographs of class 0: at least 2 are needed"),
        (["--class", "hen", "--concepts", 40], "40 concepts of 4 patches"),
        (["--class", "hen", "--layer", "fc"], "has no places in the image"),
        (["--class", "hen", "--rows", 3], "give a power of 2"),
    ],
)
def test_requests_that_cannot_be_met(place, tmp_path, arguments, message):
    result = run(place, tmp_path / "out", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_a_sheet_draws_bars_in_proportion_and_leaves_out_what_is_not_there(tmp_path):
    grey = torch.full((3, 20, 20), 0.5)
    rows = [Row(0.8, (0.7, 0.9), None, [grey], [grey]), Row(0.4, (0.3, 0.5), grey, [], [])]
    (tmp_path / "sheet.png").write_bytes(draw_sheet("hen", "a network", rows))
    sheet = read_image(tmp_path / "sheet.png")
    amber = (sheet[0] - sheet[2] > 0.5).sum(1)
    upper, lower = amber[: len(amber) // 2].max(), amber[len(amber) // 2 :].max()
    assert int(upper) == pytest.approx(2 * int(lower), abs=3)
    assert upper > 100
