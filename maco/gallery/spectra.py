"""The radial spectrum of a picture, small enough to travel with it."""

from __future__ import annotations

import torch
from torch import Tensor

from maco.color import recorrelate
from maco.metrics.naturalness import radial_amplitude
from maco.spectrum import natural_spectrum

SCALE = 1000  # amplitudes are kept as whole thousandths of their decimal logarithm


def describe(image: Tensor) -> tuple[int, ...]:
    """1000 log10 of an image's amplitude by frequency, lowest first.

    image: (3, h, w) in [0, 1]. Of the first decorrelated channel, brightness, in the bins of
    `radial_amplitude`: half an octave each, the last one ending at half a cycle a pixel.
    Empty for an image under 8 px.
    """
    if min(image.shape[-2:]) < 8:
        return ()
    log = radial_amplitude(image).amplitude[0].clamp(min=1e-9).log10()
    return tuple(int(value) for value in (SCALE * log).round())


def describe_natural(width_px: int, height_px: int) -> tuple[int, ...]:
    """The same for the mean magnitude of photographs at some size."""
    magnitude = natural_spectrum().magnitude(height_px, width_px).double()
    # Any phases will do: these waves are all at their crest in one corner.
    return describe(recorrelate(torch.fft.irfft2(magnitude, s=(height_px, width_px))))
