"""What the packages hand to each other: the study bundle and the rows of the export.

`stimuli.build` writes a bundle, `experiment_server` shows it and writes the export, `analysis`
reads the export. All three import this file, which therefore loads nothing heavier than pydantic.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from stimuli.rows import Count, Participant, Record, Response, Side, Text, TrialKind

__all__ = [
    "BaseImage",
    "Network",
    "Occluder",
    "Participant",
    "Query",
    "Response",
    "Study",
    "Trial",
    "Unit",
    "dump_study",
    "read_study",
    "verify_images",
]

SCHEMA_VERSION = 1
STUDY_FILE = "study.json"
IMAGE_FOLDER = "images"

ImageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*\.[a-z0-9]+$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Network(Record):
    """A network of the study: what was asked, so that it can be asked again."""

    name: Text = Field(description="Word used in tables and figures")
    model: Text = Field(description="Name the weights are loaded by")
    weights_digest: Text = Field(description="Digest of the weights")
    input_size_px: int = Field(ge=1, description="Side of the square input, pixels")
    accuracy: float | None = Field(
        default=None, ge=0, le=1, description="Share of the base images it classifies correctly"
    )


class Unit(Record):
    """What is visualized: an output class, or a channel of a layer."""

    kind: Literal["class", "channel"]
    index: Count = Field(description="Place among the outputs (class) or channels, from 0")
    label: Text = Field(description="Word for the researcher")
    layer: Text | None = Field(default=None, description="Layer of a channel; null for a class")

    @model_validator(mode="after")
    def _layer_fits_kind(self) -> Self:
        if (self.kind == "channel") != (self.layer is not None):
            raise ValueError(
                f"unit {self.label!r}: a channel names its layer and a class names none; "
                f"here kind = {self.kind!r}, layer = {self.layer!r}"
            )
        return self

    @property
    def name(self) -> str:
        """The `unit` column of the export: "class:355" or "inception4a.branch2.1.bn:12"."""
        return f"{self.layer or self.kind}:{self.index}"


class BaseImage(Record):
    """The natural photograph a query pair is made from."""

    source: Text = Field(description="File the photograph came from, for the researcher")
    image: ImageName


class Occluder(Record):
    """The hidden square, in pixels of the stored image: x to the right, y down, top-left corner."""

    x_px: Count
    y_px: Count
    size_px: int = Field(ge=1)


class Query(Record):
    """The base image behind an occluder."""

    image: ImageName
    activation: float = Field(description="What the network's unit answers to this image")
    occluder: Occluder


class Trial(Record):
    """One question: two queries (left, then right), and which of them the network favors."""

    id: Text
    kind: TrialKind
    network: Text
    unit: Unit
    base_image: BaseImage
    references: dict[str, list[ImageName]] = Field(description="Condition -> images shown")
    queries: tuple[Query, Query] = Field(description="Left, right")
    base_activation: float = Field(description="The unit's answer to the unoccluded base image")
    favored: Literal[0, 1] = Field(description="0 if the left query is favored, 1 if the right")
    baselines: dict[str, tuple[float, float]] = Field(
        default_factory=dict,
        description="Object-blind measure -> its value for each query; higher predicts favored",
    )

    @model_validator(mode="after")
    def _favored_is_higher(self) -> Self:
        left, right = (query.activation for query in self.queries)
        if left == right:
            raise ValueError(f"trial {self.id!r}: both activations are {left}, so none is favored")
        if self.favored != int(right > left):
            raise ValueError(
                f"trial {self.id!r}: favored = {self.favored}, but the activations are "
                f"{left} (query 0) and {right} (query 1)"
            )
        return self

    @property
    def favored_side(self) -> Side:
        """The side of the right answer."""
        return "right" if self.favored else "left"

    def image_names(self) -> list[str]:
        """Every image of the trial, in all conditions."""
        shown = [name for names in self.references.values() for name in names]
        return [self.base_image.image, *(query.image for query in self.queries), *shown]


class Study(Record):
    """The whole of `study.json`."""

    schema_version: Literal[1]
    name: Text
    title: Text
    config: dict[str, Any] = Field(description="The whole validated study file")
    software: dict[str, str] = Field(description="Package -> version")
    networks: list[Network] = Field(min_length=1)
    conditions: list[Text] = Field(min_length=1)
    rendering: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Condition -> every setting of its visualizations"
    )
    participant_text: dict[str, str] = Field(default_factory=dict)
    images: dict[ImageName, Sha256] = Field(description="Image name -> SHA-256 of its file")
    trials: list[Trial] = Field(min_length=1)
    lists: list[list[str]] = Field(min_length=1, description="Ordered trial ids to deal out")
    observers: dict[str, Any] = Field(
        default_factory=dict,
        description="Network, or all -> object-blind baseline -> share of main trials it has right",
    )

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        _require_unique("network", [network.name for network in self.networks])
        _require_unique("condition", self.conditions)
        _require_unique("trial id", [trial.id for trial in self.trials])
        networks = {network.name for network in self.networks}
        for trial in self.trials:
            where = f"trial {trial.id!r}"
            if trial.network not in networks:
                raise ValueError(f"{where}: network {trial.network!r} is not one of the study's")
            if set(trial.references) != set(self.conditions):
                raise ValueError(
                    f"{where}: references are for {sorted(trial.references)}, "
                    f"the study's conditions are {sorted(self.conditions)}"
                )
            for name in trial.image_names():
                if name not in self.images:
                    raise ValueError(f"{where}: image {name!r} has no digest in `images`")
        return self

    @model_validator(mode="after")
    def _references_are_equally_many(self) -> Self:
        for condition in self.conditions:
            expected = len(self.trials[0].references[condition])
            for trial in self.trials:
                shown = len(trial.references[condition])
                if shown != expected:
                    raise ValueError(
                        f"trial {trial.id!r}: {shown} references in condition {condition!r}, "
                        f"but {expected} in trial {self.trials[0].id!r}"
                    )
        return self

    @model_validator(mode="after")
    def _lists_name_trials(self) -> Self:
        known = {trial.id for trial in self.trials}
        for index, trial_ids in enumerate(self.lists):
            _require_unique(f"lists[{index}]: trial", trial_ids)
            for trial_id in trial_ids:
                if trial_id not in known:
                    raise ValueError(f"lists[{index}]: there is no trial {trial_id!r}")
        return self

    @property
    def show_base_image(self) -> bool:
        """Whether participants also see the unoccluded photograph; the study file decides."""
        return bool(self.config.get("queries", {}).get("show_base_image", False))


def dump_study(study: Study) -> str:
    """The text of `study.json`: fields in the order of the model, the same for the same study."""
    return json.dumps(study.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def read_study(folder: Path) -> Study:
    """The study of a bundle folder. Raises ValueError, one line, if there is no valid one."""
    path = folder / STUDY_FILE
    try:
        text = path.read_text(encoding="utf-8")
        version = json.loads(text).get("schema_version")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); is this a bundle?") from error
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not a JSON object ({error})") from error
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: schema_version is {version!r}, this program reads {SCHEMA_VERSION}; "
            "build the study again"
        )
    try:
        return Study.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(f"{path}: {_first_problem(error)}") from error


def verify_images(folder: Path, study: Study) -> None:
    """Check each image file of the bundle; ValueError names the first one absent or changed."""
    for name, digest in study.images.items():
        path = folder / IMAGE_FOLDER / name
        if not path.is_file():
            raise ValueError(f"{path}: the image is missing; copy or build the bundle anew")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            raise ValueError(f"{path}: SHA-256 is {found}, study.json says {digest}")


def _require_unique(what: str, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name!r} appears twice")
        seen.add(name)


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    where = ".".join(str(part) for part in problems[0]["loc"])
    message = problems[0]["msg"].removeprefix("Value error, ")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {message}{more}" if where else message + more
