"""The shipped spectrum: the two sets of photographs side by side, and beside the public file.

First table: mean amplitude of the 256 px set over that of the 512 px set, by radius (cycles an
image) and channel. Second: log-log slope of the shipped spectrum, of the public file, correlation
of their logarithms over all bins of the band, and the geometric mean of their ratio.
"""

from __future__ import annotations

import click
import numpy as np
import torch
from networks import SHARED
from torch import Tensor

from maco import Spectrum, estimate, natural_spectrum
from maco.images import find_images, stream

BANDS = ((1, 4), (4, 16), (16, 32), (32, 64), (64, 96), (96, 128), (64, 128), (128, 256))


def radial(spectrum: Spectrum, low: int, high: int) -> Tensor:
    """Geometric mean amplitude (3,) over radii low to high."""
    k = torch.arange(spectrum.amplitude.shape[-1])
    radius = torch.hypot(k[:, None].double(), k[None].double())
    inside = (radius >= low) & (radius < high)
    return spectrum.amplitude[:, inside].log().mean(1).exp()


@click.command(help=__doc__)
def main() -> None:
    """The command line."""
    small = (image for image in stream(find_images(SHARED / "imagenet_sample")))
    at_256 = estimate(image for image in small if min(image.shape[-2:]) == 256)
    at_512 = estimate(stream(find_images(SHARED / "imagenet_512")))
    print(f"{at_256.images} photographs of 256 px over {at_512.images} of 512 px")
    for low, high in BANDS[:-2]:
        ratio = radial(at_256, low, high) / radial(at_512, low, high)
        print(f"  {low:3d} to {high:3d}   " + "  ".join(f"{value:.2f}" for value in ratio.tolist()))
    public = torch.from_numpy(np.load(SHARED / "spectrum" / "imagenet_decorrelated.npy")).double()
    ours = natural_spectrum().magnitude(512, 512).double()
    down = torch.fft.fftfreq(512, dtype=torch.float64) * 512
    radius = torch.hypot(down[:, None], torch.arange(257)[None].double())
    print("shipped beside public: slope, slope, correlation, ratio; three channels")
    for low, high in BANDS:
        inside = (radius >= low) & (radius < high)
        x = radius[inside].log()
        cells = []
        for channel in range(3):
            a, b = ours[channel][inside].log(), public[channel][inside].log()
            slopes = [float(np.polyfit(x, y, 1)[0]) for y in (a, b)]
            correlation, ratio = float(np.corrcoef(a, b)[0, 1]), float((a - b).mean().exp())
            cells.append(f"{slopes[0]:5.2f} {slopes[1]:5.2f} {correlation:.3f} {ratio:5.2f}")
        print(f"  {low:3d} to {high:3d}   " + " | ".join(cells))


if __name__ == "__main__":
    main()
