"""How natural an image's magnitude spectrum is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from maco.color import decorrelate
from maco.spectrum import Spectrum

_BINS_AN_OCTAVE = 2  # with fewer waves in a bin, the lowest would be empty
_LOWEST_CYCLES = 2  # an image
_ABSENT = 1e-6  # of its magnitude: what a wave that is not there counts as


@dataclass(frozen=True)
class Survival:
    """How an image's magnitudes differ from those of a spectrum.

    brightness, colour: s.d. over all bins of the log ratio in the first and, as a mean, in the two
    other decorrelated channels; 0 where the magnitude survives untouched. gain: the factor on the
    spectrum that fits best, 1 where contrast is natural.
    """

    brightness: float
    colour: float
    gain: float


def magnitude_survival(image: Tensor, spectrum: Spectrum) -> Survival:
    """How much of a spectrum's magnitude is found in the pixels of an image (3, h, w) in [0, 1]."""
    magnitude = spectrum.magnitude(*image.shape[-2:]).double().flatten(1)[:, 1:]
    found = torch.fft.rfft2(decorrelate(image.cpu().double())).abs().flatten(1)[:, 1:]
    spread = (found / magnitude).clamp(min=_ABSENT).log().std(1)
    gain = (found * magnitude).sum() / magnitude.square().sum()
    return Survival(float(spread[0]), float(spread[1:].mean()), float(gain))


@dataclass(frozen=True)
class RadialSpectrum:
    """Mean amplitude of decorrelated channels by frequency.

    frequencies: (k,) cycles a pixel, the centre of half an octave. amplitude: (3, k), the mean of
    |F| / sqrt(h * w) over the waves in it: for noise and for 1/f images it does not depend on the
    size of the image.
    """

    frequencies: Tensor
    amplitude: Tensor

    @property
    def slope(self) -> Tensor:
        """Log-log slope (3,) over the frequencies, by least squares; near -1 in photographs."""
        x = self.frequencies.log()
        x = x - x.mean()
        return (self.amplitude.log() * x).sum(1) / x.square().sum()


def radial_amplitude(image: Tensor) -> RadialSpectrum:
    """Mean amplitude by frequency of an image (3, h, w) in [0, 1], up to half a cycle a pixel.

    Bins are the same for images of any size; a smaller one has none of the lowest, whose waves
    would be longer than half its side. Raises ValueError for a side under 8 px.
    """
    height, width = image.shape[-2:]
    if min(height, width) < 8:
        raise ValueError(f"an image of {width} x {height} px is too small: 8 px are needed")
    waves = torch.fft.fft2(decorrelate(image.cpu().double()), norm="ortho").abs()
    down, across = (torch.fft.fftfreq(side, dtype=torch.float64) for side in (height, width))
    radius = torch.hypot(down[:, None], across[None])
    octaves = math.log2(min(height, width) / 2 / _LOWEST_CYCLES)
    count = math.floor(octaves * _BINS_AN_OCTAVE + 1e-9)
    # From half a cycle a pixel downwards, so that edges do not depend on the size.
    steps = torch.arange(-count, 1, dtype=torch.float64) / _BINS_AN_OCTAVE
    edges = 0.5 * 2**steps
    edges[-1] += 1e-9  # half a cycle a pixel belongs to the last bin
    bins = torch.bucketize(radius, edges, right=True)  # 0 below the first edge
    amplitude = [waves[:, bins == place].mean(1) for place in range(1, count + 1)]
    return RadialSpectrum((edges[:-1] * edges[1:]).sqrt(), torch.stack(amplitude, dim=1))


def mean_spectrum(images: Iterable[Tensor]) -> RadialSpectrum:
    """The mean of `radial_amplitude` over images (3, h, w), at the frequencies all of them have.

    Raises ValueError for no image.
    """
    spectra = [radial_amplitude(image) for image in images]
    if not spectra:
        raise ValueError("there is no image to take a spectrum of")
    fewest = min((one.frequencies for one in spectra), key=len)
    amplitudes = [one.amplitude[:, -len(fewest) :] for one in spectra]
    return RadialSpectrum(fewest, torch.stack(amplitudes).mean(0))
