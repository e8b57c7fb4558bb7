"""The mean magnitude spectrum of photographs, r = E|F(x)| (Fel et al. 2023, section 3).

It is kept as a table over frequencies in cycles per image, not over the bins of one image size:
r(H, W) at bin (v, u) is H*W times the amplitude of the wave with v cycles down and u across. So it
can be asked for at any height and width, and a bin keeps its meaning. DC is kept apart: the mean
colour is a number with a sign, not the mean of magnitudes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from maco.color import decorrelate
from maco.files import digest, write_atomically

SMALLEST_PX = 32
_SIDE_STEP_PX = 32  # images are cut to a multiple of this, so that few table sizes are held
# Up to where (cycles per pixel) a photograph's spectrum is taken at its word, by channel: JPEG
# halves the resolution of colour, and its roll-off begins at a sixteenth (docs/method.md).
_TRUSTED = (3 / 8, 1 / 16, 1 / 16)

_NO_WAVE = 1e-9  # an amplitude that rounding alone would give


@dataclass(frozen=True)
class Spectrum:
    """Mean magnitude spectrum of decorrelated photographs.

    amplitude: (3, K+1, K+1) float32, E|F|/(H*W) by channel, cycles down and cycles across the
        image; the same for a wave and its mirror image. [:, 0, 0] is 0.
    mean: (3,) float32, the mean decorrelated colour (signed).
    images: how many photographs it was measured on.
    """

    amplitude: Tensor
    mean: Tensor
    images: int = 0
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        shape = tuple(self.amplitude.shape)
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2] or shape[1] < 3:
            raise ValueError(f"amplitude has shape {shape}: (3, K+1, K+1) with K >= 2 is needed")
        if tuple(self.mean.shape) != (3,):
            raise ValueError(f"mean has shape {tuple(self.mean.shape)}: (3,) is needed")
        if not bool((self.amplitude.flatten(1)[:, 1:] > 0).all()):
            raise ValueError("amplitude must be positive at every frequency but DC")

    def magnitude(self, height_px: int, width_px: int) -> Tensor:
        """r at every bin of `torch.fft.rfft2` (unnormalised) of a height x width image.

        Returns (3, height, width // 2 + 1) float32; DC is H*W*|mean colour|. A non-square image
        stands for a square one of the same area: frequencies keep their cycles per pixel. Log
        amplitude is interpolated bilinearly between whole cycles, and goes on as the power law of
        the table's last octave beyond its end. Raises ValueError for a side under 2 px.
        """
        if height_px < 2 or width_px < 2:
            raise ValueError(
                f"an image of {width_px} x {height_px} px has no spectrum: at least 2 x 2"
            )
        area, side = height_px * width_px, (height_px * width_px) ** 0.5
        down = torch.fft.fftfreq(height_px, dtype=torch.float64).abs() * side
        across = torch.fft.rfftfreq(width_px, dtype=torch.float64).abs() * side
        magnitude = area * _look_up(self.amplitude.double(), down, across)
        magnitude[:, 0, 0] = area * self.mean.double().abs()
        return magnitude.float()

    def digest(self) -> str:
        """SHA-256 of the table and the mean."""
        tensors = (self.amplitude.contiguous(), self.mean.contiguous())
        return digest(b"".join(tensor.numpy().tobytes() for tensor in tensors))

    def save(self, path: Path) -> None:
        """Writes a safetensors file."""
        metadata = {"maco": json.dumps({"images": self.images, "source": self.source})}
        tensors = {"amplitude": self.amplitude.contiguous(), "mean": self.mean.contiguous()}
        write_atomically(path, save(tensors, metadata))

    @classmethod
    def load(cls, path: Path) -> Spectrum:
        """Reads a file of `save`; raises ValueError if it is none."""
        try:
            with safe_open(path, "pt") as file:
                facts = json.loads((file.metadata() or {})["maco"])
                return cls(file.get_tensor("amplitude"), file.get_tensor("mean"), **facts)
        except FileNotFoundError as error:
            raise ValueError(f"{path} does not exist") from error
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise ValueError(
                f"{path} is no spectrum file: make one with python -m maco.spectrum"
            ) from error


def natural_spectrum() -> Spectrum:
    """The spectrum that ships with the package: 1,038 photographs of ImageNet's classes."""
    with resources.as_file(resources.files("maco") / "data" / "photographs.safetensors") as path:
        return Spectrum.load(path)


def _look_up(amplitude: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Amplitude (3, rows, columns) at some cycles `down` (rows,) and `across` (columns,)."""
    last = amplitude.shape[-1] - 1
    log = amplitude.log()
    # DC has no place on the log scale; what lies between DC and one cycle takes the nearest waves'.
    log[:, 0, 0] = (log[:, 0, 1] + log[:, 1, 0]) / 2
    v, u = torch.meshgrid(down, across, indexing="ij")
    outside = (torch.maximum(v, u) / last).clamp(min=1)  # how far beyond the table, along the ray
    v, u = v / outside, u / outside
    top = v.floor().clamp(max=last - 1)
    left = u.floor().clamp(max=last - 1)
    dv, du = v - top, u - left
    i, j = top.long(), left.long()
    inside = (
        log[:, i, j] * (1 - dv) * (1 - du)
        + log[:, i + 1, j] * dv * (1 - du)
        + log[:, i, j + 1] * (1 - dv) * du
        + log[:, i + 1, j + 1] * dv * du
    )
    return (inside + _slope(amplitude, last / 2, last)[:, None, None] * outside.log()).exp()


def _radius(last: int) -> Tensor:
    k = torch.arange(last + 1, dtype=torch.float64)
    return torch.hypot(k[:, None], k[None, :])


def _slope(amplitude: Tensor, low: float, high: float) -> Tensor:
    """Log-log slope (3,) of the amplitude over radii low..high cycles, by least squares."""
    radius = _radius(amplitude.shape[-1] - 1)
    band = (radius >= low) & (radius <= high)
    x = radius[band].log()
    y = amplitude[:, band].double().log()
    x = x - x.mean()
    return (y * x).sum(1) / (x * x).sum()


def estimate(photographs: Iterable[Tensor], *, size_px: int = 512, source: str = "") -> Spectrum:
    """Measures the spectrum of photographs (3, h, w) in [0, 1] of any size, one at a time.

    Each is cut to its central square, and brought down to `size_px` if it is larger. A smaller one
    tells of fewer frequencies: those above the end of what a set of images can be trusted for come
    from the larger images alone, at the level that joins on to the octave below.
    Raises ValueError for an image under 32 px, or for no image at all.
    """
    tables: dict[int, _Sum] = {}
    for photograph in photographs:
        square = _central_square(photograph, size_px)
        tables.setdefault(square.shape[-1], _Sum()).add(decorrelate(square.double()))
    if not tables:
        raise ValueError("a spectrum needs at least one photograph")
    count = sum(table.count for table in tables.values())
    mean = sum(table.mean for table in tables.values()) / count
    amplitude = _join(tables)
    if bool((amplitude.flatten(1)[:, 1:] < _NO_WAVE).any()):
        raise ValueError(
            f"{count} photographs without contrast at some frequencies (plain, black or drawn"
            " images) have no natural spectrum: measure photographs"
        )
    return Spectrum(amplitude.float(), torch.as_tensor(mean).float(), count, source)


class _Sum:
    """Running sums over images of one size."""

    def __init__(self) -> None:
        self.count = 0
        self.amplitude: Tensor | float = 0.0
        self.mean: Tensor | float = 0.0

    def add(self, channels: Tensor) -> None:
        side = channels.shape[-1]
        half = side // 2
        waves = torch.fft.rfft2(channels, norm="forward").abs()
        falling = waves[:, : half + 1]
        rising = torch.cat([waves[:, :1], waves[:, side - half :].flip(1)], dim=1)
        self.amplitude = self.amplitude + (falling + rising) / 2
        self.mean = self.mean + channels.mean((1, 2))
        self.count += 1


def _central_square(photograph: Tensor, size_px: int) -> Tensor:
    height, width = photograph.shape[-2:]
    side = min(height, width)
    if side < SMALLEST_PX:
        raise ValueError(
            f"a photograph of {width} x {height} px is too small: {SMALLEST_PX} px needed"
        )
    if side < size_px:
        side -= side % _SIDE_STEP_PX
    top, left = (height - side) // 2, (width - side) // 2
    square = photograph[:, top : top + side, left : left + side]
    if side <= size_px:
        return square
    smaller: Tensor = torch.nn.functional.interpolate(
        square[None], (size_px, size_px), mode="bicubic", antialias=True
    )[0]
    return smaller


def _join(tables: dict[int, _Sum]) -> Tensor:
    """One amplitude table (3, K+1, K+1) of sums over images of several sizes."""
    sides = sorted(tables)
    last = sides[-1] // 2
    radius = _radius(last)
    joined = torch.zeros(3, last + 1, last + 1, dtype=torch.float64)
    for channel, trusted in enumerate(_TRUSTED):
        known = 0.0
        for side in sides:
            mean = _mean_from(tables, side)[channel]
            k = mean.shape[-1]
            until = trusted * side if side < sides[-1] else float("inf")
            band = (radius > known) & (radius <= until)
            band[k:], band[:, k:] = False, False
            octave = (radius > known / 2) & (radius <= known)
            gain = 1.0
            if known > 0:
                inside = octave[:k, :k]
                ratio = joined[channel, :k, :k][inside] / mean[inside]
                gain = float(ratio.log().mean().exp())
            joined[channel, :k, :k][band[:k, :k]] = gain * mean[band[:k, :k]]
            known = until
    return joined


def _mean_from(tables: dict[int, _Sum], side: int) -> Tensor:
    """Mean amplitude over all images at least `side` px large, at frequencies all of them have."""
    k = side // 2 + 1
    larger = [table for other, table in tables.items() if other >= side]
    total = sum(torch.as_tensor(table.amplitude)[:, :k, :k] for table in larger)
    return torch.as_tensor(total) / sum(table.count for table in larger)
