"""What a visualization is asked to please: a number for each image, read off a network.

logit(84)                                   an output class
channel("layer3.1.conv2", 17)               the mean of a channel
neuron("layer3.1.conv2", 17)                its central unit
2 * logit(84) - 0.5 * logit(7)              sums and multiples
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from maco.classifiers import OUTPUT


@dataclass(frozen=True)
class Term:
    """One measurement: a layer's activations -> (n,), and how it is written."""

    layer: str
    measure: Callable[[Tensor], Tensor]
    name: str


@dataclass(frozen=True)
class Objective:
    """A weighted sum of terms. Its repr is its name in files and messages."""

    terms: tuple[tuple[float, Term], ...]

    @property
    def layers(self) -> frozenset[str]:
        """The layers that have to be read."""
        return frozenset(term.layer for _, term in self.terms)

    def __call__(self, activations: Mapping[str, Tensor]) -> Tensor:
        """Value (n,) for each of n images, from `Classifier.read`."""
        values = [weight * term.measure(activations[term.layer]) for weight, term in self.terms]
        return sum(values[1:], start=values[0])

    def __add__(self, other: Objective) -> Objective:
        return Objective(self.terms + other.terms)

    def __mul__(self, factor: float) -> Objective:
        return Objective(tuple((weight * factor, term) for weight, term in self.terms))

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return self * -1.0

    def __sub__(self, other: Objective) -> Objective:
        return self + -other

    def __repr__(self) -> str:
        parts = [
            term.name if weight == 1 else f"{weight!r} * {term.name}" for weight, term in self.terms
        ]
        return " + ".join(parts)


def _single(layer: str, measure: Callable[[Tensor], Tensor], name: str) -> Objective:
    return Objective(((1.0, Term(layer, measure, name)),))


def logit(index: int) -> Objective:
    """The network's output of one class, before the softmax."""
    return _single(OUTPUT, lambda out: _pick(out, index, OUTPUT), f"logit({index})")


def channel(layer: str, index: int) -> Objective:
    """The spatial mean of one channel.

    Activations are (n, channels, ...) as convolutions give them, or (n, tokens, channels) as
    transformers do; the mean is over all places or all tokens. Networks that keep maps as
    (n, h, w, channels), such as Swin, are read as if h were the channels.
    """

    def measure(activation: Tensor) -> Tensor:
        values = _pick(_channels_first(activation), index, layer)
        return values.reshape(len(values), -1).mean(1)

    return _single(layer, measure, f"channel({layer!r}, {index})")


def neuron(layer: str, index: int, place: tuple[int, ...] | None = None) -> Objective:
    """One unit of a channel: at (row, column) of a map, or (token,); by default the central one."""

    def measure(activation: Tensor) -> Tensor:
        values = _pick(_channels_first(activation), index, layer)
        where = place if place is not None else tuple(side // 2 for side in values.shape[1:])
        if len(where) != values.ndim - 1 or any(
            not 0 <= at < side for at, side in zip(where, values.shape[1:], strict=True)
        ):
            raise ValueError(
                f"{layer!r} has no place {where}: it is {tuple(values.shape[1:])} large"
            )
        for at in where:
            values = values[:, at]
        return values

    at = "" if place is None else f", {place}"
    return _single(layer, measure, f"neuron({layer!r}, {index}{at})")


def _channels_first(activation: Tensor) -> Tensor:
    return activation.movedim(-1, 1) if activation.ndim == 3 else activation


def _pick(activation: Tensor, index: int, layer: str) -> Tensor:
    if not 0 <= index < activation.shape[1]:
        raise ValueError(f"{layer!r} has no channel {index}: 0 to {activation.shape[1] - 1}")
    return activation[:, index]
