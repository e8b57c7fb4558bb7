"""Where in an embedding network an observer looks: feature maps, and which one by default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from maco import Classifier

_PREFIXES = (0, 1, 2, 5)  # tokens of a transformer before those of the image
_SPANNED = 8  # cells of a map along the occluder's side: fewer blur what it hides with the rest


@dataclass(frozen=True)
class Layer:
    """A layer that gives a feature map: its name, when it runs (0 first, 1 last), cells a side."""

    name: str
    depth: float
    cells: int


def as_map(activation: Tensor) -> Tensor | None:
    """A layer's activation as feature map (n, c, h, h); None if it has no places in the image.

    Transformers' tokens (n, h * h, c) are laid out, without class and register tokens; maps with
    the channels last are turned.
    """
    if activation.ndim == 4 and activation.shape[-1] == activation.shape[-2] > 1:
        return activation
    if activation.ndim == 4 and activation.shape[1] == activation.shape[2] > 1:
        return activation.permute(0, 3, 1, 2)
    if activation.ndim != 3:
        return None
    for prefix in _PREFIXES:
        side = math.isqrt(max(activation.shape[1] - prefix, 0))
        if side > 1 and side**2 == activation.shape[1] - prefix:
            tokens = activation[:, prefix:].transpose(1, 2)
            return tokens.reshape(*tokens.shape[:2], side, side)
    return None


def find_layers(classifier: Classifier) -> list[Layer]:
    """Every layer that runs once in a pass and gives a feature map, in the order they end."""
    ended: list[tuple[str, int]] = []
    side = classifier.input_size_px

    def note(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        # Transformers with windows make them images of their own: those are no places in one.
        one = isinstance(output, Tensor) and output.shape[:1] == (1,)
        found = as_map(output) if one else None
        ended.append((name, 0 if found is None else found.shape[-1]))

    handles = [
        module.register_forward_hook(partial(note, name))
        for name, module in classifier.network.named_modules()
        if name
    ]
    try:
        with torch.inference_mode():
            classifier(torch.full((1, 3, side, side), 0.5, device=classifier.device))
    finally:
        for handle in handles:
            handle.remove()
    names = [name for name, _ in ended]
    return [
        Layer(name, at / max(len(ended) - 1, 1), cells)
        for at, (name, cells) in enumerate(ended)
        if cells and names.count(name) == 1
    ]


def default_layer(classifier: Classifier, occluder_share: float) -> str:
    """The layer half-way up, among those fine enough for an occluder of that share of the side.

    Fine enough are maps with eight cells along the occluder, or the finest the network has.
    Half-way lie features between edges and categories: textures and parts, which a visualization
    can show.
    Raises ValueError for a network without feature maps.
    """
    layers = find_layers(classifier)
    if not layers:
        raise ValueError(f"{classifier.name} has no layer with a feature map to compare")
    needed = min(_SPANNED / occluder_share, max(layer.cells for layer in layers))
    fine = [layer for layer in layers if layer.cells >= needed]
    blocks = [layer for layer in fine if not _inside(layer, layers)] or fine
    return min(blocks, key=lambda layer: (abs(layer.depth - 0.5), -layer.depth)).name


def _inside(layer: Layer, layers: list[Layer]) -> bool:
    """Whether it is part of a numbered block, such as layer2 or blocks.5, which stands for it."""
    return any(
        layer.name.startswith(block.name + ".") and block.name[-1].isdigit() for block in layers
    )
