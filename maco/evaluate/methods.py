"""The methods that are compared: each a preset and what of its picture is measured.

The paper's Table 1 compares `maco`, `olah` and `cbr`; its Table 3 takes MACO apart:

    maco_masked        the image through its transparency, over grey
    maco               - transparency
    maco_no_crop       - crops: the whole image, under noise
    maco_no_noise      - noise: the whole image as it is
    maco_no_magnitude  MACO's views on a spectrum whose magnitude is free too
    olah_no_transforms the free spectrum on the whole image
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maco.presets import Preset, find_preset

ABLATION = (
    "maco_masked",
    "maco",
    "maco_no_crop",
    "maco_no_noise",
    "maco_no_magnitude",
    "olah",
    "olah_no_transforms",
)


@dataclass(frozen=True)
class Method:
    """A way to make a picture of a unit.

    name: in tables and folders. title: in figures. preset: how it is rendered. masked: whether the
    picture is measured through its transparency. render: the method whose render it shows, which is
    its own but for masked ones.
    """

    name: str
    title: str
    preset: Preset
    masked: bool = False
    rendered_as: str = ""

    @property
    def render(self) -> str:
        """The folder of its renders."""
        return self.rendered_as or self.name


def _methods() -> dict[str, Method]:
    paper, olah, cbr = (find_preset(name) for name in ("paper", "olah", "cbr"))
    whole = {"crop_side": 1.0, "crop_side_sd": 0.0, "crop_centre_sd": 0.0}
    free = find_preset("paper", parameterization="fourier", optimizer="adam", learning_rate=0.05)
    listed = [
        Method("maco", "MACO", paper),
        Method("maco_masked", "MACO, masked", paper, masked=True, rendered_as="maco"),
        Method("maco_no_crop", "MACO - crops", find_preset(paper, **whole)),
        Method("maco_no_noise", "MACO - crops, noise", find_preset(paper, transforms="none")),
        Method("maco_no_magnitude", "MACO - magnitude", free),
        Method("olah", "Olah", olah),
        Method("olah_no_transforms", "Olah - transforms", find_preset(olah, transforms="none")),
        Method("lucid", "Olah (Lucid)", find_preset("lucid")),
        Method("cbr", "CBR", cbr),
    ]
    return {method.name: method for method in listed}


METHODS: Mapping[str, Method] = _methods()


def read_methods(path: Path | None) -> dict[str, Method]:
    """The methods above, with those that a TOML file adds or changes.

        [methods.maco]           # every field of maco.presets.Preset, and title
        steps = 128
        [methods.maco_wide]
        base = "maco"
        crop_side = 0.5

    A change of a method also changes those that were made from it by name: maco_masked shows maco.
    Raises ValueError naming the file, the method and the key.
    """
    methods = dict(METHODS)
    for name, changes in _tables(path).items():
        base = changes.pop("base", name)
        if base not in methods:
            close = difflib.get_close_matches(base, methods, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"{path}: [methods.{name}] is based on {base!r}{hint}")
        title = changes.pop("title", methods[base].title if base == name else name)
        try:
            preset = find_preset(methods[base].preset, **changes)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: [methods.{name}]: {error}") from error
        methods[name] = Method(name, title, preset, methods[base].masked)
    for name, method in methods.items():
        if method.rendered_as:
            preset = methods[method.rendered_as].preset
            methods[name] = Method(name, method.title, preset, method.masked, method.rendered_as)
    return methods


def _tables(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None:
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("methods", {})
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise ValueError(f"{path}: methods are tables: [methods.NAME]")
    return {name: dict(table) for name, table in tables.items()}
