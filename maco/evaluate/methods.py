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

from maco.presets import CROP_FIELDS, Preset, find_preset

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
    picture is measured through its transparency. rendered_as: the method whose render it shows,
    where that is not its own.
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


_WHOLE = {"crop_side": 1.0, "crop_side_sd": 0.0, "crop_centre_sd": 0.0}
_FREE = {"parameterization": "fourier", "optimizer": "adam", "learning_rate": 0.05}

# Made from another method: name -> that method, title, what differs. They follow its changes.
_DERIVED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "maco_no_crop": ("maco", "MACO - crops", _WHOLE),
    "maco_no_noise": ("maco", "MACO - crops - noise", {"transforms": "none", "crops": 1}),
    "maco_no_magnitude": ("maco", "MACO's views, free spectrum", _FREE),
    "olah_no_transforms": ("olah", "Olah - transforms", {"transforms": "none", "crops": 1}),
}


def _base_methods() -> dict[str, Method]:
    presets = {"maco": "paper", "olah": "olah", "lucid": "lucid", "cbr": "cbr"}
    titles = {"maco": "MACO", "olah": "Olah", "lucid": "Olah (Lucid)", "cbr": "CBR"}
    return {
        name: Method(name, titles[name], find_preset(preset)) for name, preset in presets.items()
    }


def _derive(methods: Mapping[str, Method]) -> dict[str, Method]:
    """The methods with those that are made from them."""
    derived = {
        name: Method(name, title, _without(methods[base].preset, changes))
        for name, (base, title, changes) in _DERIVED.items()
        if name not in methods
    }
    maco = methods["maco"]
    masked = Method("maco_masked", f"{maco.title}, masked", maco.preset, True, "maco")
    return {**methods, masked.name: masked, **derived}


def _without(preset: Preset, changes: Mapping[str, Any]) -> Preset:
    """A preset with changes, and without the fields that would then change nothing."""
    idle = {}
    if changes.get("transforms", "crops") != "crops":
        idle = {name: getattr(Preset(), name) for name in CROP_FIELDS}
    if changes.get("parameterization", "maco") != "maco":
        idle |= {name: getattr(Preset(), name) for name in ("to_pixels", "standardise")}
    return find_preset(preset, **{**idle, **changes})


METHODS: Mapping[str, Method] = _derive(_base_methods())


def read_methods(path: Path | None) -> dict[str, Method]:
    """The methods above, with those that a TOML file adds or changes.

        [methods.maco]           # every field of maco.presets.Preset, and title
        steps = 128
        [methods.maco_wide]
        base = "maco"
        crop_side = 0.5

    A change of a method also changes those that were made from it: every maco_ then has 128 steps.
    Raises ValueError naming the file, the method and the key.
    """
    methods = _base_methods()
    for name, changes in _tables(path).items():
        known = _derive(methods)
        base = changes.pop("base", name)
        if base not in known:
            close = difflib.get_close_matches(base, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"{path}: [methods.{name}] is based on {base!r}{hint}")
        title = changes.pop("title", known[base].title if base == name else name)
        try:
            preset = find_preset(known[base].preset, **changes)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: [methods.{name}]: {error}") from error
        methods[name] = Method(name, title, preset, known[base].masked)
    return _derive(methods)


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
