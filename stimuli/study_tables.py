"""The tables of a study file: every key a researcher may write, its default and its range.

To add a key, add a field here. What contradicts another table is refused in `stimuli.study`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
    model_validator,
)

from stimuli.rows import Text

PRESETS = ("paper", "horama", "xplique", "lucid", "olah", "cbr")


def name_nearest(name: object, allowed: tuple[str, ...]) -> str:
    """A sentence's end for a name that is not allowed: what is, and the nearest of it."""
    near = get_close_matches(str(name), allowed, n=2)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    return f"{name!r}; allowed: {', '.join(allowed) or 'none'}{hint}"


def _class_name(value: Any) -> Any:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("a class is a label, a wnid (text) or an index (whole number from 0)")


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


Whole = Annotated[int, Strict(), Field(ge=0)]
Count = Annotated[int, Strict(), Field(ge=1)]
Switch = Annotated[bool, Strict()]
Number = Annotated[float, Strict()]
Positive = Annotated[float, Strict(), Field(gt=0)]
Fraction = Annotated[float, Strict(), Field(gt=0, lt=1)]
Share = Annotated[float, Strict(), Field(ge=0, lt=1)]
ClassName = Annotated[int | str, BeforeValidator(_class_name)]


class Table(BaseModel):
    """A table of the study file; a key it does not know is refused with the nearest one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, table: Any) -> Any:
        if isinstance(table, dict):
            for key in table:
                if key not in cls.model_fields:
                    allowed = tuple(cls.model_fields)
                    raise ValueError(f"unknown key {name_nearest(key, allowed)}")
        return table


class Channel(Table):
    """A channel of a layer, by the layer's module name."""

    layer: Text
    index: Whole

    def __str__(self) -> str:
        return f"{self.layer}:{self.index}"


class ClassUnits(Table):
    """Output classes; the practice classes never appear in main trials."""

    kind: Literal["class"]
    classes: tuple[ClassName, ...] = Field(min_length=1)
    practice: tuple[ClassName, ...] = ()

    @property
    def main(self) -> tuple[ClassName, ...]:
        """The units of the main trials."""
        return self.classes


class ChannelUnits(Table):
    """Channels of inner layers; the practice channels never appear in main trials."""

    kind: Literal["channel"]
    channels: tuple[Channel, ...] = Field(min_length=1)
    practice: tuple[Channel, ...] = ()

    @property
    def main(self) -> tuple[Channel, ...]:
        """The units of the main trials."""
        return self.channels


class BaseImages(Table):
    """Which photographs are occluded: `per_unit` of each unit, picked by the rule `choose`.

    source: "demo" is the embedded world; without it, photographs come from a folder.
    choose: "in_order" of file names; "random"; "correct", random among those that every network
        classifies correctly; "activation", highest first, as in Zimmermann et al. 2021.
    index: CSV inside the folder, with columns file and class; without it, a folder per class.
    """

    source: Literal["demo"] | None = None
    per_unit: Count = 3
    choose: Literal["in_order", "random", "correct", "activation"] = "correct"
    index: Text | None = None


class NetworkSource(Table):
    """A network by name, with what overrides the defaults of its weights.

    name: the word in tables and figures.
    model: a timm name, "torchvision/NAME" or "demo/NAME".
    weights: a file, relative to the study file; without it, those the model's name stands for.
    options: passed to the model's constructor.
    mean, std: of the input, per colour channel, for images in [0, 1].
    labels: "imagenet", a list, or a text file with a label a line, relative to the study file.
    """

    name: Text
    model: Text
    weights: Text | None = None
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    mean: tuple[Number, Number, Number] | None = None
    std: tuple[Positive, Positive, Positive] | None = None
    input_size_px: Count | None = None
    labels: Text | tuple[Text, ...] | None = None


class References(Table):
    """How many visualizations a trial shows, which part of them, stored at which side.

    per_trial: a square number fills the grid.
    centre_fraction: side of the central part that is shown, where the object forms; 1 is the whole.
    size_px: side it is stored at.
    """

    per_trial: Count = 4
    centre_fraction: Annotated[float, Strict(), Field(gt=0, le=1)] = 0.7
    size_px: Count = 256


class Overrides(Table):
    """What a study may change of a preset; an absent key keeps the preset's value.

    steps: of the optimisation. size_px: side of the rendered image. crops: a step's number of
    crops (views, for lucid and cbr). crop_side: their mean side as a fraction of the image's.
    learning_rate: of the preset's optimiser.
    """

    steps: Count | None = None
    size_px: Annotated[int, Strict(), Field(ge=16)] | None = None
    crops: Count | None = None
    crop_side: Fraction | None = None
    learning_rate: Positive | None = None

    def given(self) -> dict[str, int | float]:
        """The keys that were written."""
        return self.model_dump(include=set(Overrides.model_fields), exclude_none=True)


class Preset(Overrides):
    """A preset of the study's own: one of maco's, changed."""

    base: Text


class Condition(Overrides):
    """What a participant of the condition sees; an empty table shows no references.

    preset: one of maco's, or a name from [presets].
    transparency: references are shown through their transparency mask.
    """

    preset: Text | None = None
    transparency: Switch = False

    @model_validator(mode="after")
    def _preset_is_given(self) -> Self:
        written = [*self.given(), *(["transparency"] if self.transparency else [])]
        if self.preset is None and written:
            raise ValueError(f"{', '.join(written)} without preset; allowed: {', '.join(PRESETS)}")
        return self


class RenderSettings(Overrides):
    """One way to render: one of maco's presets, and what is changed of it."""

    preset: Text


class OccluderRule(Table):
    """The square that hides a part of the photograph.

    size: side, as a fraction of the image's; one, or a list of several.
    stride_px: step of the sweep over places, in pixels of the stored image.
    fill: the "mean" colour of what is hidden, mid-"grey", or what is hidden under a "blur".
    search: "all" places, or a fifth of them, chosen to find the "extremes"; for queries.rule =
        "extremes" only.
    """

    size: Annotated[tuple[Fraction, ...], BeforeValidator(_as_list), Field(min_length=1)] = (0.4,)
    stride_px: Count = 2
    fill: Literal["mean", "grey", "blur"] = "mean"
    search: Literal["all", "extremes"] = "all"

    @model_serializer(mode="wrap")
    def _leave_out_the_usual_search(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A study keeps the digest that it had before there was a choice.
        plain: dict[str, Any] = dump(self)
        if self.search == "all":
            plain.pop("search", None)
        return plain


class QueryRule(Table):
    """Which two places of the occluder make a pair.

    rule: "extremes", lowest and highest activation, as in Zimmermann et al. 2021;
        "minimum_vs_elsewhere", the lowest and another place; "random", any two.
    margin: least difference of their activations, as a fraction of the map's range.
    size_px: side of the stored photographs and queries.
    show_base_image: participants also see the photograph without an occluder.
    """

    rule: Literal["extremes", "minimum_vs_elsewhere", "random"] = "minimum_vs_elsewhere"
    margin: Share = 0.25
    size_px: Count = 224
    show_base_image: Switch = False


class Practice(Table):
    """How many practice trials come first."""

    trials: Whole = 6


class Catch(Table):
    """How many easy trials are mixed in, to tell who is attending.

    large, small: side of the occluder on the less favored and on the favored query, as fractions
        of the image's.
    """

    trials: Whole = 3
    large: Fraction = 0.8
    small: Fraction = 0.15

    @model_validator(mode="after")
    def _large_is_larger(self) -> Self:
        if self.small >= self.large:
            raise ValueError(f"small = {self.small} must be below large = {self.large}")
        return self
