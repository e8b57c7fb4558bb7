"""What the network is shown at each step: the stated distributions, and exact resampling."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator
from torch.nn import functional as F

from maco import CropAndNoise
from maco.transforms import resample, resample_whole


def normal_cdf(values, mean, sd):
    return torch.special.ndtr((values.double() - mean) / sd)


def kolmogorov_smirnov(values, expected):
    """sqrt(n) times the largest distance to expected cdf values; 1.95 is p = .001."""
    expected = expected.sort().values
    n = len(expected)
    ranks = torch.arange(n + 1, dtype=torch.float64) / n
    return math.sqrt(n) * float(torch.maximum(ranks[1:] - expected, expected - ranks[:-1]).max())


def boxes_of(crops, height, width, progress=0.0, seed=0, draws=4000):
    many = CropAndNoise(**{**crops.__dict__, "count": draws})
    return many.boxes([Generator().manual_seed(seed)], height, width, progress)


def ramp(height, width):
    """Pixels whose value is linear in place: 2 x + 3 y at the centre of each."""
    x = torch.arange(width, dtype=torch.float64) + 0.5
    y = torch.arange(height, dtype=torch.float64)[:, None] + 0.5
    return (2 * x + 3 * y).expand(1, 3, -1, -1)


def test_crop_sides_are_normal_about_a_quarter():
    """N(.25, .1) of the image, as the paper says; public code draws U(.25, .30)."""
    sides = boxes_of(CropAndNoise(), 512, 512)[:, 2] / 512
    free = sides[sides > 0.0501]
    share = 1 - len(free) / len(sides)
    at_floor = float(normal_cdf(torch.tensor(0.05), 0.25, 0.1))
    assert share == pytest.approx(at_floor, abs=0.008)
    assert sides.min() == pytest.approx(0.05)
    cdf = (normal_cdf(free, 0.25, 0.1) - at_floor) / (1 - at_floor)
    assert kolmogorov_smirnov(free, cdf) < 1.95
    assert float(sides.median()) == pytest.approx(0.25, abs=0.006)
    assert float(sides.std()) == pytest.approx(0.1, abs=0.006)


def test_crop_sides_stop_at_the_whole_image():
    sides = boxes_of(CropAndNoise(side=0.9, side_sd=0.3), 100, 100)[:, 2] / 100
    assert sides.max() == 1
    share = float((sides == 1).double().mean())
    assert share == pytest.approx(float(1 - normal_cdf(torch.tensor(1.0), 0.9, 0.3)), abs=0.03)


@pytest.mark.parametrize(
    ("end", "progress", "expected"),
    [
        (None, 1.0, 0.5),
        (0.1, 0.0, 0.5),
        (0.1, 0.25, 0.4),
        (0.1, 1.0, 0.1),
        (0.0, 1.0, 0.05),
    ],
)
def test_crop_sides_shrink_linearly(end, progress, expected):
    crops = CropAndNoise(side=0.5, side_end=end, side_sd=0.0)
    sides = boxes_of(crops, 64, 64, progress, draws=3)[:, 2] / 64
    torch.testing.assert_close(sides, torch.full((3,), expected))


def test_crop_centres_are_normal_about_the_middle():
    crops = CropAndNoise(side=0.05, side_sd=0.0)
    left, top, side = boxes_of(crops, 200, 400).unbind(1)
    assert (side == 10).all()
    for corner, extent in ((left, 400), (top, 200)):
        centre = (corner + 5) / extent
        free = centre[(corner > 0) & (corner + 10 < extent)]
        assert len(free) > 0.99 * len(centre)
        assert kolmogorov_smirnov(free, normal_cdf(free, 0.5, 0.15)) < 1.95
    assert torch.corrcoef(torch.stack([left, top]))[0, 1].abs() < 0.06


@pytest.mark.parametrize("shape", [(512, 512), (300, 100), (64, 333)])
@pytest.mark.parametrize("crops", [CropAndNoise(), CropAndNoise(side=0.8, centre_sd=1.0)])
def test_crops_lie_inside_the_image(crops, shape):
    height, width = shape
    left, top, side = boxes_of(crops, height, width).unbind(1)
    slack = 1e-3  # rounding of float32
    assert min(left.min(), top.min()) >= 0
    assert (left + side).max() <= width + slack
    assert (top + side).max() <= height + slack
    assert side.max() <= min(shape) + slack
    assert float(side.median()) == pytest.approx(crops.side * min(shape), rel=0.05)


def test_each_image_draws_from_its_own_generator(generators):
    crops = CropAndNoise(count=3)
    images = torch.rand(2, 3, 40, 40, generator=generators(9)[0])
    together = crops(images, generators(4, 5), 16, 0.0)
    assert together.shape == (6, 3, 16, 16)
    alone = crops(images[1:], generators(5), 16, 0.0)
    torch.testing.assert_close(together[3:], alone, rtol=0, atol=1e-6)
    again = crops(images, generators(4, 5), 16, 0.0)
    assert torch.equal(together, again)
    boxes = crops.boxes(generators(4, 5), 40, 40)
    assert not torch.equal(boxes[:3], boxes[3:])
    assert len(boxes.unique(dim=0)) == 6


def test_a_generator_moves_on_from_step_to_step(generators):
    crops, own = CropAndNoise(count=2), generators(0)
    first, second = crops.boxes(own, 64, 64), crops.boxes(own, 64, 64)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("size_px", [7, 16, 33, 64])
@pytest.mark.parametrize("side", [16, 33])
def test_the_whole_image_is_resized_as_torch_does(side, size_px, generators):
    image = torch.rand(1, 3, side, side, generator=generators(0)[0])
    box = torch.tensor([[0.0, 0.0, side]])
    expected = F.interpolate(image, (size_px, size_px), mode="bilinear", antialias=True)
    torch.testing.assert_close(resample(image, box, size_px), expected, rtol=0, atol=1e-5)


@given(
    left=st.floats(8, 20), top=st.floats(8, 12), side=st.floats(3, 20), size_px=st.integers(3, 24)
)
def test_ramps_are_read_where_the_box_lies(left, top, side, size_px):
    """Exactly where pixels are spread out; where they are brought together, to a tenth of one."""
    image = ramp(40, 48)
    box = torch.tensor([[left, top, side]], dtype=torch.float64)
    at = (torch.arange(size_px, dtype=torch.float64) + 0.5) * side / size_px
    expected = 2 * (left + at)[None, :] + 3 * (top + at)[:, None]
    atol = 1e-6 if side <= size_px else 0.1 * (2 + 3)
    torch.testing.assert_close(resample(image, box, size_px)[0, 0], expected, rtol=0, atol=atol)


def test_a_checkerboard_brought_down_is_grey():
    board = ((torch.arange(64)[:, None] + torch.arange(64)[None, :]) % 2).float()
    images = board.expand(1, 3, -1, -1)
    box = torch.tensor([[3.3, 7.1, 48.0]])
    assert (resample(images, box, 8) - 0.5).abs().max() < 0.02
    assert resample(images, torch.tensor([[0.0, 0.0, 64.0]]), 64).std() > 0.4


def test_boxes_belong_to_their_images():
    images = torch.tensor([0.2, 0.8])[:, None, None, None].expand(2, 3, 20, 30)
    views = resample(images, torch.tensor([[1.0, 2.0, 9.5]] * 6), 5)
    torch.testing.assert_close(views.mean((1, 2, 3)), torch.tensor([0.2] * 3 + [0.8] * 3))


def test_what_a_gpu_computes_is_what_a_cpu_computes(generators):
    """The branch for CUDA takes whole matrices; on tensors that claim to be there it agrees."""

    class Elsewhere(torch.Tensor):
        is_cuda = property(lambda self: True)

    images = torch.rand(2, 3, 30, 50, generator=generators(0)[0])
    boxes = CropAndNoise(count=4).boxes(generators(1, 2), 30, 50)
    there = resample(images.as_subclass(Elsewhere), boxes, 12)
    assert type(there) is Elsewhere
    here = resample(images, boxes, 12)
    torch.testing.assert_close(there.as_subclass(torch.Tensor), here, rtol=0, atol=1e-5)


def test_the_gradient_is_the_same_on_either(generators):
    images = torch.rand(2, 3, 30, 50, generator=generators(0)[0]).requires_grad_()
    boxes = CropAndNoise(count=4).boxes(generators(1, 2), 30, 50)
    pull = torch.randn(8, 3, 12, 12, generator=generators(3)[0])
    found, expected = (
        torch.autograd.grad(crop(images, boxes, 12), images, pull)[0]
        for crop in (resample, resample_whole)
    )
    assert expected.abs().max() > 1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_a_crop_lies_in_the_crop(generators):
    image = torch.rand(1, 3, 32, 32, generator=generators(0)[0], requires_grad=True)
    views = resample(image, torch.tensor([[8.0, 4.0, 12.0]]), 24)
    (gradient,) = torch.autograd.grad(views.sum(), image)
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[4:16, 8:20] = True
    edge = torch.zeros_like(inside)
    edge[3:17, 7:21] = True
    assert (gradient[0, 0][inside] > 0).all()
    assert (gradient[0, 0][~edge] == 0).all()


def test_noise_is_uniform_and_as_wide_as_stated(generators):
    grey = torch.full((1, 3, 8, 8), 0.5)
    noise = CropAndNoise(count=8, uniform=0.1)(grey, generators(0), 40, 0.0) - 0.5
    assert noise.abs().max() <= 0.1 + 1e-6
    assert kolmogorov_smirnov(noise, ((noise.flatten().double() + 0.1) / 0.2)) < 1.95
    assert len(noise.reshape(8, -1).unique(dim=0)) == 8


def test_normal_noise_has_the_stated_sd(generators):
    grey = torch.full((1, 3, 8, 8), 0.5)
    noise = CropAndNoise(count=8, uniform=0, normal=0.05)(grey, generators(0), 40, 0.0) - 0.5
    assert kolmogorov_smirnov(noise, normal_cdf(noise.flatten(), 0, 0.05)) < 1.95


def test_without_noise_a_view_is_the_crop(generators):
    crops = CropAndNoise(count=2, uniform=0)
    image = torch.rand(1, 3, 30, 30, generator=generators(0)[0])
    boxes = crops.boxes(generators(1), 30, 30)
    assert torch.equal(crops(image, generators(1), 9, 0.0), resample(image, boxes, 9))
