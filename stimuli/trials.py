"""From photographs and activation maps to the trials of a study."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from maco.images import encode_png, pad_png
from stimuli import baselines, schema
from stimuli.design import Cell, balanced_sides, favored_sides, pairings
from stimuli.draft import Draft
from stimuli.occlusion import ActivationMap, occlude
from stimuli.photographs import Photograph
from stimuli.queries import NoPairError, Tally, choose_pair
from stimuli.references import Shown
from stimuli.study import StudyConfig
from stimuli.units import StudyUnit

Kind = Literal["main", "practice", "catch"]


@dataclass(frozen=True)
class Slot:
    """A trial before its photograph and queries are known.

    image: which of the unit's photographs, from 0. sizes_px: the occluders to sweep; one, or for a
    catch trial the small and the large one. favored: the side of the right answer, 0 left, 1 right.
    """

    kind: Kind
    unit: StudyUnit
    image: int
    network: str
    sizes_px: tuple[int, ...]
    favored: int

    @property
    def photo(self) -> tuple[str, int]:
        """Which photograph of the study: unit and number."""
        return self.unit.key, self.image


@dataclass(frozen=True)
class Filled:
    """A slot with its photograph, the name that is stored under, and its maps."""

    slot: Slot
    photograph: Photograph
    image: str
    maps: tuple[ActivationMap, ...]
    id: str


def generator(config: StudyConfig, purpose: str) -> np.random.Generator:
    """The random numbers of one purpose: they depend on the study's seed and on nothing else."""
    return np.random.default_rng([config.seed, *purpose.encode()])


def plan_cells(config: StudyConfig) -> list[Cell]:
    """Which image of which unit meets which network, in which lists."""
    rng = generator(config, "pairings")
    units, images = len(config.units.main), config.base_images.per_unit
    return pairings(units, images, len(config.networks), rng)


def plan_slots(
    config: StudyConfig, main: Sequence[StudyUnit], practice: Sequence[StudyUnit]
) -> list[Slot]:
    """Every trial of the study: main ones in the order of `plan_cells`, then practice, then catch.

    Practice and catch trials go round the practice units (the main ones, if there are none), each
    with an image of its own, and round the networks.
    """
    networks = [network.name for network in config.networks]
    rng = generator(config, "sides")
    cells = plan_cells(config)
    side_px = config.queries.size_px
    sizes = [round(size * side_px) for size in config.occluder.size]
    catch_sizes = (round(config.catch.small * side_px), round(config.catch.large * side_px))
    slots = [
        Slot(
            "main",
            main[cell.unit],
            cell.image,
            networks[cell.network],
            (sizes[(cell.unit + cell.image) % len(sizes)],),
            side,
        )
        for cell, side in zip(cells, favored_sides(cells, rng), strict=True)
    ]
    kinds: list[Kind] = ["practice", "catch"]
    counts = [config.practice.trials, config.catch.trials]
    sides = [side for count in counts for side in balanced_sides(count, rng)]
    extra = [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
    units, first = (practice, 0) if practice else (main, config.base_images.per_unit)
    for at, (kind, side) in enumerate(zip(extra, sides, strict=True)):
        unit, image = units[at % len(units)], first + at // len(units)
        hidden = catch_sizes if kind == "catch" else (sizes[at % len(sizes)],)
        slots.append(Slot(kind, unit, image, networks[at % len(networks)], hidden, side))
    return slots


def trial_id(config: StudyConfig, slot: Slot, source: str) -> str:
    """A name that says nothing: a digest of what the trial is."""
    text = f"{config.name} {config.seed} {slot.kind} {slot.network} {slot.unit.key} {source}"
    return "t" + hashlib.sha256(text.encode()).hexdigest()[:10]


def check_pair(config: StudyConfig, slot: Slot, maps: Sequence[ActivationMap]) -> None:
    """Raises NoPairError if a slot could not be filled with these maps."""
    if slot.kind == "catch":
        _catch_choice(maps[0], maps[1])
        return
    rule, margin = config.queries.rule, config.queries.margin
    rng = np.random.default_rng(0)
    choose_pair(rule, maps[0], {}, margin=margin, tally=Tally(), rng=rng)


@dataclass(frozen=True)
class _Choice:
    """Where the occluders of a slot go: the less favored query, then the favored one."""

    maps: tuple[ActivationMap, ActivationMap]
    places: tuple[int, int]


def make_trials(
    config: StudyConfig, filled: Sequence[Filled], shown: Shown, draft: Draft
) -> list[schema.Trial]:
    """Chooses the query pairs, stores their images and gives the trials, in the same order."""
    choices = _choose(config, filled)
    fill = config.occluder.fill
    pairs = [
        [
            encode_png(occlude(one.photograph.pixels, *map_.place(at), map_.size_px, fill) / 255)
            for map_, at in zip(choice.maps, choice.places, strict=True)
        ]
        for one, choice in zip(filled, choices, strict=True)
    ]
    # One size for all queries: how well a hidden part compresses would tell what was in it.
    largest = max(len(png) for pair in pairs for png in pair) + 12
    return [
        _trial(
            config,
            one,
            choice,
            [draft.store_image(pad_png(png, largest)) for png in pair],
            shown,
        )
        for one, choice, pair in zip(filled, choices, pairs, strict=True)
    ]


def _choose(config: StudyConfig, filled: Sequence[Filled]) -> list[_Choice]:
    tallies = {network.name: Tally() for network in config.networks}
    rng = generator(config, "queries")
    choices = []
    for one in filled:
        if one.slot.kind == "catch":
            choices.append(_catch_choice(one.maps[0], one.maps[1]))
            continue
        [map_] = one.maps
        stride_px = config.occluder.stride_px
        less, more = choose_pair(
            config.queries.rule,
            map_,
            baselines.baseline_maps(one.photograph.pixels, map_.size_px, stride_px),
            margin=config.queries.margin,
            # Practice trials are not part of what the observers are judged on.
            tally=tallies[one.slot.network] if one.slot.kind == "main" else Tally(),
            rng=rng,
        )
        choices.append(_Choice((map_, map_), (less, more)))
    return choices


def _catch_choice(small: ActivationMap, large: ActivationMap) -> _Choice:
    """Nearly everything hidden against nearly nothing: anyone who looks can tell."""
    if not (small.is_finite and large.is_finite):
        raise NoPairError("the activation is not finite for some occluder (catch trial)")
    less, more = large.lowest, small.highest
    if not float(small.values.flatten()[more]) > float(large.values.flatten()[less]):
        raise NoPairError("hiding nearly everything does not lower the activation (catch trial)")
    return _Choice((large, small), (less, more))


def _trial(
    config: StudyConfig, one: Filled, choice: _Choice, images: Sequence[str], shown: Shown
) -> schema.Trial:
    queries, measures = [], []
    for map_, at, image in zip(choice.maps, choice.places, images, strict=True):
        x, y = map_.place(at)
        occluder = schema.Occluder(x_px=x, y_px=y, size_px=map_.size_px)
        activation = float(map_.values.flatten()[at])
        queries.append(schema.Query(image=image, activation=activation, occluder=occluder))
        measures.append(baselines.measure(one.photograph.pixels, x, y, map_.size_px))
    slot = one.slot
    if slot.favored == 0:
        queries.reverse()
        measures.reverse()
    return schema.Trial(
        id=one.id,
        kind=slot.kind,
        network=slot.network,
        unit=slot.unit.unit,
        base_image=schema.BaseImage(source=one.photograph.source, image=one.image),
        references={
            condition: shown.get((condition, slot.network, slot.unit.key), [])
            for condition in config.conditions
        },
        queries=(queries[0], queries[1]),
        base_activation=choice.maps[0].base,
        favored=1 if slot.favored else 0,
        baselines={name: (measures[0][name], measures[1][name]) for name in baselines.NAMES},
    )


def observers(trials: Sequence[schema.Trial]) -> dict[str, dict[str, float]]:
    """How often each object-blind observer is right in the main trials: by network, and in all.

    A tie counts half.
    """
    main = [trial for trial in trials if trial.kind == "main"]
    groups = {
        network: [t for t in main if t.network == network]
        for network in dict.fromkeys(trial.network for trial in main)
    }
    return {
        name: {
            measure: float(np.mean([_is_right(trial, measure) for trial in group]))
            for measure in baselines.NAMES
        }
        for name, group in {**groups, "all": main}.items()
    }


def _is_right(trial: schema.Trial, measure: str) -> float:
    left, right = trial.baselines[measure]
    return 0.5 if left == right else float((right > left) == bool(trial.favored))
