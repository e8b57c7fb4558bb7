"""CRAFT: the concepts that a network uses for a class, how much each matters, and where it is.

from maco.concepts import Search, find_concepts
found = find_concepts(classifier, 8, sorted(Path("hens").iterdir()), Search(concepts=5))
[direction(found.layer, concept.direction) for concept in found.concepts]     # to be rendered

Fel et al. 2023, CRAFT: Concept Recursive Activation FacTorization for Explainability, arXiv
2211.10154; without its recursion. Where a class token is, it is one more place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from maco.classifiers import Classifier
from maco.concepts.factors import Factors, factorise
from maco.concepts.heatmaps import map_concepts, overlay, scale_maps
from maco.concepts.importance import bootstrap, measure_importance, sobol_design, total_order
from maco.concepts.patches import Patch, draw_patches, read_patches
from maco.concepts.substitution import default_layer, substitute
from maco.photographs import read_square

__all__ = [
    "ClassConcepts",
    "Concept",
    "Factors",
    "Patch",
    "Search",
    "default_layer",
    "factorise",
    "find_concepts",
    "overlay",
    "sobol_design",
    "substitute",
    "total_order",
]


@dataclass(frozen=True)
class Search:
    """How concepts are looked for.

    concepts: how many. patches: how many in all, of `patch_side` (a part of a photograph's shorter
    side) at random places. photographs: at most so many of the class, drawn at random.
    rows: of the Sobol sequence, a power of 2. shown: patches and heatmaps kept of each concept.
    """

    concepts: int = 10
    patches: int = 300
    patch_side: float = 0.35
    photographs: int = 40
    rows: int = 32
    shown_patches: int = 6
    shown_heatmaps: int = 4
    seed: int = 0


@dataclass(frozen=True)
class Concept:
    """One concept of a class.

    importance: its total-order Sobol index, the mean over photographs; interval: 95 %, bootstrapped
    over them. direction: (channels,) in the layer. patches: those that express it most, each with
    its coefficient. heatmaps: photographs with most of it, each with its heat (h, w) in [0, 1].
    """

    importance: float
    interval: tuple[float, float]
    direction: Tensor
    patches: tuple[tuple[Patch, float], ...]
    heatmaps: tuple[tuple[Path, Tensor], ...]


@dataclass(frozen=True)
class ClassConcepts:
    """The concepts of a class, the most important first; explained and signed: see `Factors`.

    logit: the class's, the mean over its photographs; logit_of_concepts: that of what the concepts
    alone say of the layer.
    """

    class_index: int
    layer: str
    concepts: tuple[Concept, ...]
    photographs: int
    patches: int
    explained: float
    signed: bool
    logit: float
    logit_of_concepts: float


def find_concepts(
    classifier: Classifier,
    class_index: int,
    photographs: Sequence[Path],
    search: Search | None = None,
    *,
    layer: str | None = None,
    progress: bool = True,
) -> ClassConcepts:
    """The concepts of a class in a layer (by default `default_layer`), from its photographs.

    Raises ValueError for fewer than 2 photographs, more concepts than patches, or a layer that has
    no places in the image or does not exist.
    """
    search = search or Search()
    if len(photographs) < 2:
        raise ValueError(
            f"{len(photographs)} photographs of class {class_index}: at least 2 are needed, some 30"
            " are good"
        )
    rng = np.random.default_rng([search.seed, class_index])
    chosen = _choose(photographs, search.photographs, rng)
    first = read_square(chosen[0], classifier.input_size_px)[None].to(classifier.device)
    layer = layer or default_layer(classifier, first)
    by_photograph = draw_patches(chosen, search.patches, rng, side=search.patch_side)
    maps = read_patches(classifier, layer, by_photograph, progress=progress)
    factors = factorise(maps, search.concepts, seed=search.seed)
    indices, logits = measure_importance(
        classifier, class_index, layer, factors, chosen, rng, rows=search.rows, progress=progress
    )
    importance = indices.mean(0)
    low, high = bootstrap(indices, rng)
    heat = map_concepts(classifier, layer, factors, chosen, progress=progress)
    patches = [patch for own in by_photograph for patch in own]
    concepts = [
        Concept(
            importance=float(importance[k]),
            interval=(float(low[k]), float(high[k])),
            direction=factors.directions[k],
            patches=_strongest(patches, factors.coefficients[:, k], search.shown_patches),
            heatmaps=_fullest(chosen, heat, k, search.shown_heatmaps),
        )
        for k in np.argsort(-importance, kind="stable")
    ]
    return ClassConcepts(
        class_index=class_index,
        layer=layer,
        concepts=tuple(concepts),
        photographs=len(chosen),
        patches=len(patches),
        explained=factors.explained,
        signed=factors.signed,
        logit=float(logits[:, 0].mean()),
        logit_of_concepts=float(logits[:, 1].mean()),
    )


def _choose(photographs: Sequence[Path], most: int, rng: np.random.Generator) -> list[Path]:
    if len(photographs) <= most:
        return list(photographs)
    return [photographs[at] for at in sorted(rng.permutation(len(photographs))[:most])]


def _strongest(
    patches: Sequence[Patch], amount: np.ndarray, count: int
) -> tuple[tuple[Patch, float], ...]:
    """The patches with most of a concept: one of each photograph first, then the others."""
    order = [int(at) for at in np.argsort(-amount, kind="stable")]
    seen: set[Path] = set()
    ranked = []
    for at in order:
        again = patches[at].photograph in seen
        seen.add(patches[at].photograph)
        ranked.append((again, at))
    best = [at for _, at in sorted(ranked, key=lambda entry: entry[0])][:count]
    return tuple((patches[at], float(amount[at])) for at in best)


def _fullest(
    photographs: Sequence[Path], coefficients: Tensor, concept: int, count: int
) -> tuple[tuple[Path, Tensor], ...]:
    heat = scale_maps(coefficients[:, concept : concept + 1])[:, 0]
    order = heat.mean((1, 2)).argsort(descending=True, stable=True)[:count]
    return tuple((photographs[int(at)], heat[int(at)]) for at in order)
