"""Evidence that the references speak for one query of a pair: a number, antisymmetric in the two.

The two queries differ only in which square is hidden, so what one shows and the other hides is all
that can speak for either. Feature maps are (c, h, h), visibilities (h, h) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from stimuli.schema import Occluder

MEASURES = ("local", "global")


def seen_only_here(mine: Occluder, other: Occluder, size_px: tuple[int, int], cells: int) -> Tensor:
    """The share of each cell (cells, cells) that the other query hides and this one shows.

    size_px: height and width of the queries.
    """
    shown = torch.zeros(size_px)
    shown[_square(other)] = 1
    shown[_square(mine)] = 0
    return F.adaptive_avg_pool2d(shown[None], cells)[0]


def _square(occluder: Occluder) -> tuple[slice, slice]:
    x, y, size = occluder.x_px, occluder.y_px, occluder.size_px
    return slice(y, y + size), slice(x, x + size)


def match(
    measure: str,
    queries: tuple[Tensor, Tensor],
    seen: tuple[Tensor, Tensor],
    references: Sequence[Tensor],
) -> float:
    """Evidence for the first query against the second; 0 without references.

    measure: "local" (`local_match`) or "global" (`global_match`, which does not use `seen`).
    """
    if not references:
        return 0.0
    if measure == "local":
        return local_match(queries, seen, references)
    if measure == "global":
        return global_match(queries, references)
    raise ValueError(f"unknown measure {measure!r}: {', '.join(MEASURES)}")


def local_match(
    queries: tuple[Tensor, Tensor], seen: tuple[Tensor, Tensor], references: Sequence[Tensor]
) -> float:
    """How much what only the first query shows is found in the references, minus the converse.

    Every patch that one query shows and the other hides takes its best match, by cosine, among all
    patches of the references. Patches count by how much of them is shown and how far their features
    are from the pair's mean, so that plain ground counts little.
    """
    mean = torch.cat([query.flatten(1) for query in queries], dim=1).mean(1, keepdim=True)
    sought = torch.cat([reference.flatten(1) for reference in references], dim=1) - mean
    sought = F.normalize(sought, dim=0)
    scores = []
    for query, visible in zip(queries, seen, strict=True):
        weights = visible.flatten()
        patches = (query.flatten(1) - mean)[:, weights > 0]
        weights = weights[weights > 0] * patches.norm(dim=0)
        if not bool(weights.sum() > 0):
            scores.append(0.0)  # nothing is shown that the other hides: it resembles nothing
            continue
        best = (F.normalize(patches, dim=0).T @ sought).amax(1)
        scores.append(float((best * weights).sum() / weights.sum()))
    return scores[0] - scores[1]


def global_match(queries: tuple[Tensor, Tensor], references: Sequence[Tensor]) -> float:
    """Mean cosine between a whole query's pooled features and each reference's, minus the other's.

    After the machine interpretability score of Zimmermann et al. (2024), whose images are compared
    whole.
    """
    pooled = torch.stack([reference.mean((1, 2)) for reference in references])
    first, second = (
        float(F.cosine_similarity(query.mean((1, 2))[None], pooled).mean()) for query in queries
    )
    return first - second
