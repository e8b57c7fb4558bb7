"""References: the visualizations a participant is shown as "what this unit likes"."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from maco import Classifier, Preset, Visualization, find_preset, render
from maco.images import encode_png
from stimuli.draft import Draft
from stimuli.study import RenderSettings, StudyConfig
from stimuli.units import StudyUnit


@dataclass(frozen=True)
class Group:
    """Some visualizations of one network and one way to render, made in one pass."""

    network: str
    settings: RenderSettings
    conditions: tuple[str, ...]
    members: tuple[tuple[StudyUnit, int], ...]  # unit, and which of its references
    step: str

    def steps(self) -> int:
        """Image-steps, for the progress bar."""
        return preset_of(self.settings).steps * len(self.members)


def preset_of(settings: RenderSettings) -> Preset:
    """The preset with the study's changes."""
    return find_preset(settings.preset, **settings.given())


def plan_groups(
    config: StudyConfig, units: Mapping[str, Sequence[StudyUnit]], size: int
) -> list[Group]:
    """Every group of a study; `units`: network -> the units that some trial needs of it.

    size: how many visualizations in one pass; a bundle's bytes depend on it.
    """
    groups = []
    for number, (settings, conditions) in enumerate(config.rendered().items()):
        for network, wanted in units.items():
            members = [
                (unit, copy) for unit in wanted for copy in range(config.references.per_trial)
            ]
            for start in range(0, len(members), size):
                part = tuple(members[start : start + size])
                step = f"references-{number}-{network}-{start // size}"
                groups.append(Group(network, settings, conditions, part, step))
    return groups


def seed_of(config: StudyConfig, network: str, unit: StudyUnit, copy: int) -> int:
    """The seed of one reference: the same for every condition, whatever else the study holds."""
    text = f"{config.seed} {network} {unit.key} {copy}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


Shown = dict[tuple[str, str, str], list[str]]  # (condition, network, unit) -> image names


def render_group(
    group: Group,
    classifier: Classifier,
    config: StudyConfig,
    draft: Draft,
    progress: Callable[[int], object],
    memory_gib: float | None = None,
) -> None:
    """Renders a group and stores what its conditions show, unless that was done before."""
    if draft.find(group.step) is not None:
        progress(group.steps())
        return
    visualizations = render(
        classifier,
        [unit.objective for unit, _ in group.members],
        preset_of(group.settings),
        seeds=[seed_of(config, group.network, unit, copy) for unit, copy in group.members],
        memory_gib=memory_gib,
        progress=progress,
    )
    names = [
        {
            condition: draft.store_image(
                encode_png(shown_part(one, config, config.conditions[condition].transparency))
            )
            for condition in group.conditions
        }
        for one in visualizations
    ]
    draft.record(group.step, names)


def shown_part(visualization: Visualization, config: StudyConfig, masked: bool) -> Tensor:
    """What a participant sees of a visualization: (3, size_px, size_px) in [0, 1]."""
    image = visualization.over() if masked else visualization.image
    fraction = config.references.centre_fraction
    if fraction < 1:
        height, width = (round(fraction * side) for side in image.shape[-2:])
        top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
        image = image[:, top : top + height, left : left + width]
    size = (config.references.size_px, config.references.size_px)
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)


def collect(groups: Sequence[Group], draft: Draft) -> Shown:
    """The image names of every condition, network and unit, in the order of the references."""
    shown: Shown = {}
    for group in groups:
        for (unit, _), names in zip(group.members, draft.find(group.step), strict=True):
            for condition, name in names.items():
                shown.setdefault((condition, group.network, unit.key), []).append(name)
    return shown
