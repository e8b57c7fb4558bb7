"""What there is to show: the visualizations below a folder, with their measures."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from maco.metrics.views import FID_FRACTION

METHODS = {"maco": "maco", "fourier": "olah", "pixels": "cbr"}  # by parameterization
Measures = tuple[tuple[str, str], ...]
_KEYS = ("network", "method", "class_index", "class_label", "seed")
_DETAIL = re.compile(r"^(top1|softmax)_|_raw$")  # measures for the table alone: by classifier, raw


@dataclass(frozen=True)
class Unit:
    """A class, or another unit with its number if it has one. The same one in every network."""

    label: str
    index: int | None = None

    @property
    def key(self) -> str:
        """Its name in addresses and folders: a-z, 0-9 and hyphens, never the same for two."""
        return address(self.label) + ("" if self.index is None else f"-{self.index}")

    @property
    def order(self) -> tuple[bool, int, str]:
        """Numbered units by number, then the others by name."""
        return (self.index is None, self.index or 0, self.label)


@dataclass(frozen=True)
class Render:
    """One visualization: `stem` is what `Visualization.save` was given."""

    network: str
    method: str
    unit: Unit
    seed: int
    stem: Path
    measures: Measures = ()

    @property
    def column(self) -> tuple[str, str]:
        """Where it stands in a comparison: its network and its method."""
        return (self.network, self.method)

    @property
    def masked(self) -> Path:
        """The file with its transparency; under it the colours are those of the whole image."""
        return self.stem.with_name(self.stem.name + "-masked.png")


class _Row(BaseModel):
    render: str
    network: str
    method: str
    label: str
    index: int
    seed: int


def address(name: str) -> str:
    """A name as lower-case letters, digits and hyphens; a digest follows where that loses some."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    if plain and "-" not in name and plain.replace("-", " ") == name:
        return plain
    return f"{plain or 'unit'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def find_renders(folder: Path) -> tuple[list[Render], list[str]]:
    """The visualizations of a folder, and a line for each that cannot be shown.

    With renders.json (of `python -m maco.evaluate`) those it lists, with the rows of
    measurements.csv beside it; else every one below the folder. Raises ValueError for a folder
    that is not there, that holds none, or whose tables cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}: give one that holds visualizations")
    listed = folder / "renders.json"
    faults: list[str] = []
    found = list(_listed(listed) if listed.is_file() else _scanned(folder, faults))
    if not found and not faults:
        raise ValueError(f"{folder} holds no visualization: make some with python -m maco.render")
    kept: dict[tuple[str, str, Unit, int], Render] = {}
    for render in found:
        place = (render.network, render.method, render.unit, render.seed)
        if place in kept:
            faults.append(
                f"{render.stem} is left out: {kept[place].stem} is the same unit and seed"
            )
        elif not render.masked.is_file():
            faults.append(f"{render.stem} is left out: there is no file {render.masked.name}")
        else:
            kept[place] = render
    return list(kept.values()), faults


def _listed(path: Path) -> Iterator[Render]:
    try:
        rows = TypeAdapter(list[_Row]).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path} is no list of renders: {place} {first['msg']}") from error
    measured = _measurements(path.with_name("measurements.csv"))
    for row in rows:
        key = (row.network, row.method, str(row.index))
        yield Render(
            network=row.network,
            method=row.method,
            unit=Unit(row.label, row.index),
            seed=row.seed,
            stem=path.parent / row.render,
            measures=measured.get((*key, str(row.seed))) or measured.get((*key, "")) or (),
        )


def _measurements(path: Path) -> dict[tuple[str, ...], Measures]:
    """Measures by network, method, class index and seed; nothing where there is no file.

    Of a picture that was measured in several cuts, those of the cut nearest to the usual one.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            missing = [name for name in _KEYS if name not in (table.fieldnames or ())]
            if missing:
                raise ValueError(f"{path} has no column {missing[0]}")
            names = [name for name in table.fieldnames or () if name not in _KEYS]
            rows = sorted(table, key=_cut, reverse=True)  # the last one counts
            return {
                tuple(row[key] or "" for key in _KEYS if key != "class_label"): tuple(
                    (name, row[name]) for name in names if row[name] and not _DETAIL.search(name)
                )
                for row in rows
            }
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no table: {error}") from error


def _cut(row: Mapping[str, str]) -> float:
    """How far from the usual one the cut is in which a picture was measured."""
    view = row.get("view") or ""
    return abs(float(view) - FID_FRACTION) if re.fullmatch(r"[\d.]+", view) else 0.0


def _scanned(folder: Path, faults: list[str]) -> Iterator[Render]:
    for path in sorted(folder.rglob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                config = json.loads((file.metadata() or {})["maco"])
            kind = config["preset"]["parameterization"]
            seed = int(config["seed"])
            yield Render(
                network=str(config["network"]),
                method=METHODS.get(kind, str(kind)),
                unit=_unit_of_file(path.stem, str(config["objective"]), seed),
                seed=seed,
                stem=path.with_suffix(""),
            )
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            faults.append(f"{path} is left out: it is no saved visualization")


def _unit_of_file(name: str, objective: str, seed: int) -> Unit:
    """The unit of a file hen-8, hen-8-1 or hen-8-s1, whose objective ends in the number 8."""
    for number in re.findall(r"\d+", objective)[-1:]:
        match = re.fullmatch(rf"(.+)-{number}(?:-s?{seed})?", name)
        if match:
            return Unit(match[1].replace("_", " "), int(number))
    return Unit(name.removesuffix(f"-s{seed}").replace("_", " "))


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once, in the order in which they came."""
    return list(dict.fromkeys(names))
