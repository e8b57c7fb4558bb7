"""Which photographs a study takes: those that give a query pair in all their trials."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from maco.files import digest
from maco.images import encode_png
from stimuli.draft import Draft
from stimuli.occlusion import ActivationMap
from stimuli.photographs import Photograph, Pool, candidates, order_files
from stimuli.queries import NoPairError
from stimuli.study import StudyConfig
from stimuli.sweeps import Sweeps
from stimuli.trials import Filled, Slot, check_pair, generator, trial_id


def open_pool(config: StudyConfig, images: Path | None, slots: Sequence[Slot]) -> Pool:
    """The photographs to choose from: those of a folder, or new ones of the demo world."""
    size_px = config.queries.size_px
    if images is not None:
        return Pool(images, config.base_images.index, size_px)
    from stimuli.demo.pool import DrawnPool

    most = 1 + max(slot.image for slot in slots)
    # Three times as many as are needed, since some are turned down.
    return DrawnPool(3 * most, config.seed, size_px)


def fill_slots(
    config: StudyConfig,
    slots: Sequence[Slot],
    pool: Pool,
    sweeps: Sweeps,
    draft: Draft,
    *,
    only: Collection[str] | None = None,
    progress: bool = False,
) -> list[Filled]:
    """Every slot with its photograph and maps, in the order of the slots; no photograph twice.

    A photograph without a query pair in one of its trials is turned down, with a line on stderr,
    and the next one tried. Raises ValueError naming the unit that runs out of photographs.
    only: the keys of some units; the slots of others stay empty. What those would take is free
    then, so where units share photographs, the whole may choose otherwise.
    """
    rng = generator(config, "photographs")
    uses: dict[tuple[str, int], list[Slot]] = {}
    for slot in slots:
        uses.setdefault(slot.photo, []).append(slot)
    how = config.base_images.choose
    units = {slot.unit.key: slot.unit for slot in slots}
    files = order_files(pool, list(units.values()), how, sweeps.networks, rng, progress=progress)
    waiting = {
        key: candidates(pool, files[key], unit, how, sweeps.networks) for key, unit in units.items()
    }
    taken: set[str] = set()
    filled: dict[Slot, Filled] = {}
    for own in uses.values():
        unit = own[0].unit
        if only is not None and unit.key not in only:
            continue
        free = (one for one in waiting[unit.key] if _pixels_digest(one) not in taken)
        photograph, maps = _first_fit(config, own, free, sweeps, pool)
        taken.add(_pixels_digest(photograph))
        image = draft.store_image(encode_png(photograph.pixels / 255))
        for slot, its_maps in zip(own, maps, strict=True):
            name = trial_id(config, slot, photograph.source)
            filled[slot] = Filled(slot, photograph, image, its_maps, name)
    return [filled[slot] for slot in slots if slot in filled]


def _pixels_digest(photograph: Photograph) -> str:
    return digest(photograph.pixels.numpy().tobytes())


def _first_fit(
    config: StudyConfig,
    uses: Sequence[Slot],
    free: Iterator[Photograph],
    sweeps: Sweeps,
    pool: Pool,
) -> tuple[Photograph, list[tuple[ActivationMap, ...]]]:
    """The first photograph that gives a query pair in all its uses, and the maps of each use."""
    label, last = uses[0].unit.unit.label, "none is left"
    for photograph in free:
        maps = []
        for slot in uses:
            its_maps = tuple(
                sweeps.map_of(slot.network, slot.unit, photograph.pixels, size_px)
                for size_px in slot.sizes_px
            )
            try:
                check_pair(config, slot, its_maps)
            except NoPairError as error:
                last = f"{photograph.source} is turned down with {slot.network}: {error}"
                tqdm.write(f"{label}: {last}", file=sys.stderr)
                break
            maps.append(its_maps)
        else:
            return photograph, maps
    how = " that every network gets right" if config.base_images.choose == "correct" else ""
    raise ValueError(
        f"{label}: {uses[0].image + 1} base images{how} with a query pair are needed,"
        f" {uses[0].image} found in {pool.folder} ({last})"
    )
