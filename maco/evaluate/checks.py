"""What makes an evaluation impossible, found before anything is rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from maco.classifiers import Classifier
from maco.evaluate.measures import Photographs, Rules
from maco.metrics.features import pooled_features


def check_classes(classifiers: Mapping[str, Classifier], indices: Sequence[int]) -> None:
    """Raises ValueError where a class index means another class in another network."""
    counts = {name: classifier.classes for name, classifier in classifiers.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(f"the networks must have the same classes; they have {found}")
    for index in indices:
        labels = {name: one.class_labels[index] for name, one in classifiers.items()}
        if len(set(labels.values())) > 1:
            found = ", ".join(f"{label!r} in {name}" for name, label in labels.items())
            raise ValueError(f"class {index} must be the same in all networks; it is {found}")


def check_layers(classifiers: Mapping[str, Classifier], rules: Rules) -> None:
    """Raises ValueError for a layer that cannot be read, before anything is rendered."""
    for name, classifier in classifiers.items():
        side = classifier.input_size_px
        blank = [torch.zeros(3, side, side)]
        pooled_features(classifier, blank, rules.layers_of(name, classifier))


def check_neighbours(photographs: Photographs, rules: Rules, classifier: Classifier) -> None:
    for index, files in photographs.files.items():
        if len(files) < max(rules.neighbours):
            raise ValueError(
                f"{classifier.class_labels[index]} has {len(files)} photographs: --neighbours"
                f" {max(rules.neighbours)} needs as many"
            )
