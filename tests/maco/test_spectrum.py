"""The mean magnitude spectrum: measured right, and the same thing at every image size."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from maco import Spectrum, estimate, natural_spectrum
from maco.color import IMAGENET_MEAN, recorrelate
from maco.images import find_images, stream


def radius(last):
    cycles = torch.arange(last + 1, dtype=torch.float64)
    return torch.hypot(cycles[:, None], cycles[None, :])


def bins(height, width):
    """Cycles per image at the bins of rfft2: down (height, 1), across (1, width // 2 + 1)."""
    down = torch.fft.fftfreq(height, dtype=torch.float64).abs() * height
    across = torch.fft.rfftfreq(width, dtype=torch.float64) * width
    return down[:, None], across[None, :]


def field(amplitude_at, height, width, seed, mean=(0.0, 0.0, 0.0)):
    """An image whose |F| / (h w) is exactly amplitude_at(down, across), its phase random."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(3, height, width, dtype=torch.float64, generator=generator)
    waves = torch.fft.rfft2(noise)
    waves = waves / waves.abs() * amplitude_at(*bins(height, width)) * (height * width)
    waves[:, 0, 0] = torch.tensor(mean) * (height * width)
    return recorrelate(torch.fft.irfft2(waves, s=(height, width)))


def power_law(slope, level=0.3):
    def amplitude(down, across):
        return level * torch.hypot(down, across).clamp(min=1) ** slope

    return amplitude


def slope_of(magnitude, height, width, low, high):
    at = torch.hypot(*bins(height, width))
    band = (at >= low) & (at <= high)
    x = at[band].log()
    y = magnitude[:, band].double().log()
    x = x - x.mean()
    return (y * x).sum(1) / (x * x).sum()


def test_a_known_spectrum_is_recovered_at_every_frequency():
    photographs = [field(power_law(-1.3), 64, 64, seed) for seed in range(3)]
    spectrum = estimate(photographs, source="made")
    ac = radius(32) > 0
    expected = 0.3 * radius(32)[ac] ** -1.3
    for channel in spectrum.amplitude.double():
        torch.testing.assert_close(channel[ac], expected, rtol=1e-4, atol=0)
    assert (spectrum.images, spectrum.source) == (3, "made")


def test_it_is_the_mean_of_magnitudes_not_of_images():
    """Photographs with opposite contrast do not cancel; bright and dark ones average."""
    first = field(power_law(-1.0), 64, 64, 0)
    opposite = 2 * torch.tensor(IMAGENET_MEAN)[:, None, None] - first
    alone, both = estimate([first]), estimate([first, opposite])
    torch.testing.assert_close(both.amplitude, alone.amplitude, rtol=1e-4, atol=1e-9)
    faint = field(power_law(-1.0, level=0.1), 64, 64, 1)
    mixed = estimate([first, faint]).amplitude
    torch.testing.assert_close(mixed, alone.amplitude * (0.3 + 0.1) / 2 / 0.3, rtol=1e-4, atol=1e-9)


def test_mean_colour_is_apart_from_the_waves_and_has_a_sign():
    bright = field(power_law(-1.0), 64, 64, 0, mean=(0.6, -0.2, 0.1))
    dark = field(power_law(-1.0), 64, 64, 1, mean=(-0.4, -0.2, 0.1))
    spectrum = estimate([bright, dark])
    torch.testing.assert_close(spectrum.mean, torch.tensor([0.1, -0.2, 0.1]), rtol=0, atol=1e-5)
    assert (spectrum.amplitude[:, 0, 0] == 0).all()
    plain = estimate([field(power_law(-1.0), 64, 64, 0)])
    dc = estimate([bright]).amplitude - plain.amplitude
    assert dc.abs().max() < 1e-6


def test_vertical_and_horizontal_waves_are_told_apart():
    spectrum = estimate([field(lambda down, across: 1 / (1 + down + 3 * across), 64, 64, 0)])
    expected = torch.tensor([1 / 5, 1 / 13])
    measured = torch.stack([spectrum.amplitude[0, 4, 0], spectrum.amplitude[0, 0, 4]])
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=0)
    magnitude = spectrum.magnitude(64, 64) / 64**2
    torch.testing.assert_close(magnitude[0, 4, 0], expected[0], rtol=1e-4, atol=0)
    torch.testing.assert_close(magnitude[0, 0, 4], expected[1], rtol=1e-4, atol=0)


def test_a_photograph_and_its_mirror_image_have_one_spectrum():
    """Waves that lean to the left and to the right are averaged."""
    photograph = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    once, mirrored = estimate([photograph]).amplitude, estimate([photograph.flip(-1)]).amplitude
    torch.testing.assert_close(once, mirrored, rtol=1e-4, atol=1e-8)
    both = estimate([photograph, photograph.flip(-1)]).amplitude
    torch.testing.assert_close(once, both, rtol=1e-4, atol=1e-8)


def test_images_of_mixed_sizes_join_without_a_step():
    """Small images lose their fine detail and large ones have twice the contrast: no trace left."""
    law = power_law(-1.4)
    rolled_off = torch.tensor([3 / 8, 1 / 16, 1 / 16])[:, None, None]

    def blurred(down, across):
        fine = torch.hypot(down, across) > rolled_off * 64
        return law(down, across) * torch.where(fine, 0.05, 1.0)

    small = [field(blurred, 64, 64, seed) for seed in range(4)]
    large = [field(power_law(-1.4, level=0.6), 128, 128, seed) for seed in range(4, 6)]
    spectrum = estimate([small[0], large[0], *small[1:], large[1]])
    assert (spectrum.images, spectrum.amplitude.shape) == (6, (3, 65, 65))
    ac = radius(64) > 0
    level = 0.3 * (4 * 1 + 2 * 2) / 6
    expected = level * radius(64)[ac] ** -1.4
    for channel in spectrum.amplitude.double():
        torch.testing.assert_close(channel[ac], expected, rtol=1e-4, atol=0)


def test_odd_shapes_are_cut_to_their_central_square():
    generator = torch.Generator().manual_seed(0)
    photograph = torch.rand(3, 70, 91, generator=generator)
    cut = photograph[:, 3:67, 13:77]
    torch.testing.assert_close(estimate([photograph]).amplitude, estimate([cut]).amplitude)


def test_larger_images_come_down_and_keep_their_coarse_waves():
    photograph = field(power_law(-1.5), 192, 192, 0)
    whole, reduced = estimate([photograph]), estimate([photograph], size_px=64)
    assert reduced.amplitude.shape == (3, 33, 33)
    coarse = slice(1, 6)
    ratio = reduced.amplitude[:, coarse, coarse] / whole.amplitude[:, coarse, coarse]
    assert ((ratio - 1).abs() < 0.03).all()


@pytest.mark.parametrize(
    ("photographs", "message"),
    [
        ([], "at least one photograph"),
        ([torch.zeros(3, 31, 200)], "200 x 31 px is too small"),
        ([torch.zeros(3, 64, 64)], "1 photographs without contrast"),
        ([torch.full((3, 64, 64), 0.37)] * 2, "2 photographs without contrast"),
    ],
)
def test_nothing_to_measure(photographs, message):
    with pytest.raises(ValueError, match=message):
        estimate(photographs)


@pytest.mark.parametrize("shape", [(64, 64), (63, 63), (48, 80), (65, 48), (7, 2), (5, 30)])
def test_a_wave_and_its_mirror_image_have_one_magnitude(rough_spectrum, shape):
    magnitude = rough_spectrum.magnitude(*shape)
    assert magnitude.shape == (3, shape[0], shape[1] // 2 + 1)
    assert (magnitude > 0).all()
    torch.testing.assert_close(magnitude[:, 1:], magnitude[:, 1:].flip(1), rtol=0, atol=0)


def test_the_table_is_exact_at_its_own_size(rough_spectrum):
    magnitude = rough_spectrum.magnitude(64, 64) / 64**2
    expected = rough_spectrum.amplitude.clone()
    expected[:, 0, 0] = rough_spectrum.mean.abs()
    torch.testing.assert_close(magnitude[:, :33], expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("side", [16, 33, 48, 65, 200])
def test_a_wave_keeps_its_amplitude_at_every_image_size(rough_spectrum, side):
    """The same cycles per image, whatever the number of pixels: no smearing, no gain."""
    last = min((side - 1) // 2, 32) + 1
    here = rough_spectrum.magnitude(side, side)[:, :last, :last] / side**2
    there = rough_spectrum.magnitude(64, 64)[:, :last, :last] / 64**2
    torch.testing.assert_close(here, there, rtol=1e-5, atol=0)


def test_frequencies_of_a_wide_image_are_cycles_per_pixel(rough_spectrum):
    """32 x 128 px have the area of 64 x 64: two waves down in 64 px are one in 32."""
    magnitude = rough_spectrum.magnitude(32, 128) / 64**2
    table = rough_spectrum.amplitude
    torch.testing.assert_close(magnitude[:, 1:17, 0::2], table[:, 2:33:2, :33], rtol=1e-5, atol=0)
    between = (table[:, 2:33:2, :32] * table[:, 2:33:2, 1:33]).sqrt()
    torch.testing.assert_close(magnitude[:, 1:17, 1::2], between, rtol=1e-5, atol=0)


def test_waves_longer_than_the_square_take_the_longest_waves(rough_spectrum):
    """Half a cycle across: between the two longest waves, not drawn towards DC's zero."""
    magnitude = rough_spectrum.magnitude(32, 128)[:, 0, 1] / 64**2
    ends = torch.stack([rough_spectrum.amplitude[:, 0, 1], rough_spectrum.amplitude[:, 1, 0]])
    assert (magnitude >= ends.amin(0) * 0.999).all()
    assert (magnitude <= ends.amax(0) * 1.001).all()


@pytest.mark.parametrize("shape", [(256, 256), (100, 300), (257, 129)])
def test_beyond_the_table_the_power_law_goes_on(shape):
    amplitude = 0.2 * radius(32).clamp(min=1) ** -1.6
    spectrum = Spectrum(amplitude.float().expand(3, -1, -1), torch.zeros(3))
    height, width = shape
    down, across = bins(height, width)
    side = math.sqrt(height * width)
    cycles = torch.hypot(down * side / height, across * side / width)
    ratio = spectrum.magnitude(height, width) / (height * width * 0.2 * cycles**-1.6)
    far = cycles > 8
    assert ((ratio[:, far] - 1).abs() < 0.005).all()


@pytest.mark.parametrize("shape", [(64, 64), (16, 256), (51, 80), (200, 200)])
def test_white_noise_has_one_level_whatever_the_shape(shape):
    spectrum = Spectrum(torch.full((3, 33, 33), 0.01), torch.zeros(3))
    area = shape[0] * shape[1]
    waves = spectrum.magnitude(*shape).flatten(1)[:, 1:] / area
    torch.testing.assert_close(waves, torch.full_like(waves, 0.01), rtol=1e-4, atol=0)


def test_a_long_image_has_the_contrast_of_a_square_one():
    def variance(height, width):
        power = (natural_spectrum().magnitude(height, width).double() / (height * width)) ** 2
        power[:, 0, 0] = 0
        twice = torch.full((width // 2 + 1,), 2.0)
        twice[0] = twice[-1] = 1  # of the other columns rfft2 keeps one in two
        return (power * twice).sum((1, 2))

    ratio = variance(128, 512) / variance(256, 256)
    assert ((ratio - 1).abs() < 0.25).all()


def test_dc_is_the_mean_colour(rough_spectrum):
    for height, width in [(64, 64), (33, 50)]:
        dc = rough_spectrum.magnitude(height, width)[:, 0, 0]
        torch.testing.assert_close(dc, rough_spectrum.mean.abs() * height * width)


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (0, 0)])
def test_an_image_too_small_for_a_spectrum(rough_spectrum, shape):
    with pytest.raises(ValueError, match=f"{shape[1]} x {shape[0]} px"):
        rough_spectrum.magnitude(*shape)


@pytest.mark.parametrize(
    "amplitude",
    [torch.ones(3, 9), torch.ones(1, 9, 9), torch.ones(3, 9, 8), torch.ones(3, 2, 2)],
)
def test_a_table_of_the_wrong_shape(amplitude):
    with pytest.raises(ValueError, match="shape"):
        Spectrum(amplitude, torch.zeros(3))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_table_with_a_hole(value):
    amplitude = torch.ones(3, 9, 9)
    amplitude[1, 4, 4] = value
    with pytest.raises(ValueError, match="positive"):
        Spectrum(amplitude, torch.zeros(3))


def test_save_and_load(rough_spectrum, tmp_path):
    file = tmp_path / "deep" / "rough.safetensors"
    rough_spectrum.save(file)
    loaded = Spectrum.load(file)
    assert torch.equal(loaded.amplitude, rough_spectrum.amplitude)
    assert torch.equal(loaded.mean, rough_spectrum.mean)
    assert (loaded.images, loaded.source) == (7, "made up")
    assert loaded.digest() == rough_spectrum.digest()
    assert sorted(path.name for path in file.parent.iterdir()) == ["rough.safetensors"]


def test_the_digest_is_of_every_number(rough_spectrum):
    changed = rough_spectrum.amplitude.clone()
    changed[2, 32, 32] *= 1.0001
    assert Spectrum(changed, rough_spectrum.mean).digest() != rough_spectrum.digest()
    other_mean = Spectrum(rough_spectrum.amplitude, rough_spectrum.mean + 1e-6)
    assert other_mean.digest() != rough_spectrum.digest()


def test_loading_what_is_no_spectrum(tmp_path, rough_spectrum):
    with pytest.raises(ValueError, match=r"absent\.safetensors does not exist"):
        Spectrum.load(tmp_path / "absent.safetensors")
    tables = {"amplitude": rough_spectrum.amplitude, "mean": rough_spectrum.mean}
    facts = {"maco": json.dumps({"images": 1})}
    cases = {
        "text": None,
        "plain": (tables, None),
        "half": ({"mean": rough_spectrum.mean}, facts),
        "other": (tables, {"maco": json.dumps({"network": "resnet18"})}),
        "garbled": (tables, {"maco": "{not json"}),
    }
    for name, content in cases.items():
        file = tmp_path / f"{name}.safetensors"
        if content is None:
            file.write_text("no spectrum")
        else:
            tensors, metadata = content
            save_file(tensors, file, metadata)
        with pytest.raises(ValueError, match=rf"{name}\.safetensors is no spectrum file"):
            Spectrum.load(file)


def test_the_shipped_spectrum_is_one_of_natural_photographs():
    spectrum = natural_spectrum()
    assert spectrum.images == 1038
    assert spectrum.amplitude.shape == (3, 257, 257)
    slope = slope_of(spectrum.magnitude(512, 512), 512, 512, 2, 32)
    assert ((slope > -1.5) & (slope < -1.1)).all()
    magnitude = spectrum.magnitude(1280, 1280)
    assert torch.equal(magnitude[:, 1], magnitude[:, -1])
    brightness = spectrum.amplitude[0]
    assert brightness[8, 0] > 1.1 * brightness[6, 6]  # photographs favour the cardinal directions
    assert brightness[0, 8] > 1.1 * brightness[6, 6]


def test_the_shipped_spectrum_agrees_with_that_of_public_code(shared_data):
    """From coarse to middling frequencies: above, the public file falls like enlarged images do."""
    public = torch.from_numpy(np.load(shared_data / "spectrum" / "imagenet_decorrelated.npy"))
    ours = natural_spectrum().magnitude(512, 512)
    at = torch.hypot(*bins(512, 512))
    band = (at >= 1) & (at <= 64)
    for mine, theirs in zip(ours[:, band].log(), public[:, band].log(), strict=True):
        assert torch.corrcoef(torch.stack([mine, theirs]))[0, 1] > 0.95
        assert (mine - theirs).mean().abs() < 0.3
    difference = slope_of(ours, 512, 512, 2, 32) - slope_of(public, 512, 512, 2, 32)
    assert (difference.abs() < 0.1).all()


def test_the_shipped_spectrum_is_what_the_photographs_give(shared_data):
    """Not to the last digit: decoders of JPEG differ by a grey level here and there."""
    folders = ("imagenet_sample", "imagenet_512")
    paths = [path for name in folders for path in find_images(shared_data / name)]
    measured, shipped = estimate(stream(paths)), natural_spectrum()
    assert measured.images == shipped.images
    torch.testing.assert_close(measured.amplitude, shipped.amplitude, rtol=0.01, atol=0)
    torch.testing.assert_close(measured.mean, shipped.mean, rtol=0, atol=1e-3)
