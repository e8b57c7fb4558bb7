"""What the optimiser is free to change, and what it can never change."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maco import FourierSpectrum, MacoPhase, PixelBuffer, Spectrum, natural_spectrum
from maco.color import decorrelate, recorrelate
from maco.parameterizations import (
    fitted_range,
    fixed_range,
    soft_clip,
    standardised_sigmoid,
)

SHAPES = [(64, 64), (63, 63), (48, 80), (65, 48)]


def optimised(parameterization, parameters, steps, seed=0):
    """The parameters after some steps towards a random image."""
    generator = torch.Generator().manual_seed(seed)
    parameters = parameters.clone().requires_grad_()
    optimizer = torch.optim.NAdam([parameters], lr=1.0)
    target = torch.rand(parameterization(parameters).shape, generator=generator)
    for _ in range(steps):
        optimizer.zero_grad()
        (parameterization(parameters) - target).square().sum().mul(100).backward()
        optimizer.step()
    return parameters.detach()


def largest_error(maco, parameters):
    """The largest relative error of |F| against the given magnitude, over all bins."""
    waves = torch.fft.rfft2(maco.decorrelated(parameters).double())
    return float((waves.abs() / maco.magnitude.double() - 1).abs().max())


def kolmogorov_smirnov(values, cdf):
    """sqrt(n) times the largest distance of the values' distribution to a cdf; 1.95 is p = .001."""
    ordered = values.double().flatten().sort().values
    n = len(ordered)
    expected = cdf(ordered)
    above = torch.arange(1, n + 1) / n - expected
    below = expected - torch.arange(n) / n
    return math.sqrt(n) * float(torch.maximum(above, below).max())


@pytest.mark.parametrize("steps", [0, 1, 40])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_magnitude_is_held_at_every_bin(shape, steps, generators):
    maco = MacoPhase(natural_spectrum(), *shape)
    phases = optimised(maco, maco.initial(generators(0, 1)), steps)
    assert largest_error(maco, phases) < 1e-4


def test_the_magnitude_is_held_at_full_size(generators):
    maco = MacoPhase(natural_spectrum(), 512, 512)
    phases = optimised(maco, maco.initial(generators(0)), 3)
    assert largest_error(maco, phases) < 1e-4


@given(
    height=st.integers(2, 19),
    width=st.integers(2, 19),
    seed=st.integers(0, 999),
    reach=st.sampled_from([0.0, 1.0, 40.0]),
)
def test_the_magnitude_is_held_for_any_phases_at_any_size(
    rough_spectrum, height, width, seed, reach
):
    maco = MacoPhase(rough_spectrum, height, width)
    generator = torch.Generator().manual_seed(seed)
    phases = reach * torch.randn(1, *maco.magnitude.shape, generator=generator)
    assert maco.decorrelated(phases).shape == (1, 3, height, width)
    assert largest_error(maco, phases) < 1e-4


@pytest.mark.parametrize("shape", [*SHAPES, (2, 2), (2, 3), (3, 2)])
def test_the_waves_are_those_of_a_real_image(shape, generators):
    """The inverse transform over all frequencies, none implied, has no imaginary part."""
    height, width = shape
    maco = MacoPhase(natural_spectrum(), height, width)
    phases = maco.hermitian(maco.initial(generators(0))).double()
    half = torch.polar(maco.magnitude.double().expand_as(phases), phases)
    rows = -torch.arange(height) % height
    columns = torch.arange((width - 1) // 2, 0, -1)
    image = torch.fft.ifft2(torch.cat([half, half[..., rows, :][..., columns].conj()], dim=-1))
    assert image.shape == (1, 3, height, width)
    assert image.imag.abs().max() < 1e-6 * image.real.abs().max()
    given = maco.decorrelated(maco.initial(generators(0)))
    torch.testing.assert_close(image.real.float(), given, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mean", [(0.2, -0.1, 0.05), (-0.2, 0.1, -0.05)])
def test_the_mean_colour_stays_that_of_photographs(mean, rough_spectrum, generators):
    """DC keeps its sign: a phase could turn a bright mean into a dark one."""
    spectrum = Spectrum(rough_spectrum.amplitude, torch.tensor(mean))
    maco = MacoPhase(spectrum, 32, 40)
    phases = optimised(maco, maco.initial(generators(0, 1)), 20)
    for image in maco.decorrelated(phases):
        torch.testing.assert_close(image.mean((1, 2)), torch.tensor(mean), rtol=0, atol=1e-5)


def test_phases_start_uniform(generators):
    phases = MacoPhase(natural_spectrum(), 64, 64).initial(generators(0))
    assert kolmogorov_smirnov(phases, lambda x: (x + math.pi) / (2 * math.pi)) < 1.95
    first, second = phases[0, 0].flatten(), phases[0, 1].flatten()
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.1


def test_uniform_phases_leave_no_bright_point(generators):
    """Normal phases do: they agree at pixel (0, 0)."""
    image = MacoPhase(natural_spectrum(), 128, 128)
    channels = image.decorrelated(image.initial(generators(0)))
    assert channels.abs().max() < 6 * channels.std()


@pytest.mark.parametrize("shape", [*SHAPES, (2, 2), (2, 5), (5, 2)])
def test_every_free_phase_feels_the_image(shape, generators):
    """All bins but the redundant: DC, the self-conjugate ones, and conjugates of others."""
    height, width = shape
    maco = MacoPhase(natural_spectrum(), height, width)
    phases = maco.initial(generators(0)).requires_grad_()
    weight = torch.randn(3, height, width, generator=generators(1)[0])
    (gradient,) = torch.autograd.grad((maco.decorrelated(phases) * weight).sum(), phases)
    free = torch.ones(height, width // 2 + 1, dtype=torch.bool)
    for column in {0, width // 2} if width % 2 == 0 else {0}:
        free[:, column] = False
        free[1 : (height + 1) // 2, column] = True
    assert torch.equal(gradient[0] != 0, free.expand(3, -1, -1))
    assert 2 * int(free.sum()) + (~free).sum() >= height * (width // 2 + 1)


def test_a_whole_turn_changes_nothing(generators):
    maco = MacoPhase(natural_spectrum(), 32, 32)
    phases = maco.initial(generators(0))
    turned = phases + 2 * math.pi * torch.randint(-3, 4, phases.shape, generator=generators(1)[0])
    torch.testing.assert_close(maco(turned), maco(phases), rtol=0, atol=1e-4)


def test_standardised_phases_have_one_mean_and_spread(generators):
    maco = MacoPhase(natural_spectrum(), 48, 48, standardise=True, to_pixels=standardised_sigmoid)
    phases = maco.initial(generators(0, 1))
    assert kolmogorov_smirnov(phases, torch.special.ndtr) < 1.95
    torch.testing.assert_close(maco(3 * phases + 2), maco(phases), rtol=0, atol=2e-3)
    assert largest_error(maco, 3 * phases + 2) < 1e-4
    plain = MacoPhase(natural_spectrum(), 48, 48, to_pixels=standardised_sigmoid)
    assert (plain(3 * phases + 2) - plain(phases)).abs().max() > 0.1


@pytest.mark.parametrize("reach", [0.1, 1, 100])
def test_images_lie_between_0_and_1(reach, generators):
    kinds = [
        MacoPhase(natural_spectrum(), 32, 40, to_pixels=to_pixels)
        for to_pixels in (fixed_range, fitted_range, standardised_sigmoid)
    ]
    for kind in [*kinds, FourierSpectrum(32, 40), PixelBuffer(32, 40)]:
        images = kind(reach * kind.initial(generators(0, 1)))
        assert images.shape == (2, 3, 32, 40)
        assert images.min() >= 0
        assert images.max() <= 1
        assert (images.amax((1, 2, 3)) > images.amin((1, 2, 3))).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: MacoPhase(natural_spectrum(), 24, 31),
        lambda: MacoPhase(natural_spectrum(), 24, 31, to_pixels=fitted_range),
        lambda: MacoPhase(
            natural_spectrum(), 24, 31, to_pixels=standardised_sigmoid, standardise=True
        ),
        lambda: FourierSpectrum(24, 31),
        lambda: PixelBuffer(24, 31),
    ],
)
def test_an_image_is_its_own_units_alone(make, generators):
    kind = make()
    together = kind.initial(generators(5, 6, 7))
    alone = kind.initial(generators(6))
    assert torch.equal(together[1], alone[0])
    torch.testing.assert_close(kind(together)[1], kind(alone)[0], rtol=0, atol=1e-6)
    assert not torch.equal(together[0], together[1])


def test_soft_clip_leaves_the_middle_alone_and_never_stops():
    values = torch.linspace(-2, 3, 5001, dtype=torch.float64, requires_grad=True)
    bent = soft_clip(values)
    (slope,) = torch.autograd.grad(bent.sum(), values)
    middle = (values >= 0.1) & (values <= 0.9)
    assert torch.equal(bent[middle], values[middle])
    assert (bent.diff() > 0).all()
    assert (bent > 0).all()
    assert (bent < 1).all()
    assert (slope > 0).all()
    assert (slope <= 1).all()
    assert slope.diff().abs().max() < 0.02  # no kink
    assert slope[0] < 1e-6


def test_gradients_that_are_written_out_are_those_of_the_function(generators):
    values = torch.linspace(-0.4, 1.4, 41, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft_clip, values)
    spectrum = natural_spectrum()
    parameterization = MacoPhase(spectrum, 8, 6)
    phases = parameterization.initial(generators(0)).double().requires_grad_()
    assert torch.autograd.gradcheck(parameterization.decorrelated, phases)


def test_soft_clip_bends_both_ends_alike():
    values = torch.linspace(-1, 2, 301, dtype=torch.float64)
    torch.testing.assert_close(soft_clip(values), 1 - soft_clip(1 - values))


def test_fixed_range_shows_photographic_values_as_they_are(photographs):
    shown = fixed_range(decorrelate(photographs[0])[None])[0]
    middle = (photographs[0] > 0.11) & (photographs[0] < 0.89)
    assert (shown - photographs[0])[middle].abs().max() < 1e-5
    assert (shown - photographs[0]).abs().max() < 0.04


def test_fitted_range_scales_contrast_by_one_factor_an_image(generators):
    channels = torch.randn(2, 3, 40, 40, generator=generators(0)[0])
    channels = channels * torch.tensor([0.05, 4.0])[:, None, None, None]
    faint, strong = fitted_range(channels)
    torch.testing.assert_close(faint, recorrelate(channels[0]), rtol=0, atol=1e-5)
    raw = recorrelate(channels[1])
    inside = (strong > 0.06) & (strong < 0.94)
    assert inside.float().mean() > 0.9
    centre = raw.mean((1, 2), keepdim=True)
    gain = ((strong - centre) / (raw - centre))[inside & ((raw - centre).abs() > 0.05)]
    assert gain.std() < 0.001
    assert 0 < gain.mean() < 0.5


@pytest.mark.parametrize("shape", [(32, 32), (24, 41)])
def test_the_free_spectrum_starts_as_lucids(shape, generators):
    height, width = shape
    fourier = FourierSpectrum(height, width)
    parameters = fourier.initial(generators(0))
    assert parameters.shape == (1, 3, height, width // 2 + 1, 2)
    assert kolmogorov_smirnov(parameters / 0.01, torch.special.ndtr) < 1.95
    for row, column in [(0, 0), (1, 0), (0, 3), (5, 7), (height - 2, 4)]:
        frequency = math.hypot(
            (row if row <= height // 2 else row - height) / height, column / width
        )
        expected = math.sqrt(height * width) / max(frequency, 1 / max(height, width)) / 4
        assert float(fourier.scale[row, column]) == pytest.approx(expected, rel=1e-5)


def test_the_free_spectrum_starts_with_amplitudes_of_one_over_frequency(generators):
    fourier = FourierSpectrum(128, 128)
    images = fourier(fourier.initial(generators(*range(8))))
    logits = torch.logit(images.double())
    power = torch.fft.rfft2(logits).abs().square().mean((0, 1))
    down = torch.fft.fftfreq(128)[:, None] * 128
    radius = torch.hypot(down, torch.arange(65.0)[None, :])
    band = (radius >= 2) & (radius < 60)
    x = radius[band].double().log()
    x = x - x.mean()
    slope = (power[band].log() / 2 * x).sum() / (x * x).sum()
    assert float(slope) == pytest.approx(-1, abs=0.03)


@pytest.mark.parametrize("kind", [FourierSpectrum(20, 27), PixelBuffer(20, 27)])
def test_zeros_are_mid_grey(kind, generators):
    images = kind(torch.zeros_like(kind.initial(generators(0))))
    assert torch.equal(images, torch.full((1, 3, 20, 27), 0.5))


def test_pixels_start_as_faint_noise(generators):
    parameters = PixelBuffer(64, 64).initial(generators(0))
    assert kolmogorov_smirnov(parameters / 0.01, torch.special.ndtr) < 1.95
