"""The making of a bundle: networks, sweeps of base images, references, trials and lists."""

from __future__ import annotations

import platform
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tqdm import tqdm

from maco import Classifier, __version__, natural_spectrum
from maco.devices import check_device, fastest_group
from maco.shards import Shard
from stimuli import schema
from stimuli.design import trial_lists
from stimuli.draft import Draft
from stimuli.overview import overview
from stimuli.photographs import is_right
from stimuli.references import Group, collect, plan_groups, preset_of, render_group
from stimuli.selection import fill_slots, open_pool
from stimuli.study import StudyConfig
from stimuli.sweeps import Sweeps
from stimuli.trials import Filled, Slot, generator, make_trials, observers, plan_cells, plan_slots
from stimuli.units import StudyUnit, find_unit, load_network

_PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "safetensors", "pydantic")


@dataclass(frozen=True)
class _Making:
    """A bundle in the making: the study, ready for use, and what has been done of it."""

    config: StudyConfig
    plain: dict[str, Any]
    networks: dict[str, Classifier]
    digests: dict[str, str]
    slots: list[Slot]
    groups: list[Group]
    draft: Draft


def assemble(
    config: StudyConfig,
    folder: Path,
    out: Path,
    *,
    images: Path | None,
    device: str,
    memory_gib: float | None,
    progress: bool,
) -> None:
    """Makes the bundle of a study at `out`, or goes on where an unfinished one stopped.

    folder: that of the study file, where weights are looked for. images: the photographs.
    memory_gib: as `maco.render` has it.
    Raises ValueError with one line that says what to do.
    """
    making = _begin(config, folder, out, device)
    filled = _fill(making, images, progress)
    _render(making, making.groups, memory_gib, progress)
    shown = collect(making.groups, making.draft)
    trials = make_trials(config, filled, shown, making.draft)
    study = schema.Study(
        schema_version=1,
        name=config.name,
        title=config.title,
        config=making.plain,
        software=_software(),
        networks=_described(making, filled),
        conditions=list(config.conditions),
        rendering=_rendering(config),
        participant_text=config.participant_text,
        images=making.draft.image_digests({n for trial in trials for n in trial.image_names()}),
        trials=sorted(trials, key=lambda trial: trial.id),  # an order that says nothing
        lists=_lists(config, making.slots, filled),
        observers=observers(trials),
    )
    making.draft.publish(study, _researcher_files(config, study, filled))


def assemble_shard(
    config: StudyConfig,
    folder: Path,
    out: Path,
    shard: Shard,
    *,
    images: Path | None,
    device: str,
    memory_gib: float | None,
    progress: bool,
) -> None:
    """Does a shard of what `assemble` does, which then finds it done; arguments as there.

    The dear work is shared: groups of references, and units, whose photographs are swept.
    """
    making = _begin(config, folder, out, device)
    if making.draft.find(shard.step) is not None:
        return
    units = dict.fromkeys(slot.unit.key for slot in making.slots)
    share = shard.share([*making.groups, *units])
    _fill(making, images, progress, only=[one for one in share if isinstance(one, str)])
    _render(making, [one for one in share if isinstance(one, Group)], memory_gib, progress)
    making.draft.record(shard.step, {"host": platform.node()})


def _begin(config: StudyConfig, folder: Path, out: Path, device: str) -> _Making:
    """Loads the networks, finds the units, and opens the draft."""
    _check_presets(config)
    plain = config.model_dump(mode="json")
    found = check_device(device)
    networks = {source.name: load_network(source, folder, str(found)) for source in config.networks}
    digests = {name: classifier.weights_digest() for name, classifier in networks.items()}
    main = [find_unit(wanted, networks) for wanted in config.units.main]
    practice = [find_unit(wanted, networks) for wanted in config.units.practice]
    _check_units([*main, *practice], networks)
    fingerprint = {
        "config": _costly(plain),
        "weights": digests,
        "software": _software(),
        "device": found.type,  # of several cards any may do its part
    }
    slots = plan_slots(config, main, practice)
    needed: dict[str, dict[str, StudyUnit]] = {name: {} for name in networks}
    for slot in slots:
        needed[slot.network].setdefault(slot.unit.key, slot.unit)
    wanted = {name: list(units.values()) for name, units in needed.items()}
    groups = plan_groups(config, wanted, fastest_group(found))
    return _Making(config, plain, networks, digests, slots, groups, Draft(out, fingerprint))


def _fill(
    making: _Making, images: Path | None, progress: bool, only: Collection[str] | None = None
) -> list[Filled]:
    """Chooses and sweeps the photographs of all units, or of those with some keys only."""
    config, slots, draft = making.config, making.slots, making.draft
    if only is not None and not only:
        return []
    own = [slot for slot in slots if only is None or slot.unit.key in only]
    expected = sum(len(slot.sizes_px) for slot in own)
    pool = open_pool(config, images, slots)
    with Sweeps(config, making.networks, draft, expected=expected, progress=progress) as sweeps:
        return fill_slots(config, slots, pool, sweeps, draft, only=only, progress=progress)


def _render(
    making: _Making, groups: Sequence[Group], memory_gib: float | None, progress: bool
) -> None:
    total = sum(group.steps() for group in groups)
    with tqdm(total=total, desc="references", unit="step", disable=not progress) as bar:
        for group in groups:
            classifier = making.networks[group.network]
            render_group(group, classifier, making.config, making.draft, bar.update, memory_gib)


def _check_presets(config: StudyConfig) -> None:
    """Fails early: settings of a condition that contradict each other."""
    for settings, conditions in config.rendered().items():
        try:
            preset_of(settings)
        except ValueError as error:
            raise ValueError(f"conditions.{conditions[0]}: {error}") from error


def _check_units(units: Sequence[StudyUnit], networks: dict[str, Classifier]) -> None:
    """Fails early: a class written in two ways, a layer or channel that is not there."""
    keys = [unit.key for unit in units]
    for unit in units:
        if keys.count(unit.key) > 1:
            raise ValueError(f"units: {unit.unit.label} ({unit.key}) is named twice")
        for classifier in networks.values():
            side = classifier.input_size_px
            probe = torch.full((1, 3, side, side), 0.5, device=classifier.device)
            try:
                with torch.inference_mode():
                    unit.objective(classifier.read(probe, unit.objective.layers))
            except (RuntimeError, AssertionError) as error:
                raise ValueError(
                    f"{classifier.name} cannot read an image of {side} px: {error}"
                ) from error


def _costly(config: dict[str, Any]) -> dict[str, Any]:
    """What rendering and sweeping depend on; an unfinished build may change the rest."""
    later = {"title", "lists", "participant_text"}
    kept = {key: value for key, value in config.items() if key not in later}
    return {**kept, "queries": {"size_px": config["queries"]["size_px"]}}


def _software() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "maco-psychophysics": __version__,
        **{package: version(package) for package in _PACKAGES},
    }


def _rendering(config: StudyConfig) -> dict[str, dict[str, Any]]:
    """All settings of each condition that shows references, the presets' own ones too."""
    return {
        condition: {
            **preset_of(settings).to_dict(),
            "transparency": config.conditions[condition].transparency,
            "spectrum_digest": natural_spectrum().digest(),
        }
        for settings, conditions in config.rendered().items()
        for condition in conditions
    }


def _lists(config: StudyConfig, slots: Sequence[Slot], filled: Sequence[Filled]) -> list[list[str]]:
    """The trial lists that participants are dealt."""
    favored = [slot.favored for slot in slots if slot.kind == "main"]
    main, practice, catch = (
        [one.id for one in filled if one.slot.kind == kind]
        for kind in ("main", "practice", "catch")
    )
    cells, chance = plan_cells(config), generator(config, "lists")
    return trial_lists(cells, favored, main, practice, catch, config.lists, chance)


def _researcher_files(
    config: StudyConfig, study: schema.Study, filled: Sequence[Filled]
) -> dict[str, bytes]:
    """Name -> content of what stands in the bundle for the researcher alone."""
    last_maps = {one.id: one.maps[-1].values for one in filled}
    every_map = {f"{one.id}/{map_.size_px}": map_.values for one in filled for map_ in one.maps}
    stride = {"stride_px": str(config.occluder.stride_px)}
    return {
        "overview.html": overview(study, last_maps).encode(),
        "maps.safetensors": save(every_map, stride),
    }


def _described(making: _Making, filled: Sequence[Filled]) -> list[schema.Network]:
    networks = making.networks
    accuracy = _accuracy(networks, [one for one in filled if one.slot.kind == "main"])
    return [
        schema.Network(
            name=source.name,
            model=source.model,
            weights_digest=making.digests[source.name],
            input_size_px=networks[source.name].input_size_px,
            accuracy=accuracy[source.name],
        )
        for source in making.config.networks
    ]


def _accuracy(networks: dict[str, Classifier], filled: Sequence[Filled]) -> dict[str, float | None]:
    """Share of the base images that each network gets right; None for channels."""
    if filled[0].slot.unit.unit.kind == "channel":
        return dict.fromkeys(networks)
    images = {one.image: one for one in filled}.values()
    return {
        name: sum(is_right(network, one.slot.unit, one.photograph.pixels) for one in images)
        / len(images)
        for name, network in networks.items()
    }
