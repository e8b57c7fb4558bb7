"""The baselines' transforms draw what was published, and do to an image what they say."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from maco import Robustness, XpliqueStandard

NO_CHANGE = Robustness(pad_px=0, jitter_px=0, scales=(1.0,), angles_deg=(0.0,), last_jitter_px=0)


def ramp(height, width):
    """Pixels whose value is linear in place: 2 x + 3 y at the centre of each."""
    x = torch.arange(width, dtype=torch.float64) + 0.5
    y = torch.arange(height, dtype=torch.float64)[:, None] + 0.5
    return (2 * x + 3 * y).expand(1, 3, -1, -1)


def test_robustness_draws_lucids_values(generators):
    first, scale, angle, last = Robustness(count=6000).draw(generators(0))
    assert set(first.flatten().tolist()) == set(range(-4, 5))
    assert set(last.flatten().tolist()) == set(range(-2, 3))
    expected = [0.9, 0.92, 0.94, 0.96, 0.98, 1, 1.02, 1.04, 1.06, 1.08, 1.1]
    torch.testing.assert_close(scale.unique(), torch.tensor(expected))
    degrees = torch.rad2deg(angle).round().long()
    torch.testing.assert_close(torch.rad2deg(angle), degrees.float(), rtol=0, atol=1e-4)
    assert degrees.unique().tolist() == list(range(-10, 11))
    upright = float((degrees == 0).double().mean())
    assert upright == pytest.approx(6 / 26, abs=0.02)
    others = torch.bincount(degrees + 10)[[i for i in range(21) if i != 10]] / 6000
    assert (others - 1 / 26).abs().max() < 0.012
    assert (torch.bincount((first[:, 0] + 4).long()) / 6000 - 1 / 9).abs().max() < 0.02


def test_robustness_without_any_change_gives_the_image_back(generators):
    images = torch.rand(2, 3, 17, 26, generator=generators(0)[0])
    torch.testing.assert_close(
        NO_CHANGE(images, generators(1, 2), 8, 0.0), images, rtol=0, atol=1e-5
    )


def test_robustness_gives_views_of_the_padded_and_cut_size(generators):
    images = torch.rand(2, 3, 40, 60, generator=generators(0)[0])
    views = Robustness(count=3)(images, generators(1, 2), 8, 0.0)
    assert views.shape == (6, 3, 40 + 12, 60 + 12)
    alone = Robustness(count=3)(images[1:], generators(2), 8, 0.0)
    torch.testing.assert_close(views[3:], alone, rtol=0, atol=1e-6)


def test_robustness_pads_with_mid_grey(generators):
    white = torch.ones(1, 3, 20, 30)
    padded = Robustness(pad_px=5, jitter_px=0, scales=(1.0,), angles_deg=(0.0,), last_jitter_px=0)(
        white, generators(0), 8, 0.0
    )
    expected = F.pad(white, (5, 5, 5, 5), value=0.5)
    torch.testing.assert_close(padded, expected, rtol=0, atol=1e-4)


def test_robustness_jitters_by_whole_pixels(generators):
    image = torch.rand(1, 3, 24, 24, generator=generators(0)[0])
    jitter = Robustness(
        count=40, pad_px=2, jitter_px=4, scales=(1.0,), angles_deg=(0.0,), last_jitter_px=0
    )
    padded = F.pad(image, (2, 2, 2, 2), value=0.5)
    cuts = padded[0].unfold(1, 24, 1).unfold(2, 24, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    views = jitter(image, generators(1), 8, 0.0)
    distance = (views[:, None] - cuts[None]).abs().amax((2, 3, 4))
    nearest = distance.min(dim=1)
    assert nearest.values.max() < 1e-4
    assert len(nearest.indices.unique()) > 15  # of the 25 places


@pytest.mark.parametrize("angle", [90.0, -90.0, 180.0])
def test_robustness_turns_about_the_centre(angle, generators):
    image = torch.rand(1, 3, 21, 21, generator=generators(0)[0])
    turn = Robustness(pad_px=0, jitter_px=0, scales=(1.0,), angles_deg=(angle,), last_jitter_px=0)
    turned = turn(image, generators(1), 8, 0.0)
    candidates = [torch.rot90(image, k, (2, 3)) for k in ([1, 3] if angle != 180 else [2])]
    assert min(float((turned - other).abs().max()) for other in candidates) < 1e-4


def test_robustness_enlarges_about_the_centre(generators):
    image = ramp(20, 28).float()
    zoom = Robustness(pad_px=0, jitter_px=0, scales=(2.0,), angles_deg=(0.0,), last_jitter_px=0)
    view = zoom(image, generators(0), 8, 0.0)
    expected = 2 * (14 + (torch.arange(28) + 0.5 - 14) / 2) + 3 * (
        10 + (torch.arange(20)[:, None] + 0.5 - 10) / 2
    )
    torch.testing.assert_close(view[0, 0], expected, rtol=0, atol=1e-3)


def test_xpliques_boxes_are_its_cuts_one_after_the_other(generators):
    """512 px: 768 after padding, 256 after five cuts, 240 by .94, 176 after two more: 188 px."""
    boxes, scale, blur, flip = XpliqueStandard(count=4000).draw(generators(0), 512)
    torch.testing.assert_close(boxes[:, 2], 256 - 64 / scale)
    assert (float(scale.min()), float(scale.max())) == (
        pytest.approx(0.92, abs=1e-3),
        pytest.approx(0.96, abs=1e-3),
    )
    assert (float(blur.min()), float(blur.max())) == (
        pytest.approx(1.0, abs=1e-3),
        pytest.approx(1.1, abs=1e-3),
    )
    assert float(flip.double().mean()) == pytest.approx(0.5, abs=0.03)
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    assert (centre.mean(0) - 384).abs().max() < 3  # the middle of the padded image
    uniforms = torch.tensor([64.0, 64, 128, 128, 128])
    variance = (uniforms**2 / 12).sum() + 2 * (32 / 0.94) ** 2 / 12
    torch.testing.assert_close(centre.std(0), variance.sqrt().expand(2), rtol=0.04, atol=0)


def test_xpliques_views_are_those_boxes(generators):
    """Of a plane of brightness, a box shows its own part, mirrored or not; blur leaves a plane."""
    plain = XpliqueStandard(count=6, pad=0, cuts=(2,), last_cuts=(1,))
    image = ramp(64, 64).float() / 320
    boxes, _, _, flip = plain.draw(generators(3), 64)
    views = plain(image, generators(3), 16, 0.0)
    middle = views[:, 0, 7:9, 7:9].mean((1, 2))
    centre = boxes[:, :2] + boxes[:, 2:] / 2 - 0.5
    expected = (2 * (centre[:, 0] + 0.5) + 3 * (centre[:, 1] + 0.5)) / 320
    torch.testing.assert_close(middle, expected, rtol=0, atol=2e-3)
    rising = views[:, 0, 8, 12] > views[:, 0, 8, 4]
    assert torch.equal(rising, ~flip)
    assert 0 < int(flip.sum()) < 6


def test_xplique_pads_with_black_and_blurs(generators):
    white = torch.ones(1, 3, 32, 32)
    views = XpliqueStandard(count=30)(white, generators(0), 24, 0.0)
    assert views.shape == (30, 3, 24, 24)
    assert float(views.min()) == pytest.approx(0, abs=0.01)
    assert float(views.max()) == pytest.approx(1, abs=1e-5)
    checks = (torch.arange(32)[:, None] + torch.arange(32)).remainder(2).expand(1, 3, -1, -1)
    still = XpliqueStandard(count=4, pad=0, cuts=(), last_cuts=(), scales=(1.0, 1.0))
    assert float(still(checks.float(), generators(0), 32, 0.0).std()) < 0.02


def test_xplique_needs_a_square(generators):
    with pytest.raises(ValueError, match=r"40 x 30 px.*square"):
        XpliqueStandard()(torch.rand(1, 3, 30, 40), generators(0), 8, 0.0)
