"""The study file: study.toml -> a validated StudyConfig.

The keys of each table are in `stimuli.study_tables`; here is the whole file, and what in it
would contradict itself. A contradiction is one line of `_contradictions`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

from stimuli.exclusion_rules import DEFAULTS, Rules
from stimuli.rows import Text
from stimuli.study_tables import (
    PRESETS,
    BaseImages,
    Catch,
    ChannelUnits,
    ClassUnits,
    Condition,
    Count,
    NetworkSource,
    OccluderRule,
    Practice,
    Preset,
    QueryRule,
    References,
    RenderSettings,
    Table,
    Whole,
    name_nearest,
)

__all__ = ["PRESETS", "RenderSettings", "StudyConfig", "StudyFileError", "read_config"]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class StudyFileError(ValueError):
    """A study file that cannot be used; a line a problem, each naming the file and the key."""


class StudyConfig(Table):
    """The whole study file. The same content gives the same digest.

    name: of the study, safe as a folder's name. title: what participants read.
    seed: of everything random. lists: how many trial lists participants are dealt.
    participant_text: key -> sentence, in place of the server's own.
    exclusions: preregistered rules on who is left out of the analysis, in their order.
    """

    name: Name
    title: Text
    seed: Whole = 0
    lists: Count = 12
    units: Annotated[ClassUnits | ChannelUnits, Field(discriminator="kind")]
    base_images: BaseImages = BaseImages()
    networks: tuple[NetworkSource, ...] = Field(min_length=1)
    references: References = References()
    presets: dict[Name, Preset] = Field(default_factory=dict)
    conditions: dict[Name, Condition] = Field(min_length=1)
    occluder: OccluderRule = OccluderRule()
    queries: QueryRule = QueryRule()
    practice: Practice = Practice()
    catch: Catch = Catch()
    participant_text: dict[str, Text] = Field(default_factory=dict)
    exclusions: Rules = DEFAULTS

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> Self:
        problems = list(_contradictions(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def list_classes(self) -> int:
        """Different trial lists that together show every image with every network once."""
        return max(self.base_images.per_unit, len(self.networks))

    @property
    def main_trials(self) -> int:
        """Main trials in one list."""
        return len(self.units.main) * min(self.base_images.per_unit, len(self.networks))

    def digest(self) -> str:
        """SHA-256 (64 hexadecimal digits) of the canonical JSON of the configuration."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def rendered(self) -> dict[RenderSettings, tuple[str, ...]]:
        """Each way to render -> the conditions that show it; control conditions are in none."""
        shown: dict[RenderSettings, tuple[str, ...]] = {}
        for name, condition in self.conditions.items():
            if condition.preset is not None:
                settings = _render_settings(condition.preset, condition, self.presets)
                shown[settings] = (*shown.get(settings, ()), name)
        return shown


def read_config(path: Path) -> StudyConfig:
    """The validated content of a study file. Raises StudyFileError, a line a problem.

    Paths inside the file (weights, labels) stay as written, relative to the file's folder.
    """
    try:
        config = StudyConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        problems = [line for detail in error.errors() for line in _lines(detail)]
        raise StudyFileError("\n".join(f"{path}: {line}" for line in problems)) from error
    except ValueError as error:
        raise StudyFileError(f"{path}: not valid TOML: {error}") from error
    missing = list(_missing_files(config, path.parent))
    if missing:
        raise StudyFileError("\n".join(f"{path}: {line}" for line in missing))
    return config


def _render_settings(
    preset: str, condition: Condition, presets: dict[str, Preset]
) -> RenderSettings:
    own = presets.get(preset)
    if own is None:
        return RenderSettings.model_validate({"preset": preset, **condition.given()})
    return RenderSettings.model_validate({"preset": own.base, **own.given(), **condition.given()})


def _contradictions(config: StudyConfig) -> Iterator[str]:
    yield from _contradictory_names(config)
    yield from _contradictory_numbers(config)
    yield from _contradictory_conditions(config)


def _contradictory_names(config: StudyConfig) -> Iterator[str]:
    units = config.units
    seen = set()
    for unit in (*units.main, *units.practice):
        if unit in seen:
            yield f"units: {unit} appears twice; main and practice units must differ"
        seen.add(unit)
    names = [network.name for network in config.networks]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"networks: the name {name!r} appears twice"
    if units.kind == "channel" and config.base_images.choose == "correct":
        yield (
            'base_images.choose = "correct" has no meaning for channels; '
            'allowed: "in_order", "random", "activation"'
        )
    if config.occluder.search == "extremes" and config.queries.rule != "extremes":
        yield (
            f'occluder.search = "extremes" leaves out places that queries.rule ='
            f' "{config.queries.rule}" needs: leave occluder.search out, or set queries.rule ='
            ' "extremes"'
        )
    if config.base_images.source is not None and config.base_images.index is not None:
        yield "base_images.index is for a folder of images; remove it or base_images.source"


def _contradictory_numbers(config: StudyConfig) -> Iterator[str]:
    side_px, stride_px = config.queries.size_px, config.occluder.stride_px
    for size in config.occluder.size:
        hidden_px = round(size * side_px)
        if hidden_px < 1 or side_px - hidden_px < stride_px:
            yield (
                f"occluder.size = {size} hides {hidden_px} of {side_px} px: with stride_px = "
                f"{stride_px} there are no two places to compare"
            )
    if config.catch.trials and round(config.catch.small * side_px) < 1:
        yield f"catch.small = {config.catch.small} hides no pixel of {side_px}: enlarge it"
    if config.lists % config.list_classes:
        yield (
            f"lists = {config.lists} must be a multiple of {config.list_classes} (the larger of "
            "base_images.per_unit and the number of networks), so that each image is shown "
            "equally often with each network"
        )
    if config.practice.trials and not config.units.practice:
        yield (
            f"practice.trials = {config.practice.trials}, but units.practice is empty: name units "
            "for practice, or set practice.trials = 0"
        )
    if config.catch.trials and config.catch.trials >= config.main_trials:
        yield (
            f"catch.trials = {config.catch.trials} must be below the {config.main_trials} "
            "main trials of a list, so that no two are adjacent"
        )
    if not config.catch.trials and any(rule.name == "catch_trials" for rule in config.exclusions):
        yield "exclusions.catch_trials, but catch.trials = 0: leave the rule out, or add trials"


def _contradictory_conditions(config: StudyConfig) -> Iterator[str]:
    for name, preset in config.presets.items():
        if name in PRESETS:
            yield f"presets.{name}: the name is taken by a built-in preset; choose another"
        if preset.base not in PRESETS:
            yield f"presets.{name}.base is {name_nearest(preset.base, PRESETS)}"
    allowed = (*PRESETS, *config.presets)
    seen: dict[Condition, str] = {}
    for name, condition in config.conditions.items():
        if condition.preset is not None and condition.preset not in allowed:
            yield f"conditions.{name}.preset is {name_nearest(condition.preset, allowed)}"
        if condition in seen:
            yield f"conditions.{name} is the same as conditions.{seen[condition]}"
        seen.setdefault(condition, name)


def _missing_files(config: StudyConfig, folder: Path) -> Iterator[str]:
    for index, network in enumerate(config.networks):
        paths = {"weights": network.weights}
        if isinstance(network.labels, str) and network.labels != "imagenet":
            paths["labels"] = network.labels
        for key, path in paths.items():
            if path is not None and not (folder / path).is_file():
                yield f"networks[{index}].{key} = {path!r}: there is no file {folder / path}"


def _lines(detail: ErrorDetails) -> list[str]:
    """What one pydantic error says to the author of the file."""
    key, message = _key_path(detail["loc"]), detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing":
        message = "is required, and missing"
    elif detail["type"].startswith("union_tag"):
        key, message = f"{key}.kind", 'allowed: "class", "channel"'
    elif not key:
        return message.split("\n")
    elif isinstance(detail["input"], str | int | float):
        return [f"{key} = {detail['input']!r}: {message}"]
    return [f"{key}: {message}"]


def _key_path(loc: tuple[int | str, ...]) -> str:
    # The kind of units is a place in pydantic's path, but not a table in the file.
    parts = [part for place, part in enumerate(loc) if not (place == 1 and loc[0] == "units")]
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
