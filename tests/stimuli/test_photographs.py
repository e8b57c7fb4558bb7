"""Base images: which ones, whose, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from maco.images import ImageError
from stimuli.photographs import Pool, candidates, is_right, order_files
from stimuli.study_tables import Channel
from stimuli.units import find_unit

SIDE_PX = 40


def picture(redness: int, size=(SIDE_PX, SIDE_PX)) -> Image.Image:
    """Grey with a red patch of a quarter of the side, `redness` strong."""
    pixels = np.full((size[1], size[0], 3), 110, dtype=np.uint8)
    pixels[5:15, 5:15] = (min(255, 110 + redness), 20, 20)
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path):
    """Two classes: "red" of growing redness, of which the first is none, and "not"."""
    for name in ("red", "not"):
        (tmp_path / name).mkdir()
    for number, redness in enumerate((0, 120, 130, 140, 145)):
        picture(redness).save(tmp_path / "red" / f"{number}.png")
    picture(0).save(tmp_path / "not" / "0.png")
    return tmp_path


@pytest.fixture
def choose(folder, red_detector):
    networks = {"red": red_detector}
    unit = find_unit("red", networks)

    def choose(how, *, seed=0, pool=None):
        pool = pool or Pool(folder, None, SIDE_PX)
        files = order_files(pool, [unit], how, networks, np.random.default_rng(seed))
        chosen = candidates(pool, files[unit.key], unit, how, networks)
        return [photograph.source for photograph in chosen]

    return choose


def test_in_order_goes_by_name(choose):
    assert choose("in_order") == [f"red/{number}.png" for number in range(5)]


def test_random_depends_on_the_seed_alone(choose):
    assert len({tuple(choose("random", seed=seed)) for seed in range(6)}) > 1
    assert choose("random", seed=3) == choose("random", seed=3)


def test_correct_takes_only_what_the_network_gets_right(choose, red_detector, folder):
    assert sorted(choose("correct")) == [f"red/{number}.png" for number in (1, 2, 3, 4)]
    assert choose("correct") != sorted(choose("correct"))
    wrong = Pool(folder, None, SIDE_PX).read(folder / "red" / "0.png")
    assert is_right(red_detector, find_unit("not", {"red": red_detector}), wrong.pixels)


def test_activation_takes_the_highest_first(choose):
    assert choose("activation") == [f"red/{number}.png" for number in (4, 3, 2, 1, 0)]


def test_an_index_file_names_files_and_classes(choose, folder):
    (folder / "index.csv").write_text("file,class\nnot/0.png,1\nred/3.png,red\nred/1.png,0\n")
    pool = Pool(folder, "index.csv", SIDE_PX)
    assert choose("in_order", pool=pool) == ["red/3.png", "red/1.png"]
    (folder / "index.csv").write_text("file,class\nred/9.png,0\n")
    with pytest.raises(ValueError, match=r"index.csv, line 2: there is no file"):
        choose("in_order", pool=pool)
    (folder / "index.csv").write_text("picture,kind\n")
    with pytest.raises(ValueError, match="needs a column file and one of class"):
        choose("in_order", pool=pool)
    with pytest.raises(ValueError, match=r"there is no file .*other.csv"):
        choose("in_order", pool=Pool(folder, "other.csv", SIDE_PX))


def test_a_class_without_images_is_named(choose, folder, red_detector):
    for path in (folder / "red").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="holds no image"):
        choose("in_order")
    (folder / "red").rmdir()
    with pytest.raises(ValueError, match="no images of red"):
        choose("in_order")


def test_channels_draw_from_the_whole_folder(folder, red_detector):
    networks = {"red": red_detector}
    units = [find_unit(Channel(layer="answers", index=at), networks) for at in (0, 1)]
    pool = Pool(folder, None, SIDE_PX)
    files = order_files(pool, units, "activation", networks, np.random.default_rng(0))
    red, other = (files[unit.key] for unit in units)
    assert {path.parent.name for path in red} == {"red", "not"}
    assert red[0] == folder / "red" / "4.png"
    assert other[0].name == "0.png" and sorted(other) == sorted(red)


def test_ranking_reads_each_photograph_once_and_keeps_none(folder, red_detector, monkeypatch):
    networks = {"red": red_detector}
    units = [find_unit(Channel(layer="answers", index=at), networks) for at in (0, 1)]
    pool = Pool(folder, None, SIDE_PX)
    reads, read = [], pool.read
    monkeypatch.setattr(pool, "read", lambda path: reads.append(path) or read(path))
    order_files(pool, units, "activation", networks, np.random.default_rng(0))
    assert sorted(reads) == pool.all_files()


def test_the_central_square_at_the_study_size(tmp_path):
    pixels = np.zeros((100, 160, 3), dtype=np.uint8)
    pixels[:, 30:130] = 200  # the central square
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    photograph = Pool(tmp_path, None, SIDE_PX).read(tmp_path / "wide.png")
    assert photograph.pixels.shape == (3, SIDE_PX, SIDE_PX)
    assert photograph.pixels.dtype == torch.uint8
    assert (photograph.pixels == 200).all()


def test_a_photograph_that_is_too_small_is_refused(tmp_path):
    picture(0, size=(39, 80)).save(tmp_path / "small.png")
    with pytest.raises(ImageError, match=r"small.png is 39 x 80 px: at least 40 px"):
        Pool(tmp_path, None, SIDE_PX).read(tmp_path / "small.png")


def test_a_class_is_found_by_label_index_and_in_every_network(red_detector):
    assert find_unit("RED", {"a": red_detector}).key == "class:0"
    assert find_unit(1, {"a": red_detector}).unit.label == "not"
    with pytest.raises(ValueError, match="did you mean red"):
        find_unit("reds", {"a": red_detector})
