"""What a site shows, and where in the site each of its pictures is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from maco.gallery.catalog import Render, Unit, address, in_order
from maco.gallery.concepts import Concept, Concepts
from maco.gallery.copies import Copy, Job

SHARDS = 100  # folders under units/, so that none holds too many


@dataclass(frozen=True)
class Exhibition:
    """What the site shows."""

    title: str
    renders: tuple[Render, ...]
    concepts: tuple[Concepts, ...] = ()

    @cached_property
    def networks(self) -> list[str]:
        """Names, in the order of the visualizations."""
        names = [render.network for render in self.renders]
        return in_order([*names, *(one.network for one in self.concepts)])

    @cached_property
    def methods(self) -> list[str]:
        """Names, in the order of the visualizations."""
        return in_order(render.method for render in self.renders)

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """Network and method of those pairs that have a visualization."""
        there = {render.column for render in self.renders}
        return [(n, m) for n in self.networks for m in self.methods if (n, m) in there]

    @cached_property
    def units(self) -> list[Unit]:
        """All units, in their order."""
        found = {render.unit for render in self.renders} | {one.unit for one in self.concepts}
        return sorted(found, key=lambda unit: unit.order)

    @cached_property
    def measures(self) -> list[str]:
        """Names of what was measured, in the order of the table."""
        return in_order(name for render in self.renders for name, _ in render.measures)

    def jobs(self) -> list[Job]:
        """Every picture of the site."""
        pictures = [Job(render.masked, target(render)) for render in self.renders]
        for one in self.concepts:
            for concept in one.concepts:
                pictures += _concept_jobs(one, concept)
        return pictures

    def with_copies(self, copies: Mapping[str, Copy]) -> Exhibition:
        """Without the visualizations that could not be copied."""
        shown = tuple(render for render in self.renders if target(render) in copies)
        return replace(self, renders=shown)


def folder_of(unit: Unit) -> str:
    """Where a unit's script and pictures are: a shard (the page finds it too), then its key."""
    return f"units/{sum(map(ord, unit.key)) % SHARDS:02d}/{unit.key}"


def target(render: Render) -> str:
    """Path of a visualization's copies below the site, without ending."""
    network, method = address(render.network), address(render.method)
    return f"{folder_of(render.unit)}/{network}.{method}.{render.seed}"


def concept_target(one: Concepts, concept: Concept) -> str:
    """The same for a concept's visualization; its patches and heatmaps add -patch-0 and so on."""
    return f"{folder_of(one.unit)}/{address(one.network)}.concept-{concept.index}"


def _concept_jobs(one: Concepts, concept: Concept) -> list[Job]:
    start = concept_target(one, concept)
    jobs = []
    if concept.visualization:
        jobs.append(Job(one.folder / f"{concept.visualization}-masked.png", start))
    patches = [(f"{start}-patch-{i}", patch.image) for i, patch in enumerate(concept.patches)]
    maps = [(f"{start}-heatmap-{i}", map_.image) for i, map_ in enumerate(concept.heatmaps)]
    jobs += [Job(one.folder / image, name, visualization=False) for name, image in patches + maps]
    return jobs
