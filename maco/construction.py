"""Networks built by name, and what is published with them. The only file that imports timm and
torchvision.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import timm.data
import torchvision
from torch import nn

from maco.color import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True)
class Expected:
    """What a network's published weights were trained with: input side in pixels, mean and s.d."""

    input_size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def construct(
    name: str, *, from_hub: bool = False, options: Mapping[str, Any] | None = None
) -> tuple[nn.Module, Expected]:
    """A network by its timm name or "torchvision/NAME", and what it expects of its input.

    from_hub: with its published weights; without, they are torch's random ones.
    options: further arguments of the network's constructor.
    Raises ValueError for an unknown name, other options, or weights that cannot be fetched.
    """
    given = dict(options or {})
    try:
        if name.startswith("torchvision/"):
            return _construct_torchvision(name.removeprefix("torchvision/"), from_hub, given)
        return _construct_timm(name, from_hub, given)
    except TypeError as error:
        raise ValueError(f"{name} cannot be built with options {given}: {error}") from error


def intermediates(network: nn.Module) -> frozenset[str]:
    """The layers that timm calls the network's intermediate features; none for other networks."""
    info = getattr(network, "feature_info", None) or ()
    return frozenset(entry["module"] for entry in info if "module" in entry)


def _construct_timm(
    name: str, from_hub: bool, options: dict[str, Any]
) -> tuple[nn.Module, Expected]:
    if not timm.is_model(name):
        close = nearest(name.split(".")[0], timm.list_models())
        raise ValueError(f"timm has no network {name!r}{close}")
    try:
        network = timm.create_model(name, pretrained=from_hub, **options)
    except RuntimeError as error:
        tags = timm.list_pretrained(name.split(".")[0] + ".*")
        raise ValueError(f"timm cannot build {name}: {error}; it has {', '.join(tags)}") from error
    except (OSError, ConnectionError, ValueError) as error:
        raise ValueError(_not_fetched(name, error)) from error
    config = timm.data.resolve_model_data_config(network)
    return network, Expected(config["input_size"][-1], tuple(config["mean"]), tuple(config["std"]))


def _construct_torchvision(
    name: str, from_hub: bool, options: dict[str, Any]
) -> tuple[nn.Module, Expected]:
    known = _torchvision_models()
    if name not in known:
        raise ValueError(f"torchvision has no network {name!r}{nearest(name, known)}")
    published = torchvision.models.get_model_weights(name)
    crop = published.DEFAULT.transforms().crop_size[0]
    if name in {"googlenet", "inception_v3"}:
        # What their published weights expect; torchvision sets it only when it fetches them.
        published_form = {"init_weights": False, "aux_logits": True, "transform_input": True}
        options = {**published_form, **options}
    try:
        network = torchvision.models.get_model(
            name, weights="DEFAULT" if from_hub else None, **options
        )
    except OSError as error:
        raise ValueError(_not_fetched(f"torchvision/{name}", error)) from error
    return network, Expected(crop, IMAGENET_MEAN, IMAGENET_STD)


def _torchvision_models() -> list[str]:
    return list(torchvision.models.list_models(module=torchvision.models))


def _not_fetched(name: str, error: Exception) -> str:
    cause = (str(error).splitlines() or [type(error).__name__])[0]
    return f"the weights of {name} could not be fetched ({cause}): give a file with weights"


def nearest(wanted: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: "; did you mean ...?", or nothing."""
    close = difflib.get_close_matches(wanted, list(known), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(close)}?" if close else ""


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The labels of ImageNet's 1,000 classes, synonyms between commas."""
    info = timm.data.ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_description(index) for index in range(1000))


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """The WordNet names of ImageNet's 1,000 classes, such as n01440764."""
    info = timm.data.ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_label_name(index) for index in range(1000))
