"""Stage two: numbers for each picture, and for each method's pictures as a set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from maco.classifiers import Classifier
from maco.evaluate.ledger import Ledger, Rows
from maco.evaluate.methods import Method
from maco.evaluate.renders import Render
from maco.metrics.distributions import (
    FeatureNetwork,
    feature_network,
    frechet_distance,
    inception_features,
    kernel_distance,
)
from maco.metrics.features import default_layers, pooled_features
from maco.metrics.naturalness import magnitude_survival
from maco.metrics.plausibility import plausibility
from maco.metrics.transfer import predictions
from maco.metrics.views import central
from maco.photographs import read_square
from maco.spectrum import Spectrum
from maco.visualization import Visualization

PAPER_TRANSFER = (
    "mobilenetv2_100",
    "vgg16",
    "legacy_xception",
    "efficientnet_b0",
    "convnext_tiny",
    "densenet121",
)


@dataclass(frozen=True)
class Rules:
    """What is measured, and how.

    views: central parts of the pictures that are measured, as fractions of the side; every method
        is cut alike. 299 / 512 is the paper's for FID.
    neighbours: k of the Deep-KNN distances. layers: of each network, for them; where a network is
        not named, `metrics.features.default_layers`.
    """

    views: tuple[float, ...] = (1.0, 299 / 512)
    neighbours: tuple[int, ...] = (1, 5)
    layers: Mapping[str, tuple[str, ...]] | None = None

    def layers_of(self, name: str, classifier: Classifier) -> tuple[str, ...]:
        """The layers in which a network's pictures are compared with photographs."""
        return (self.layers or {}).get(name) or default_layers(classifier)


class Photographs:
    """The real images of the classes, and what the networks make of them, read once."""

    def __init__(self, files: Mapping[int, Sequence[Path]], size_px: int) -> None:
        self.files = {index: list(paths) for index, paths in files.items()}
        self.size_px = size_px

    def of(self, index: int) -> Iterator[Tensor]:
        """Central squares (3, size_px, size_px) of a class's photographs."""
        for path in self.files[index]:
            yield read_square(path, self.size_px)

    def all(self) -> Iterator[Tensor]:
        """Those of every class, one after the other."""
        for index in self.files:
            yield from self.of(index)

    def features(
        self, classifier: Classifier, layers: Sequence[str]
    ) -> dict[int, dict[str, Tensor]]:
        """Class index -> layer -> features (m, channels)."""
        bar = tqdm(self.files, unit="class", desc=f"photographs, {classifier.name}")
        return {index: pooled_features(classifier, self.of(index), layers) for index in bar}


def picture(one: Render, method: Method, out: Path) -> Tensor:
    """What a method shows of a render: (3, h, w) in [0, 1]."""
    visualization = Visualization.load(out / one.render)
    return visualization.over() if method.masked else visualization.image


def measure_pictures(
    pictures: Sequence[tuple[Method, Render]],
    classifiers: Mapping[str, Classifier],
    transfer: Mapping[str, Classifier],
    photographs: Photographs,
    rules: Rules,
    spectrum: Spectrum,
    out: Path,
    ledger: Ledger,
) -> list[dict[str, Any]]:
    """A row a picture and view: `network, method, class_index, class_label, seed, view`, measures.

    logit, softmax, top1: of the network that it was made for. top1_N, softmax_N: of network N of
    the transfer set; transfer_top1, transfer_top5, transfer_softmax: means over those other than
    its own. knn_K: Deep-KNN distance with k = K in features of unit length, knn_K_raw: as they are.
    brightness_sd, colour_sd, gain: how far its magnitudes are from natural ones (whole image).
    ledger: where each picture's rows are written down, and found if they are there.
    """

    @cache
    def real(network: str) -> dict[int, dict[str, Tensor]]:
        layers = rules.layers_of(network, classifiers[network])
        return photographs.features(classifiers[network], layers)

    def measure(method: Method, one: Render) -> Rows:
        image = picture(one, method, out)
        survival = magnitude_survival(image, spectrum)
        known = real(one.network)[one.index]
        return [
            {
                "network": one.network,
                "method": method.name,
                "class_index": one.index,
                "class_label": one.label,
                "seed": one.seed,
                "view": round(view, 4),
                **_scores(central(image[None], view), one, classifiers, transfer),
                **_distances(central(image[None], view), classifiers[one.network], known, rules),
                "brightness_sd": survival.brightness,
                "colour_sd": survival.colour,
                "gain": survival.gain,
            }
            for view in rules.views
        ]

    rows: Rows = []
    for method, one in tqdm(pictures, unit="picture", desc="measuring"):
        file = out / f"{one.render}.safetensors"
        found = ledger.find(file, method.name)
        rows += found or ledger.add(file, method.name, measure(method, one))
    return rows


def _scores(
    image: Tensor,
    one: Render,
    classifiers: Mapping[str, Classifier],
    transfer: Mapping[str, Classifier],
) -> dict[str, float]:
    own = predictions(classifiers[one.network], image, [one.index])
    scores = {
        "logit": float(own.logit),
        "softmax": float(own.softmax),
        "top1": float(own.top1),
    }
    others = {
        name: network
        for name, network in transfer.items()
        if not is_same(network, classifiers[one.network])
    }
    found = {name: predictions(network, image, [one.index]) for name, network in others.items()}
    for name, other in found.items():
        scores[f"top1_{name}"] = float(other.top1)
        scores[f"softmax_{name}"] = float(other.softmax)
    if found:
        scores["transfer_top1"] = _mean(other.top1 for other in found.values())
        scores["transfer_top5"] = _mean(other.top5 for other in found.values())
        scores["transfer_softmax"] = _mean(other.softmax for other in found.values())
    return scores


def is_same(one: Classifier, other: Classifier) -> bool:
    """Whether two names stand for the same weights: a network does not judge its own pictures."""
    return one is other or one.weights_digest() == other.weights_digest()


def _distances(
    image: Tensor, classifier: Classifier, known: Mapping[str, Tensor], rules: Rules
) -> dict[str, float]:
    features = pooled_features(classifier, image, list(known))
    distances = {}
    for k in rules.neighbours:
        for suffix, normalise in (("", True), ("_raw", False)):
            distance = plausibility(features, known, k, normalise=normalise)
            distances[f"knn_{k}{suffix}"] = float(distance)
    return distances


def feature_networks(
    classifiers: Mapping[str, Classifier], inception: Path | None, rules: Rules
) -> dict[str, FeatureNetwork]:
    """In whose features sets are compared: Inception's if there, else every classifier's."""
    if inception is not None:
        device = str(next(iter(classifiers.values())).device)
        return {"inception": inception_features(inception, device=device)}
    return {
        name: feature_network(classifier, rules.layers_of(name, classifier)[-1])
        for name, classifier in classifiers.items()
    }


SET_COLUMNS = (
    *("network", "method", "view", "features", "fid", "kid", "kid_sd"),
    *("pictures", "photographs"),
)


def measure_sets(
    pictures: Sequence[tuple[Method, Render]],
    classifiers: Mapping[str, Classifier],
    feature_networks: Mapping[str, FeatureNetwork],
    photographs: Photographs,
    views: Sequence[float],
    out: Path,
) -> list[dict[str, Any]]:
    """A row a network, method, view and feature network: FID and KID to the classes' photographs.

    Of all classes together, the photographs whole; kid_sd is over subsets. A network's own features
    are left out: pictures were made to please them. One picture alone is no set.
    """
    sets: dict[tuple[str, str], list[tuple[Method, Render]]] = {}
    for method, one in pictures:
        sets.setdefault((one.network, method.name), []).append((method, one))
    sets = {key: members for key, members in sets.items() if len(members) > 1}
    asked = {
        network: {
            name: extract
            for name, extract in feature_networks.items()
            if name not in classifiers or not is_same(classifiers[name], classifiers[network])
        }
        for network, _ in sets
    }
    if not any(asked.values()):
        return []
    real = _features(feature_networks, photographs.all(), (1.0,))
    rows = []
    for (network, method_name), members in tqdm(sets.items(), unit="set", desc="FID and KID"):
        shown = (picture(one, method, out) for method, one in members)
        made = _features(asked[network], shown, views)
        for (name, view), own in made.items():
            what = (network, method_name, round(view, 4), name)
            rows.append(
                dict(zip(SET_COLUMNS, (*what, *_compare(own, real[name, 1.0])), strict=True))
            )
    return rows


def _compare(made: Tensor, real: Tensor) -> tuple[float, float, float, int, int]:
    """FID, KID, its s.d. over subsets, and how many images on either side."""
    kid, kid_sd = kernel_distance(made, real, generator=torch.Generator().manual_seed(0))
    return frechet_distance(made, real), kid, kid_sd, len(made), len(real)


def _features(
    extractors: Mapping[str, FeatureNetwork], images: Iterable[Tensor], views: Sequence[float]
) -> dict[tuple[str, float], Tensor]:
    """(Feature network, view) -> features (n, channels) of n images, each of which is read once."""
    parts: dict[tuple[str, float], list[Tensor]] = {
        (name, view): [] for name in extractors for view in views
    }
    for image in images:
        for (name, view), found in parts.items():
            found.append(extractors[name](central(image[None], view)))
    return {key: torch.cat(found) for key, found in parts.items()}


def _mean(values: Any) -> float:
    return float(torch.stack([value.float().mean() for value in values]).mean())
