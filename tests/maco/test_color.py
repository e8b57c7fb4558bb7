"""The decorrelated colour space: an exact inverse, and what it does to photographs."""

from __future__ import annotations

import pytest
import torch

from maco.color import IMAGENET_MEAN, correlate, decorrelate, recorrelate


def off_diagonal(matrix):
    return matrix[~torch.eye(3, dtype=torch.bool)].abs()


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 3, 8, 8), (2, 4, 3, 3, 5)])
def test_recorrelate_undoes_decorrelate(shape, generators):
    images = torch.rand(shape, generator=generators(0)[0])
    torch.testing.assert_close(recorrelate(decorrelate(images)), images, rtol=0, atol=1e-5)
    torch.testing.assert_close(decorrelate(recorrelate(images)), images, rtol=0, atol=1e-5)


def test_nothing_is_the_mean_colour_of_photographs():
    colour = recorrelate(torch.zeros(3, 1, 1)).flatten()
    torch.testing.assert_close(colour, torch.tensor(IMAGENET_MEAN))


def test_channels_are_brightness_red_against_blue_and_magenta_against_green():
    brightness, red_blue, magenta_green = correlate(torch.eye(3)[..., None, None]).flatten(1)
    assert (brightness > 0).all()
    assert brightness.std() < 0.05 * brightness.mean()
    assert red_blue[0] > 0 > red_blue[2]
    assert red_blue[1] == 0
    assert magenta_green[1] < 0 < magenta_green[[0, 2]].min()


def test_channels_of_photographs_are_nearly_uncorrelated_and_of_one_scale(photographs):
    pixels = torch.cat([photograph.flatten(1) for photograph in photographs], dim=1)
    channels = decorrelate(pixels[..., None]).squeeze(-1)
    assert off_diagonal(torch.corrcoef(pixels)).min() > 0.7
    assert off_diagonal(torch.corrcoef(channels)).max() < 0.1
    assert channels.mean(1).abs().max() < 0.2
    spread = channels.std(1)
    assert spread.max() < 1.4 * spread.min()
    assert 1.5 < spread.mean() < 2.5
