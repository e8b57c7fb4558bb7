"""Central parts and squares."""

from __future__ import annotations

import pytest
import torch

from maco.metrics.views import central, squares


def test_the_central_part_is_in_the_middle_and_of_the_papers_size():
    images = torch.zeros(2, 3, 512, 512)
    images[..., 256, 256] = 1
    part = central(images, 299 / 512)
    assert part.shape == (2, 3, 299, 299)
    assert part[0, 0].nonzero().tolist() == [[150, 150]]
    assert central(torch.zeros(1, 3, 40, 20), 0.5).shape == (1, 3, 20, 10)
    assert central(images, 1).shape == images.shape


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\]"):
        central(torch.zeros(1, 3, 8, 8), fraction)


def test_no_pixel_left_is_refused():
    with pytest.raises(ValueError, match="leaves no pixel"):
        central(torch.zeros(1, 3, 8, 8), 0.01)


def test_images_of_any_size_become_squares_without_being_squeezed():
    wide = torch.zeros(3, 20, 60)
    wide[:, :, 20:40] = 1  # white where its central square is
    sizes = [len(group) for group in squares([wide, torch.ones(3, 9, 9)] * 2, 10, batch=3)]
    [group] = squares([wide, torch.ones(3, 9, 9)], 10, batch=3)
    assert sizes == [3, 1]
    torch.testing.assert_close(group, torch.ones(2, 3, 10, 10))


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"has shape \(1, 5, 5\)"):
        next(squares([torch.zeros(1, 5, 5)], 10, batch=3))
