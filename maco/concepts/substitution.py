"""What a network answers if one of its layers had given something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from maco.classifiers import OUTPUT, Classifier
from maco.layers import Layer, as_map, channels_first


@contextmanager
def substitute(
    classifier: Classifier, layer: str, change: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """While it lasts, the network goes on from `change` of a layer's activations.

    change: (n, channels, *places) -> as many channels and places. The hook is always removed.
    """

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        own = channels_first(output, module)
        changed = change(own)
        return changed if own is output else changed.movedim(1, -1).contiguous()

    handle = classifier.network.get_submodule(layer).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def answer(classifier: Classifier, image: Tensor, layer: str, activations: Tensor) -> Tensor:
    """Logits (m, classes) for m activations (m, channels, *places) of a layer in an image's stead.

    image: (1, 3, h, w) in [0, 1]. What comes before the layer runs once, on the image; what does
    not pass through the layer (a skip connection around it) stays the image's.
    """
    given = activations.to(classifier.device)
    with torch.no_grad():
        try:
            with substitute(classifier, layer, lambda own: given):
                logits = classifier(image)
            if len(logits) == len(given):
                return logits.cpu()
        except RuntimeError:  # one image and m activations that meet again after the layer
            pass
        with substitute(classifier, layer, lambda own: given):
            return classifier(image.expand(len(given), -1, -1, -1)).cpu()


def default_layer(classifier: Classifier, image: Tensor) -> str:
    """The last stage of a network with places in the image on which its answer depends.

    Stages are the network's own parts and what timm calls its intermediate features: the layer
    before the pooling of a convolutional network, the last block but one of a transformer that
    reads its class token alone. image: (1, 3, h, w), any photograph. Raises ValueError if there is
    none.
    """
    for layer in reversed(classifier.layers()):
        if _is_stage(layer, classifier) and reaches(classifier, image, layer.name):
            return layer.name
    raise ValueError(f"{classifier.name} has no stage with places in the image: give a layer")


def _is_stage(layer: Layer, classifier: Classifier) -> bool:
    if layer.name == OUTPUT or layer.kind in {"Dropout", "Identity"}:
        return False
    extent = as_map(torch.zeros(1, *layer.shape), classifier.network) is not None
    own = layer.intermediate or "." not in layer.name
    return own and extent and layer.shape[0] != classifier.classes


def reaches(classifier: Classifier, image: Tensor, layer: str) -> bool:
    """Whether the logits depend on the layer at most of its places (without class tokens)."""
    weights: list[Tensor] = []

    def weigh(own: Tensor) -> Tensor:
        weights.append(torch.ones_like(own[:, :1]).requires_grad_())
        return own * weights[0]

    with torch.enable_grad(), substitute(classifier, layer, weigh):
        logits = classifier(image.to(classifier.device))
    [gradient] = torch.autograd.grad(logits.square().sum(), weights, allow_unused=True)
    places = None if gradient is None else as_map(gradient, classifier.network)
    return places is not None and bool((places != 0).float().mean() > 0.5)
