"""The transforms under which Olah's and the pixel-space baselines are optimised.

They turn images (n, 3, h, w) into views as those of `maco.transforms` do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from maco.transforms import resample


@dataclass(frozen=True)
class Robustness:
    """Lucid's standard transforms: pad, jitter, scale, rotate, jitter (Olah et al. 2017).

    pad_px of mid grey; a random cut of jitter_px less; a scale out of .90, .92 ... 1.10; an angle
    out of -10 ... 10 degrees in whole steps and five times 0; a cut of last_jitter_px less. All in
    one resampling, at the image's own resolution; what lies outside is mid grey.
    Gradients on CUDA are summed in no fixed order (torch's grid sampler).
    """

    count: int = 1
    pad_px: int = 12
    jitter_px: int = 8
    scales: tuple[float, ...] = tuple(1 + (i - 5) / 50 for i in range(11))
    angles_deg: tuple[float, ...] = (*range(-10, 11), 0, 0, 0, 0, 0)
    last_jitter_px: int = 4

    def __call__(
        self, images: Tensor, generators: Sequence[Generator], size_px: int, progress: float
    ) -> Tensor:
        """Views (n * count, 3, h', w'), h' = h + 2 pad - jitters: the classifier resizes them."""
        height, width = images.shape[-2:]
        shrink = 2 * self.pad_px - self.jitter_px - self.last_jitter_px
        out_h, out_w = height + shrink, width + shrink
        first, scale, angle, last = self.draw(generators)
        x = torch.arange(out_w, device=images.device) + 0.5 - out_w / 2
        y = torch.arange(out_h, device=images.device) + 0.5 - out_h / 2
        at = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None] + last[:, None, None]
        turn = torch.stack(
            [
                torch.stack([torch.cos(angle), -torch.sin(angle)], dim=-1),
                torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1),
            ],
            dim=-2,
        )
        at = torch.einsum("nij,nhwj->nhwi", turn, at) / scale[:, None, None, None]
        at = at + first[:, None, None]
        grid = 2 * at / at.new_tensor([width, height])
        source = images.repeat_interleave(self.count, 0) - 0.5
        views = F.grid_sample(source, grid, mode="bilinear", align_corners=False)
        return views + 0.5

    def draw(self, generators: Sequence[Generator]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """First cut's shift (m, 2) px, scale (m,), angle (m,) rad, last cut's shift (m, 2) px."""

        def whole(below: int, *shape: int) -> Tensor:
            return torch.cat(
                [
                    torch.randint(below, (self.count, *shape), generator=g, device=g.device)
                    for g in generators
                ]
            )

        first = whole(self.jitter_px + 1, 2) - self.jitter_px / 2
        scales = torch.tensor(self.scales, device=first.device)[whole(len(self.scales))]
        angles = torch.tensor(self.angles_deg, device=first.device)[whole(len(self.angles_deg))]
        last = whole(self.last_jitter_px + 1, 2) - self.last_jitter_px / 2
        return first, scales, torch.deg2rad(angles.float()), last


@dataclass(frozen=True)
class XpliqueStandard:
    """Xplique's standard transforms, the paper's for Olah and CBR (Fel et al. 2023, section 4).

    With u = side / 16: pad 4u of black; cuts of 2u, 2u, 4u, 4u, 4u less at random places; a scale
    from U(.92, .96); Gaussian blur of s.d. U(1, 1.1) px; cuts of u and u less; a flip, or none; the
    network's input size. All but blur and flip are one square box, read in one resampling. So a
    network sees little more than a third of the image's side at a time.
    """

    count: int = 1
    cuts: tuple[int, ...] = (2, 2, 4, 4, 4)
    last_cuts: tuple[int, ...] = (1, 1)
    pad: int = 4
    scales: tuple[float, float] = (0.92, 0.96)
    blurs_px: tuple[float, float] = (1.0, 1.1)

    def __call__(
        self, images: Tensor, generators: Sequence[Generator], size_px: int, progress: float
    ) -> Tensor:
        """Views (n * count, 3, size_px, size_px) of square images."""
        height, width = images.shape[-2:]
        if height != width:
            raise ValueError(
                f"an image of {width} x {height} px: Xplique's transforms need a square"
            )
        boxes, scale, blur, flip = self.draw(generators, images.shape[-1])
        margin = self.pad * (images.shape[-1] // 16)
        views = resample(F.pad(images, (margin,) * 4), boxes, size_px)
        views = _blur(views, blur * size_px / (boxes[:, 2] * scale))
        return torch.where(flip[:, None, None, None], views.flip(-1), views)

    def draw(
        self, generators: Sequence[Generator], side_px: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes (m, 3) in the padded image, scale (m,), blur (m,) px after scaling, flip (m,)."""
        unit = side_px // 16
        rows = []
        for g in generators:
            uniform = torch.rand(self.count, 3, generator=g, device=g.device)
            first = self._shift(self.cuts, unit, g)
            last = self._shift(self.last_cuts, unit, g)
            scale = self.scales[0] + uniform[:, 0] * (self.scales[1] - self.scales[0])
            blur = self.blurs_px[0] + uniform[:, 1] * (self.blurs_px[1] - self.blurs_px[0])
            kept = side_px + (2 * self.pad - sum(self.cuts)) * unit
            side = kept - sum(self.last_cuts) * unit / scale
            corner = first + last / scale[:, None]
            rows.append(
                torch.cat(
                    [corner, side[:, None], scale[:, None], blur[:, None], uniform[:, 2:]], dim=1
                )
            )
        drawn = torch.cat(rows)
        return drawn[:, :3], drawn[:, 3], drawn[:, 4], drawn[:, 5] < 0.5

    def _shift(self, cuts: Sequence[int], unit: int, g: Generator) -> Tensor:
        """Where the window lies after cuts of so many units less, (count, 2) px."""
        shift = torch.zeros(self.count, 2, device=g.device)
        for cut in cuts:
            shift += torch.randint(cut * unit + 1, shift.shape, generator=g, device=g.device)
        return shift


def _blur(views: Tensor, sd: Tensor) -> Tensor:
    """Each view under a Gaussian of its own s.d. (n,) in pixels, edges mirrored."""
    reach = max(1, math.ceil(3 * float(sd.max())))
    at = torch.arange(-reach, reach + 1, device=views.device)
    weights = torch.exp(-(at**2) / (2 * sd[:, None] ** 2))
    weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None]
    framed = F.pad(views, (reach,) * 4, mode="reflect")
    flat = framed.reshape(1, -1, *framed.shape[-2:])
    groups = flat.shape[1]
    down = F.conv2d(flat, weights[..., :, None], groups=groups)
    return F.conv2d(down, weights[..., None, :], groups=groups).reshape(views.shape)
