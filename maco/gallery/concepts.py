"""The concepts of classes, as `python -m maco.concepts` leaves them: one concepts.json a class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from maco.gallery.catalog import Unit


class Patch(BaseModel):
    """A part of a photograph that expresses a concept."""

    image: str
    source: str = ""
    activation: FiniteFloat | None = None


class Heatmap(BaseModel):
    """A photograph with the places of a concept."""

    image: str
    source: str = ""


class Concept(BaseModel):
    """A direction in a layer: how much the class depends on it, and what expresses it."""

    index: int
    importance: FiniteFloat
    importance_interval: tuple[FiniteFloat, FiniteFloat] | None = None
    visualization: str | None = None
    patches: list[Patch] = Field(default_factory=list)
    heatmaps: list[Heatmap] = Field(default_factory=list)


class _File(BaseModel):
    network: str
    class_index: int
    label: str
    layer: str
    concepts: list[Concept]


@dataclass(frozen=True)
class Concepts:
    """The concepts of one class of one network; their paths are relative to `folder`."""

    network: str
    unit: Unit
    layer: str
    concepts: tuple[Concept, ...]
    folder: Path


def find_concepts(folder: Path) -> tuple[list[Concepts], list[str]]:
    """What the concepts.json files below a folder say, and a line for each that cannot be read.

    Raises ValueError for a folder that is not there or holds none.
    """
    paths = sorted(folder.rglob("concepts.json"))
    if not paths:
        raise ValueError(f"{folder} holds no concepts.json: make some with python -m maco.concepts")
    found, faults = [], []
    for path in paths:
        try:
            file = _File.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            faults.append(f"{path} is left out: {place} {first['msg']}")
            continue
        unit = Unit(file.label, file.class_index)
        ranked = tuple(sorted(file.concepts, key=lambda one: -one.importance))
        found.append(Concepts(file.network, unit, file.layer, ranked, path.parent))
    return found, faults
