"""Embedding networks: feature maps of a bundle's images, from a layer of some other network."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from maco import Classifier
from maco.images import read_image
from stimuli.observers.layers import as_map, default_layer
from stimuli.schema import IMAGE_FOLDER, Study
from stimuli.study_tables import NetworkSource
from stimuli.units import load_network

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_KEPT_BYTES = 2**30  # of feature maps; the oldest go first
Named = tuple[str, Tensor]


class Embedding:
    """A layer of a network as a description of what is where in an image."""

    def __init__(self, classifier: Classifier, layer: str) -> None:
        """Raises ValueError if the network has no such layer, or it gives no feature map."""
        self.classifier = classifier
        self.layer = layer
        side = classifier.input_size_px
        self._describe([("", torch.full((3, side, side), 0.5))])

    @property
    def digest(self) -> str:
        """The digest of its weights, by which a network under study is known."""
        return self.classifier.weights_digest()

    def __repr__(self) -> str:
        return f"{self.classifier.name}:{self.layer}"

    def _describe(self, images: Sequence[Named]) -> dict[str, Tensor]:
        pixels = torch.stack([image for _, image in images]).to(self.classifier.device)
        with torch.inference_mode():
            read = self.classifier.read(pixels, [self.layer])[self.layer]
            found = as_map(read.mT if read.ndim == 3 else read)
        if found is None or len(found) != len(images):
            raise ValueError(
                f"layer {self.layer!r} of {self.classifier.name} gives no feature map: choose one"
                " with several places of the image"
            )
        maps = found.float().cpu().clone()
        return {name: one.clone() for (name, _), one in zip(images, maps, strict=True)}


class FeatureMaps:
    """The feature maps (c, h, h) of a bundle's images, each computed once while memory lasts."""

    def __init__(self, embedding: Embedding, bundle: Path) -> None:
        self.embedding = embedding
        self.images = bundle / IMAGE_FOLDER
        self.sizes: dict[str, tuple[int, int]] = {}  # name -> height, width of the image
        self._kept: OrderedDict[str, Tensor] = OrderedDict()

    def of(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The maps of some images by name, computed in batches of one image size."""
        wanted = list(dict.fromkeys(names))
        found = {name: self._kept[name] for name in wanted if name in self._kept}
        by_size: dict[tuple[int, ...], list[Named]] = {}
        for name in wanted:
            if name not in found:
                image = read_image(self.images / name)
                self.sizes[name] = (image.shape[1], image.shape[2])
                by_size.setdefault(self.sizes[name], []).append((name, image))
        step = self.embedding.classifier.batch
        for same in by_size.values():
            for start in range(0, len(same), step):
                found |= self.embedding._describe(same[start : start + step])
        self._keep(found)
        return found

    def _keep(self, found: dict[str, Tensor]) -> None:
        self._kept.update(found)
        for name in found:
            self._kept.move_to_end(name)
        size = sum(one.nbytes for one in self._kept.values())
        while size > _KEPT_BYTES and len(self._kept) > len(found):
            size -= self._kept.popitem(last=False)[1].nbytes


@dataclass(frozen=True)
class Source:
    """An embedding before it is loaded; without a layer, the default of `layers`."""

    network: NetworkSource
    layer: str | None = None
    expected_digest: str | None = None

    def load(self, occluder_share: float, folder: Path, device: str) -> Embedding:
        """The embedding. folder: where files with weights are looked for.

        Raises ValueError for a model, weights or a layer that cannot be had.
        """
        classifier = load_network(self.network, folder, device)
        if self.expected_digest not in (None, classifier.weights_digest()):
            raise ValueError(
                f"network {self.network.name}: its weights are not those the bundle was built with"
            )
        return Embedding(classifier, self.layer or default_layer(classifier, occluder_share))


def parse_observer(text: str) -> tuple[str, list[Source]]:
    """Name and sources of NAME=MODEL[@WEIGHTS][:LAYER], several models joined by "+".

    Raises ValueError if the text has another form.
    """
    name, _, models = text.partition("=")
    parts = models.split("+")
    if not _NAME.fullmatch(name) or not all(parts):
        raise ValueError(
            f"--observer {text!r}: write NAME=MODEL, NAME=MODEL:LAYER or NAME=MODEL@WEIGHTS:LAYER,"
            " several models joined by +, as in mine=resnet50:layer2"
        )
    sources = []
    for part in parts:
        where, _, layer = part.partition(":")
        model, _, weights = where.partition("@")
        try:
            network = NetworkSource(name=name, model=model, weights=weights or None)
        except ValidationError:
            raise ValueError(f"--observer {text!r}: there is no model before {part!r}") from None
        sources.append(Source(network, layer or None))
    return name, sources


def study_sources(study: Study) -> list[Source]:
    """The networks of the study itself, each of which may embed trials about the others."""
    digests = {network.name: network.weights_digest for network in study.networks}
    try:
        listed = [NetworkSource.model_validate(one) for one in study.config["networks"]]
    except (KeyError, TypeError, ValidationError):
        listed = []
    if not {source.name for source in listed} >= set(digests):
        raise ValueError(
            "the bundle does not say how to load its networks: name an embedding network with"
            " --observer NAME=MODEL"
        )
    return [Source(source, expected_digest=digests[source.name]) for source in listed]
