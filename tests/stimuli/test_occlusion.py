"""The occluder sweep: places, colours and activations are those of the image a participant sees."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from maco import Classifier, channel, logit
from stimuli.occlusion import (
    activations,
    blur,
    corners,
    fill_colours,
    occlude,
    sweep,
)


def test_places_of_the_original_study():
    # Zimmermann et al. 2021: 40 % of 224 px in steps of 2 gives 68 x 68 places.
    assert len(corners(224, 90, 2)) ** 2 == 4624
    assert corners(224, 90, 2)[0] == 0
    assert corners(224, 90, 2)[-1] == 134
    assert corners(10, 10, 3).tolist() == [0]


@pytest.mark.parametrize(("side", "size", "stride"), [(10, 11, 1), (10, 0, 1), (10, 4, 0)])
def test_impossible_occluders_are_refused(side, size, stride):
    with pytest.raises(ValueError, match=r"occluder|stride_px"):
        corners(side, size, stride)


def test_a_square_is_hidden_behind_its_own_mean_colour(red_square):
    hidden = occlude(red_square, x_px=18, y_px=5, size_px=12)
    inside = hidden[:, 5:17, 18:30]
    expected = red_square[:, 5:17, 18:30].double().mean((1, 2)).round()
    assert torch.equal(inside, expected.to(torch.uint8)[:, None, None].expand_as(inside))
    untouched = torch.ones(40, 48, dtype=torch.bool)
    untouched[5:17, 18:30] = False
    assert torch.equal(hidden[:, untouched], red_square[:, untouched])


def test_x_runs_right_and_y_runs_down(red_square):
    """On a wide image a swapped pair of coordinates would land elsewhere, or outside."""
    hidden = occlude(red_square, x_px=36, y_px=0, size_px=12, fill="grey")
    assert (hidden[:, :12, 36:] == 128).all()
    with pytest.raises(ValueError, match="not inside"):
        occlude(red_square, x_px=0, y_px=36, size_px=12)


def test_blur_leaves_colour_and_takes_detail(red_square):
    hidden = occlude(red_square, 0, 18, 20, fill="blur")[:, 18:38, :20].double()
    before = red_square[:, 18:38, :20].double()
    assert hidden[1].std() < 0.3 * before[1].std()
    assert torch.allclose(hidden.mean((1, 2)), before.mean((1, 2)), atol=3)
    assert torch.allclose(blur(torch.full((1, 9, 9), 3.0), 2.0), torch.tensor(3.0))


def test_unknown_fill_is_refused(red_detector, red_square):
    with pytest.raises(ValueError, match="'black': mean, grey, blur"):
        occlude(red_square, 0, 0, 5, fill="black")
    with pytest.raises(ValueError, match="'black'"):
        sweep(red_detector, logit(0), red_square, size_px=8, stride_px=4, fill="black")


@pytest.mark.parametrize("fill", ["mean", "grey", "blur"])
def test_every_activation_is_that_of_the_stored_query(red_detector, red_square, fill):
    map_ = sweep(red_detector, logit(0), red_square, size_px=11, stride_px=3, fill=fill)
    assert map_.values.shape == (len(range(0, 30, 3)), len(range(0, 38, 3)))
    for index in (0, 7, 63, map_.values.numel() - 1):
        query = occlude(red_square, *map_.place(index), 11, fill)
        answer = activations(red_detector, logit(0), query[None])[0]
        assert map_.values.flatten()[index] == pytest.approx(float(answer), abs=1e-6)


@pytest.mark.parametrize("columns", [40, 48], ids=["fed as it is", "resized"])
@pytest.mark.parametrize("fill", ["mean", "grey", "blur"])
@pytest.mark.parametrize("objective", [logit(1), channel("0", 2)], ids=repr)
def test_painting_a_prepared_image_changes_no_bit(red_square, fill, columns, objective):
    """Whatever is done once instead of for every query, each batch gives the same numbers."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    layers(torch.zeros(1, 3, 40, 40))
    classifier = Classifier(
        layers, name="small", input_size_px=40, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25)
    )
    image = red_square[..., :columns]
    map_ = sweep(classifier, objective, image, size_px=11, stride_px=3, fill=fill)
    places = range(map_.values.numel())
    queries = torch.stack([occlude(image, *map_.place(at), 11, fill) for at in places])
    batches = torch.split(queries, classifier.batch)
    answers = torch.cat([activations(classifier, objective, batch) for batch in batches])
    assert torch.equal(map_.values.flatten(), answers)
    assert len(set(answers.tolist())) > len(answers) // 2


def test_a_network_that_writes_into_its_input_spoils_no_later_query(red_square):
    square = red_square[:, :, :40]
    layers = nn.Sequential(nn.ReLU(inplace=True), nn.AvgPool2d(8), nn.Flatten())
    classifier = Classifier(layers, name="rectified", input_size_px=40, mean=(0.5, 0.5, 0.5))
    map_ = sweep(classifier, logit(0), square, size_px=9, stride_px=2)
    last = occlude(square, *map_.place(map_.values.numel() - 1), 9)
    assert float(map_.values[-1, -1]) == float(activations(classifier, logit(0), last[None]))


def test_the_map_finds_what_the_network_looks_at(red_detector, red_square):
    map_ = sweep(red_detector, logit(0), red_square, size_px=10, stride_px=1)
    x, y = map_.place(int(map_.values.argmin()))
    assert x <= 20 and x + 10 >= 28 and y <= 6 and y + 10 >= 14
    far = occlude(red_square, 0, 28, 10)
    assert map_.base == pytest.approx(
        float(activations(red_detector, logit(0), far[None])), abs=1e-3
    )


def test_places_that_fill_whole_batches_lose_none(red_detector, red_square):
    """Where the number of places is a multiple of the batch, the last one is still a place."""
    square = red_square[:, :, :40]
    map_ = sweep(red_detector, logit(0), square, size_px=33, stride_px=1)
    assert map_.values.numel() % red_detector.batch == 0
    last = occlude(square, 7, 7, 33)
    answer = activations(red_detector, logit(0), last[None])[0]
    assert map_.values[-1, -1] == pytest.approx(float(answer), abs=1e-6)
    # The unoccluded image is not one of the places.
    assert map_.base != pytest.approx(float(map_.values.max()), abs=1e-6)


def test_fill_colours_are_those_of_the_patches(red_square):
    colours = fill_colours(red_square, 8, 2)
    patch = red_square[:, 6:14, 20:28]
    assert colours[3, 10].tolist() == patch[:, 0, 0].tolist()


def test_progress_counts_places(red_detector, red_square):
    done = []
    map_ = sweep(red_detector, logit(0), red_square, size_px=8, stride_px=2, progress=done.append)
    assert sum(done) == map_.values.numel()
