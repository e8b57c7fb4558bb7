"""Layers: what the parts of a network give, and where in the image that lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

_ONE_DIMENSIONAL = (nn.Conv1d, nn.BatchNorm1d)
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm)


@dataclass(frozen=True)
class Layer:
    """A layer that can be read.

    name: its module name. kind: its class. shape: what `Classifier.read` gives of one image,
    (channels, *places). intermediate: whether timm names it among the network's features.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    intermediate: bool = False


def channels_first(activation: Tensor, module: nn.Module) -> Tensor:
    """What a module gives, as (n, channels, *places).

    Tokens (n, l, c) have their channels last, but for one-dimensional convolutions. So do maps
    (n, h, w, c) of networks such as Swin: networks see square images, so the two dimensions that
    are alike are the places; where all three are, the kind of module decides.
    """
    if activation.ndim == 3:
        last = not isinstance(module, _ONE_DIMENSIONAL)
    elif activation.ndim == 4:
        first, middle, final = activation.shape[1:]
        last = first == middle != final or (first == middle == final and _works_on_last(module))
    else:
        last = False
    return activation.movedim(-1, 1) if last else activation


def _works_on_last(module: nn.Module) -> bool:
    # timm's LayerNorm2d is a LayerNorm by name only: its channels come first.
    return isinstance(module, _CHANNELS_LAST) and "2d" not in type(module).__name__


def as_map(activation: Tensor, network: nn.Module) -> Tensor | None:
    """Activations (n, c, *places) as feature map (n, c, h, h); None if they have no extent.

    A transformer's tokens are laid out on the square grid of its patches, without the class and
    register tokens that come before them.
    """
    if activation.ndim == 3 and not hasattr(network, "reroll"):  # Hiera shuffles its tokens
        side = math.isqrt(activation.shape[2])
        before = activation.shape[2] - side**2
        if before in {0, getattr(network, "num_prefix_tokens", 1)}:
            activation = activation[:, :, before:].reshape(*activation.shape[:2], side, side)
    if activation.ndim != 4 or not activation.shape[2] == activation.shape[3] > 1:
        return None
    return activation
