"""Whether a network sees a class in images that were made for another (Fel et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maco.classifiers import Classifier
from maco.metrics.views import squares


@dataclass(frozen=True)
class Predictions:
    """What a classifier makes of n images, each with a class of its own; all (n,).

    logit, softmax, log_probability: of the class. rank: 1 where it is the most likely one; a class
    that shares its logit with others takes the last rank of them.
    """

    logit: Tensor
    softmax: Tensor
    log_probability: Tensor
    rank: Tensor

    @property
    def top1(self) -> Tensor:
        """Whether the class is the most likely one, (n,) bool."""
        return self.rank == 1

    @property
    def top5(self) -> Tensor:
        """Whether the class is among the five most likely ones, (n,) bool."""
        return self.rank <= 5


def predictions(
    classifier: Classifier,
    images: Iterable[Tensor],
    class_indices: Sequence[int],
    *,
    batch: int = 16,
) -> Predictions:
    """How a classifier rates class_indices[i] for image i.

    images: (3, h, w) in [0, 1] of any size, or one tensor of them; of each the central square.
    Raises ValueError for a class that the classifier does not have, or another number of images.
    """
    _check_classes(classifier, class_indices)
    with torch.no_grad():
        groups = squares(images, classifier.input_size_px, batch)
        found = [classifier(group.to(classifier.device)).float().cpu() for group in groups]
    logits = torch.cat(found) if found else torch.empty(0, classifier.classes)
    if len(logits) != len(class_indices):
        raise ValueError(f"{len(logits)} images and {len(class_indices)} classes: one class each")
    if not bool(logits.isfinite().all()):
        raise ValueError(f"{classifier.name} gives a logit that is no number for these images")
    index = torch.tensor(class_indices, dtype=torch.long)[:, None]
    own = logits.gather(1, index)
    log_probability = logits.log_softmax(1).gather(1, index)[:, 0]
    return Predictions(
        logit=own[:, 0],
        softmax=log_probability.exp(),
        log_probability=log_probability,
        rank=(logits >= own).sum(1),
    )


def _check_classes(classifier: Classifier, class_indices: Sequence[int]) -> None:
    for index in class_indices:
        if not 0 <= index < classifier.classes:
            raise ValueError(
                f"{classifier.name} has no class {index}, only 0 to {classifier.classes - 1}: it is"
                " a network of another number of classes"
            )
