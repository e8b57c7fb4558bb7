"""Parameters to images in [0, 1]: the phase of a natural spectrum, a free spectrum, or pixels.

A parameterization has no state: `initial` draws parameters for some units, one generator each, and
calling it turns parameters into images. Every unit's image depends on its own parameters alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from maco.color import correlate, recorrelate
from maco.spectrum import Spectrum

ToPixels = Callable[[Tensor], Tensor]


class Parameterization(Protocol):
    """Parameters of n units <-> their images."""

    def initial(self, generators: Sequence[Generator]) -> Tensor:
        """Parameters (n, ...), row i drawn from generator i, on that generator's device."""

    def __call__(self, parameters: Tensor) -> Tensor:
        """Images (n, 3, height, width) in [0, 1]."""


def soft_clip(values: Tensor, softness: float = 0.1) -> Tensor:
    """Values bent into [0, 1]: unchanged in the middle, exponentially saturating near the ends.

    `softness`: how far from each end the bend begins. The slope falls smoothly from 1 and never
    reaches 0, so that a pixel outside the range can still be called back.
    """
    bent: Tensor = _SoftClip.apply(values, softness)
    return bent


class _SoftClip(torch.autograd.Function):
    """`soft_clip`: beyond the bend at distance d, softness * (1 - exp(-d / softness)) is left of d.

    Written out since its slope is exp(-d / softness), and autograd takes six times as long.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, softness: float) -> Tensor:
        inner = values.clamp(softness, 1 - softness)
        beyond = values - inner
        slope = beyond.abs().div_(-softness).exp_()
        ctx.save_for_backward(slope)
        return inner.add_((1 - slope).copysign_(beyond), alpha=softness)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0] * slope, None


def fixed_range(channels: Tensor) -> Tensor:
    """Decorrelated channels -> pixels at their photographic scale, softly clipped into [0, 1]."""
    return soft_clip(recorrelate(channels))


def standardised_sigmoid(channels: Tensor) -> Tensor:
    """Decorrelated channels -> pixels as public code does: standardise each image, sigmoid."""
    flat = channels.flatten(1)
    scale = flat.std(1)[:, None, None, None]
    return torch.sigmoid(correlate((channels - flat.mean(1)[:, None, None, None]) / scale))


def fitted_range(channels: Tensor, share: float = 0.98) -> Tensor:
    """Decorrelated channels -> pixels, contrast of each image scaled so that nearly all fit [0, 1].

    One factor an image: the shape of its spectrum is left alone. `share` of the values fit, the
    rest is softly clipped.
    """
    pixels = recorrelate(channels)
    centre = pixels.mean((2, 3), keepdim=True)
    room = torch.minimum(centre, 1 - centre).clamp(min=0.05)
    reach = ((pixels - centre).abs() / room).flatten(1).detach()
    fit = reach.kthvalue(max(1, round(share * reach.shape[1])), dim=1).values
    gain = (1 / fit).clamp(max=1)[:, None, None, None]
    return soft_clip(centre + gain * (pixels - centre), 0.05)


class _Waves(torch.autograd.Function):
    """Complex numbers of given phases and magnitudes: `torch.polar`, whose gradient is slow."""

    @staticmethod
    def forward(ctx: Any, phases: Tensor, magnitude: Tensor) -> Tensor:
        waves = torch.complex(torch.cos(phases).mul_(magnitude), torch.sin(phases).mul_(magnitude))
        ctx.save_for_backward(waves)
        return waves

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (waves,) = ctx.saved_tensors
        return (gradients[0] * waves.conj()).imag, None


class MacoPhase:
    """Images whose phase is free and whose magnitude spectrum is given (Fel et al. 2023, eq. 3).

    The parameters are phases (n, 3, height, width // 2 + 1) in radians, one for each bin of
    `torch.fft.rfft2`; any real number will do. Where two bins of a real image are each other's
    conjugate (the first and, for even widths, the last column) the upper one rules; where a bin is
    its own, its phase is kept at 0 or pi, whichever the parameter is nearer to. DC keeps the sign
    of the spectrum's mean colour. So |F| of `decorrelated` is the given magnitude at every bin.
    """

    def __init__(
        self,
        spectrum: Spectrum,
        height_px: int,
        width_px: int,
        *,
        to_pixels: ToPixels = fixed_range,
        standardise: bool = False,
    ) -> None:
        self.shape = (height_px, width_px)
        self.to_pixels = to_pixels
        self.standardise = standardise
        self.magnitude = spectrum.magnitude(height_px, width_px)
        self._dc = torch.where(spectrum.mean < 0, math.pi, 0.0)

    def initial(self, generators: Sequence[Generator]) -> Tensor:
        """Phases, uniform on (-pi, pi); normal for `standardise`, as public code has them."""
        shape = self.magnitude.shape
        if self.standardise:
            return torch.stack(
                [torch.randn(shape, generator=g, device=g.device) for g in generators]
            )
        uniform = [torch.rand(shape, generator=g, device=g.device) for g in generators]
        return (2 * torch.stack(uniform) - 1) * math.pi

    def decorrelated(self, parameters: Tensor) -> Tensor:
        """Decorrelated images (n, 3, height, width) with the given magnitude."""
        phases = parameters
        if self.standardise:
            flat = phases.flatten(1)
            phases = (phases - flat.mean(1)[:, None, None, None]) / (
                flat.std(1)[:, None, None, None] + 1e-4
            )
        waves = _Waves.apply(self.hermitian(phases), self.magnitude.to(phases))
        channels: Tensor = torch.fft.irfft2(waves, s=self.shape)
        return channels

    def hermitian(self, phases: Tensor) -> Tensor:
        """The phases (n, 3, height, width // 2 + 1) of a real image that these phases name."""
        bins, even = phases.shape[-1], self.shape[1] % 2 == 0
        # A split has one gradient; slices would each have one of full size.
        sizes = [1, bins - 1 - even] + [1] * even
        first, middle, *last = torch.split(phases, sizes, dim=-1)
        dc = self._dc.to(phases)[None, :, None, None].expand(len(phases), -1, 1, 1)
        first = torch.cat([dc, self._mirrored(first)[..., 1:, :]], dim=-2)
        return torch.cat([first, middle, *map(self._mirrored, last)], dim=-1)

    @staticmethod
    def _mirrored(column: Tensor) -> Tensor:
        """A column (..., height, 1) of phases made antisymmetric: bin -k has minus bin k's."""
        height = column.shape[-2]
        real = math.pi * (torch.cos(column.detach()) < 0).to(column)
        upper = column[..., 1 : (height + 1) // 2, :]
        parts = [real[..., :1, :], upper]
        if height % 2 == 0:
            parts.append(real[..., height // 2 : height // 2 + 1, :])
        return torch.cat([*parts, -upper.flip(-2)], dim=-2)

    def __call__(self, parameters: Tensor) -> Tensor:
        """Images (n, 3, height, width) in [0, 1]."""
        return self.to_pixels(self.decorrelated(parameters))


class FourierSpectrum:
    """A free spectrum, scaled by 1/frequency (Olah et al. 2017; Lucid's `fft_image`).

    The parameters are real and imaginary parts (n, 3, height, width // 2 + 1, 2); the image is the
    sigmoid of the recorrelated inverse transform.
    """

    def __init__(self, height_px: int, width_px: int, *, initial_sd: float = 0.01) -> None:
        self.shape = (height_px, width_px)
        self.initial_sd = initial_sd
        down = torch.fft.fftfreq(height_px)
        across = torch.fft.rfftfreq(width_px)
        frequency = torch.hypot(down[:, None], across[None, :])
        floor = 1 / max(height_px, width_px)
        # Lucid divides by 4 so that the sigmoid starts out where it is nearly linear.
        self.scale = (height_px * width_px) ** 0.5 / frequency.clamp(min=floor) / 4

    def initial(self, generators: Sequence[Generator]) -> Tensor:
        """Real and imaginary parts, normal with s.d. `initial_sd`."""
        shape = (3, *self.scale.shape, 2)
        drawn = [torch.randn(shape, generator=g, device=g.device) for g in generators]
        return self.initial_sd * torch.stack(drawn)

    def __call__(self, parameters: Tensor) -> Tensor:
        """Images (n, 3, height, width) in [0, 1]."""
        waves = torch.view_as_complex(parameters) * self.scale.to(parameters)
        return torch.sigmoid(correlate(torch.fft.irfft2(waves, s=self.shape)))


class PixelBuffer:
    """Decorrelated pixels themselves (n, 3, height, width), through a sigmoid: the CBR baseline."""

    def __init__(self, height_px: int, width_px: int, *, initial_sd: float = 0.01) -> None:
        self.shape = (height_px, width_px)
        self.initial_sd = initial_sd

    def initial(self, generators: Sequence[Generator]) -> Tensor:
        """Pixels, normal with s.d. `initial_sd`."""
        shape = (3, *self.shape)
        drawn = [torch.randn(shape, generator=g, device=g.device) for g in generators]
        return self.initial_sd * torch.stack(drawn)

    def __call__(self, parameters: Tensor) -> Tensor:
        """Images (n, 3, height, width) in [0, 1]."""
        return torch.sigmoid(correlate(parameters))
