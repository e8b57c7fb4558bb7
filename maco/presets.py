"""How others render, by name: the paper and the public code that carries it.

paper    Fel et al. 2023: MACO, 512 px, 256 steps, crops N(.25, .1), uniform noise
horama   Horama 0.3: MACO, 1280 px, 1000 steps, phases standardised at every step
xplique  Xplique 2: MACO, 512 px, 32 crops that shrink from .5 to .05 of the image
lucid    Olah et al. 2017: free Fourier spectrum, 128 px, 512 steps, Lucid's transforms
olah     the same spectrum as the paper rendered it: 512 px, 256 steps, Xplique's transforms
cbr      a plain pixel buffer under the same transforms (the paper's pixel-space baseline)
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from maco.parameterizations import (
    FourierSpectrum,
    MacoPhase,
    Parameterization,
    PixelBuffer,
    fitted_range,
    fixed_range,
    standardised_sigmoid,
)
from maco.robustness import Robustness, XpliqueStandard
from maco.spectrum import Spectrum
from maco.transforms import CropAndNoise, Transform, WholeImage

PIXEL_MAPS = {
    "fixed_range": fixed_range,
    "fitted_range": fitted_range,
    "sigmoid": standardised_sigmoid,
}

_FIXED_TRANSFORMS = {"lucid": Robustness, "xplique": XpliqueStandard, "none": WholeImage}

CROP_FIELDS = (
    "crop_side",
    "crop_side_end",
    "crop_side_sd",
    "crop_centre_sd",
    "noise_uniform",
    "noise_normal",
)


@dataclass(frozen=True)
class Preset:
    """Everything that shapes a visualization beside network, objective, spectrum and seed.

    parameterization: "maco", "fourier" or "pixels". size_px: height and width, or one side.
    steps; optimizer "nadam" or "adam" with learning_rate (radians a step for phases), and
    schedule "constant" or "cosine" (to 0 at the last step).
    transforms: "crops" are those of `CropAndNoise`, shaped by the fields crop_ and noise_; "lucid"
    (`Robustness`), "xplique" (`XpliqueStandard`) and "none" (`WholeImage`) have no fields.
    crops: views a step, of any of these. to_pixels and standardise: MACO only.
    precision: "auto" lets the network compute in bfloat16 where the device has it in hardware (all
    else is float32); "float32" never does.
    """

    parameterization: str = "maco"
    size_px: int | Sequence[int] = 512
    steps: int = 256
    optimizer: str = "nadam"
    learning_rate: float = 1.0
    schedule: str = "constant"
    to_pixels: str = "fixed_range"
    standardise: bool = False
    transforms: str = "crops"
    crops: int = 8
    crop_side: float = 0.25
    crop_side_end: float | None = None
    crop_side_sd: float = 0.1
    crop_centre_sd: float = 0.15
    noise_uniform: float = 0.1
    noise_normal: float = 0.0
    precision: str = "auto"

    def __post_init__(self) -> None:
        choices = {
            "parameterization": ("maco", "fourier", "pixels"),
            "optimizer": ("nadam", "adam"),
            "schedule": ("constant", "cosine"),
            "to_pixels": tuple(PIXEL_MAPS),
            "transforms": ("crops", *_FIXED_TRANSFORMS),
            "precision": ("auto", "float32"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}: {', '.join(allowed)}")
        sides = self.size_px if isinstance(self.size_px, Sequence) else (self.size_px,) * 2
        if len(sides) != 2 or min(sides) < 2:
            raise ValueError(f"size_px is {self.size_px}: one side or (height, width), 2 or more")
        for name in ("steps", "crops"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: 1 or more")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: it must be positive")
        for name in ("crop_side", "crop_side_end"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"{name} is {value}: a fraction of the image in (0, 1]")
        for name in ("crop_side_sd", "crop_centre_sd", "noise_uniform", "noise_normal"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: 0 or more")
        self._refuse_idle_fields()

    def _refuse_idle_fields(self) -> None:
        """Raises ValueError for a field that was changed and would change nothing."""
        idle = []
        if self.transforms != "crops":
            why = f"transforms = {self.transforms!r} draws its own views"
            idle += [(name, why) for name in CROP_FIELDS]
        if self.parameterization != "maco":
            why = f"{self.parameterization!r} has its own map to pixels"
            idle += [("to_pixels", why), ("standardise", why)]
        for field in fields(self):
            for name, why in idle:
                if field.name == name and getattr(self, name) != field.default:
                    raise ValueError(f"{name} has no effect here: {why}")

    def parameters(self, spectrum: Spectrum) -> Parameterization:
        """The parameterization at this size."""
        height, width = self.shape
        if self.parameterization == "maco":
            return MacoPhase(
                spectrum,
                height,
                width,
                to_pixels=PIXEL_MAPS[self.to_pixels],
                standardise=self.standardise,
            )
        kind = FourierSpectrum if self.parameterization == "fourier" else PixelBuffer
        return kind(height, width)

    def transform(self) -> Transform:
        """The random views of each step."""
        if self.transforms != "crops":
            fixed: Transform = _FIXED_TRANSFORMS[self.transforms](count=self.crops)
            return fixed
        return CropAndNoise(
            count=self.crops,
            side=self.crop_side,
            side_end=self.crop_side_end,
            side_sd=self.crop_side_sd,
            centre_sd=self.crop_centre_sd,
            uniform=self.noise_uniform,
            normal=self.noise_normal,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if isinstance(self.size_px, int):
            return (self.size_px, self.size_px)
        height, width = self.size_px
        return (height, width)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


PRESETS: dict[str, Preset] = {
    # The paper says nothing of a phase transform, a schedule, how many crops a step, or where they
    # lie. 8 crops, about the centre as in public code. At a constant 1.0 rad a step phases never
    # settle. Public code slows down unawares, as its standardised phases spread; here it is done
    # openly: the step falls to 0 along a cosine (docs/method.md has the figures).
    "paper": Preset(schedule="cosine"),
    # Documented crops are U(.20, .25); those drawn are U(.25, .30), kept here by mean and s.d.
    # Noise there is in units of an input range of 5. Shown there after a min-max stretch.
    "horama": Preset(
        size_px=1280,
        steps=1000,
        to_pixels="sigmoid",
        standardise=True,
        crops=6,
        crop_side=0.275,
        crop_side_sd=0.0144,
        noise_uniform=0.005,
        noise_normal=0.01,
    ),
    # Noise there is in units of an input range of 2.
    "xplique": Preset(
        to_pixels="sigmoid",
        standardise=True,
        crops=32,
        crop_side=0.5,
        crop_side_end=0.05,
        crop_side_sd=0.05,
        noise_uniform=0.02,
        noise_normal=0.04,
    ),
    "lucid": Preset(
        parameterization="fourier",
        size_px=128,
        steps=512,
        optimizer="adam",
        learning_rate=0.05,
        transforms="lucid",
        crops=1,
    ),
    "olah": Preset(
        parameterization="fourier",
        optimizer="adam",
        learning_rate=0.05,
        transforms="xplique",
        crops=1,
    ),
    "cbr": Preset(
        parameterization="pixels",
        optimizer="adam",
        learning_rate=0.05,
        transforms="xplique",
        crops=1,
    ),
}


def find_preset(preset: str | Preset, **overrides: Any) -> Preset:
    """A preset by name or as it is, with some fields replaced; ValueError names what is allowed."""
    if isinstance(preset, str):
        if preset not in PRESETS:
            close = difflib.get_close_matches(preset, PRESETS, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"unknown preset {preset!r}: {', '.join(PRESETS)}{hint}")
        preset = PRESETS[preset]
    unknown = overrides.keys() - {field.name for field in fields(Preset)}
    if unknown:
        allowed = ", ".join(field.name for field in fields(Preset))
        raise ValueError(f"a preset has no field {sorted(unknown)[0]!r}: {allowed}")
    return replace(preset, **overrides)
