"""The site's files: the page, its scripts, an index of all units and a script for each unit.

Data are scripts that call a function of the page, because a page opened from disk may load scripts
and pictures but may not read files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from maco.files import write_atomically
from maco.gallery.catalog import Render, Unit, address
from maco.gallery.concepts import Concepts, Heatmap, Patch
from maco.gallery.copies import UNIT_SCRIPT, Copy
from maco.gallery.exhibition import Exhibition, concept_target, folder_of, target
from maco.gallery.spectra import describe_natural


def write_pages(shown: Exhibition, copies: Mapping[str, Copy], site: Path) -> None:
    """Writes everything but the pictures; a file that would not change is left alone."""
    _write_assets(shown.title, site)
    _write(site / "index.js", _call("index", _index(shown, copies)))
    renders: dict[Unit, list[Render]] = {unit: [] for unit in shown.units}
    for render in shown.renders:
        renders[render.unit].append(render)
    concepts: dict[Unit, list[Concepts]] = {unit: [] for unit in shown.units}
    for one in shown.concepts:
        concepts[one.unit].append(one)
    for unit in shown.units:
        detail = {
            "key": unit.key,
            "pictures": [
                _picture(shown, render, copies[target(render)]) for render in renders[unit]
            ],
            "concepts": [_concepts(one, copies) for one in concepts[unit]],
        }
        _write(site / folder_of(unit) / UNIT_SCRIPT, _call("receive", detail))


def _index(shown: Exhibition, copies: Mapping[str, Copy]) -> dict[str, Any]:
    """All that the wall needs: names, and which seeds there are, as a digit a unit and column."""
    seeds: dict[tuple[tuple[str, str], Unit], list[int]] = {}
    for render in shown.renders:
        seeds.setdefault((render.column, render.unit), []).append(render.seed)
    sets: dict[tuple[int, ...], int] = {(): 0}
    columns = []
    for column in shown.columns:
        own = [tuple(sorted(seeds.get((column, unit), []))) for unit in shown.units]
        columns.append(
            {
                "network": shown.networks.index(column[0]),
                "method": shown.methods.index(column[1]),
                "seeds": [sets.setdefault(one, len(sets)) for one in own],
            }
        )
    return {
        "title": shown.title,
        "networks": [{"name": name, "key": address(name)} for name in shown.networks],
        "methods": [{"name": name, "key": address(name)} for name in shown.methods],
        "columns": columns,
        "seedSets": list(sets),
        "units": [[unit.key, unit.label, unit.index] for unit in shown.units],
        "measures": shown.measures,
        "natural": {
            f"{width}x{height}": describe_natural(width, height)
            for width, height in sorted(
                {copies[target(render)].shape_px for render in shown.renders}
            )
        },
    }


def _picture(shown: Exhibition, render: Render, copy: Copy) -> dict[str, Any]:
    measured = dict(render.measures)
    return {
        "column": shown.columns.index(render.column),
        "seed": render.seed,
        "size": copy.shape_px,
        "spectrum": copy.spectrum,
        "measures": [_value(measured.get(name)) for name in shown.measures],
    }


def _value(text: str | None) -> float | str | None:
    """A measure as the page shows it: a number of four digits, or the words that stood there."""
    try:
        number = float(text or "nan")
    except ValueError:
        return text
    return float(f"{number:.4g}") if math.isfinite(number) else None


def _concepts(one: Concepts, copies: Mapping[str, Copy]) -> dict[str, Any]:
    items = []
    for concept in one.concepts:
        start = concept_target(one, concept)
        items.append(
            {
                "index": concept.index,
                "importance": concept.importance,
                "interval": concept.importance_interval,
                "image": Path(start).name if start in copies else None,
                "size": copies[start].shape_px if start in copies else None,
                "patches": _shown(concept.patches, f"{start}-patch", copies),
                "heatmaps": _shown(concept.heatmaps, f"{start}-heatmap", copies),
            }
        )
    return {"network": one.network, "layer": one.layer, "concepts": items}


def _shown(
    pictures: Sequence[Patch | Heatmap], start: str, copies: Mapping[str, Copy]
) -> list[dict[str, Any]]:
    """Those of some patches or heatmaps that could be copied, with what is known of them."""
    return [
        {**picture.model_dump(exclude={"box_px"}), "image": f"{Path(start).name}-{place}.webp"}
        for place, picture in enumerate(pictures)
        if f"{start}-{place}" in copies
    ]


def _write_assets(title: str, site: Path) -> None:
    for asset in sorted(files(__package__).joinpath("site").iterdir(), key=lambda one: one.name):
        content = asset.read_bytes()
        if asset.name == "index.html":
            content = Template(content.decode()).substitute(title=escape(title)).encode()
        _write(site / asset.name, content)


def _call(function: str, data: object) -> bytes:
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return f"Gallery.{function}({text});\n".encode()


def _write(path: Path, content: bytes) -> None:
    if not (path.is_file() and path.read_bytes() == content):
        write_atomically(path, content)
