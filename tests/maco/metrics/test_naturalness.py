"""Magnitude that survives in pixels, and radial spectra."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from maco import MacoPhase, natural_spectrum
from maco.color import recorrelate
from maco.metrics.naturalness import magnitude_survival, mean_spectrum, radial_amplitude


def wave_image(spectrum, height, width, seed, gain=1.0):
    """An image with exactly gain times the spectrum's magnitude, whatever its range."""
    noise = torch.randn(3, height, width, generator=Generator().manual_seed(seed)).double()
    waves = torch.fft.rfft2(noise)
    magnitude = gain * spectrum.magnitude(height, width).double()
    return recorrelate(torch.fft.irfft2(waves / waves.abs() * magnitude, s=(height, width)))


def test_an_untouched_spectrum_survives_whole():
    spectrum = natural_spectrum()
    found = magnitude_survival(wave_image(spectrum, 64, 48, 0), spectrum)
    assert (found.brightness, found.colour) == pytest.approx((0, 0), abs=1e-4)
    assert found.gain == pytest.approx(1, abs=1e-4)


def test_gain_is_the_contrast_and_noise_is_seen():
    spectrum = natural_spectrum()
    image = wave_image(spectrum, 64, 64, 0, gain=0.5)
    noise = 0.05 * torch.randn(3, 64, 64, generator=Generator().manual_seed(1))
    half, noisy = magnitude_survival(image, spectrum), magnitude_survival(image + noise, spectrum)
    assert half.gain == pytest.approx(0.5, abs=1e-3)
    assert half.brightness < 1e-3 < 0.3 < noisy.brightness
    assert noisy.colour > noisy.brightness


def test_a_plain_image_has_lost_it_all():
    found = magnitude_survival(torch.full((3, 32, 32), 0.5), natural_spectrum())
    assert found.gain == pytest.approx(0, abs=1e-6)
    assert found.brightness < float("inf")


@pytest.mark.parametrize("size", [(64, 64), (128, 100), (299, 299)])
def test_noise_has_one_amplitude_at_all_frequencies_and_sizes(size):
    noise = torch.randn(3, *size, generator=Generator().manual_seed(0)).double()
    found = radial_amplitude(recorrelate(noise))
    many = found.amplitude[:, 4:]  # the lowest bins have few waves
    expected = torch.full_like(many, (torch.pi / 4) ** 0.5)
    torch.testing.assert_close(many, expected, rtol=0.1, atol=0)
    assert found.slope.abs().max() < 0.1


def test_scale_free_images_of_any_size_have_the_same_amplitudes():
    def scale_free(side):
        radius = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.fftfreq(side)[None])
        noise = torch.randn(3, side, side, generator=Generator().manual_seed(side)).double()
        waves = torch.fft.fft2(noise)
        filtered = waves / waves.abs() * side / radius.clamp(min=1 / side)
        return recorrelate(torch.fft.ifft2(filtered).real)

    small, large = radial_amplitude(scale_free(128)), radial_amplitude(scale_free(256))
    shared = len(small.frequencies)
    assert len(large.frequencies) == shared + 2  # an octave lower
    torch.testing.assert_close(large.frequencies[-shared:], small.frequencies)
    torch.testing.assert_close(large.amplitude[:, -shared:], small.amplitude, rtol=0.1, atol=0)
    assert large.slope.tolist() == pytest.approx([-1] * 3, abs=0.03)


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (299, 310), (512, 512)])
def test_every_bin_has_a_wave(size):
    found = radial_amplitude(torch.rand(3, *size, generator=Generator().manual_seed(0)))
    assert found.amplitude.isfinite().all()
    assert found.frequencies.max() < 0.5
    assert found.frequencies.min() > 2 / min(size)


def test_the_mean_is_over_the_frequencies_that_all_images_have():
    images = [
        torch.rand(3, side, side, generator=Generator().manual_seed(side)) for side in (32, 64)
    ]
    small, large = (radial_amplitude(image) for image in images)
    mean = mean_spectrum(images)
    assert mean.frequencies.tolist() == small.frequencies.tolist()
    expected = (small.amplitude + large.amplitude[:, 2:]) / 2
    torch.testing.assert_close(mean.amplitude, expected)


def test_no_image_and_a_tiny_one_are_refused():
    with pytest.raises(ValueError, match="no image"):
        mean_spectrum([])
    with pytest.raises(ValueError, match="8 px are needed"):
        radial_amplitude(torch.zeros(3, 7, 20))


def test_photographs_fall_off_by_about_one_and_visualizations_with_them(photographs):
    natural = mean_spectrum(photographs[:6])
    assert -1.7 < natural.slope[0] < -0.9
    spectrum = natural_spectrum()
    parameterization = MacoPhase(spectrum, 512, 512)
    drawn = parameterization.initial([Generator().manual_seed(0)])
    made = radial_amplitude(parameterization(drawn).detach()[0])
    ratio = made.amplitude[0] / natural.amplitude[0]
    assert ratio.log().abs().max() < 0.5
