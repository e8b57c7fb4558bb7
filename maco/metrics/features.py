"""What a network makes of images: activations of its layers, averaged over places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from maco.classifiers import Classifier
from maco.metrics.views import squares

ENOUGH_BLOCKS = 4


def pooled_features(
    classifier: Classifier,
    images: Iterable[Tensor],
    layers: Sequence[str],
    *,
    batch: int = 16,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Tensor]:
    """Features (n, channels) float32 of n images, by layer: activations averaged over all places.

    images: (3, h, w) in [0, 1] of any size, or one tensor of them; of each the central square.
    Vectors, such as `OUTPUT`'s logits, stay as they are; the places of a vision transformer are all
    its tokens. progress: called after each batch with the number of images done in it.
    Raises ValueError for no image, no layer, or a layer that cannot be read.
    """
    if not layers:
        raise ValueError("no layer to read features from: name at least one")
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    with torch.no_grad():
        for group in squares(images, classifier.input_size_px, batch):
            activations = classifier.read(group.to(classifier.device), layers)
            for layer, found in parts.items():
                found.append(_pooled(activations[layer]))
            if progress is not None:
                progress(len(group))
    if not all(parts.values()):
        raise ValueError("there is no image to read features from")
    return {layer: torch.cat(found) for layer, found in parts.items()}


def _pooled(activation: Tensor) -> Tensor:
    if activation.ndim > 2:
        activation = activation.flatten(2).mean(2)
    return activation.float().cpu()


def default_layers(classifier: Classifier) -> tuple[str, ...]:
    """The layers that plausibility reads where none are named: the later half of the network.

    Those that timm names as intermediate (ViT: its blocks; ResNet: its stages); of an odd number
    the middle one counts. A network without such names (torchvision's): the later half of the
    children that hold weights, linear ones left out, of the outermost module with at least four.
    Fel et al. (2023) do not say which layers they read, and their Tables 1 and 3 differ, so the
    names belong beside every number.
    """
    names = [layer.name for layer in classifier.layers() if layer.intermediate]
    names = names or _blocks(classifier.network)
    return tuple(names[len(names) // 2 :])


def _blocks(network: nn.Module) -> list[str]:
    def inside(name: str, module: nn.Module) -> list[str]:
        return [
            f"{name}.{child}".lstrip(".")
            for child, part in module.named_children()
            if any(True for _ in part.parameters()) and not isinstance(part, nn.Linear)
        ]

    found = [inside(name, module) for name, module in network.named_modules()]
    return max(found, key=lambda blocks: min(len(blocks), ENOUGH_BLOCKS))  # the first of equals
