"""What a visualization is asked to please: a number for each image, read off a network.

logit(84)                                   an output class
channel("layer3.1.conv2", 17)               the mean of a channel
neuron("layer3.1.conv2", 17)                its central unit
layer("layer3.1.conv2")                     all of the layer: deep dream
direction("layer3.1.conv2", vector)         a direction in the space of its channels
inversion("layer3.1.conv2", target)         what a photograph makes of the whole layer
2 * logit(84) - 0.5 * logit(7)              sums and multiples
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import torch
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
        if not isinstance(factor, Real):
            return NotImplemented
        factor = float(factor)
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
    """The mean of one channel over all places of its map, or all tokens."""

    def measure(activation: Tensor) -> Tensor:
        values = _pick(activation, index, layer)
        return values.reshape(len(values), -1).mean(1)

    return _single(layer, measure, f"channel({layer!r}, {index})")


def neuron(layer: str, index: int, place: tuple[int, ...] | None = None) -> Objective:
    """One unit of a channel, by default the central one.

    place: (row, column) of a map; of a transformer's layer either (token,), counted as the network
    counts them, class and register tokens first, or (row, column) of its patches.
    """

    def measure(activation: Tensor) -> Tensor:
        values = _pick(activation, index, layer)
        sides = tuple(values.shape[1:])
        if len(sides) == 1 and (place is None or len(place) == 2):
            values, sides = _patches(values)
        where = place if place is not None else tuple(side // 2 for side in sides)
        if len(where) != values.ndim - 1 or any(
            not 0 <= at < side for at, side in zip(where, sides, strict=True)
        ):
            raise ValueError(f"{layer!r} has no place {where}: it is {sides} large")
        for at in where:
            values = values[:, at]
        return values

    at = "" if place is None else f", {place}"
    return _single(layer, measure, f"neuron({layer!r}, {index}{at})")


def _patches(tokens: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Tokens (n, l) without those before the patches, as the largest square (n, h, h) they fill."""
    side = math.isqrt(tokens.shape[1])
    return tokens[:, tokens.shape[1] - side**2 :].reshape(-1, side, side), (side, side)


def layer(name: str) -> Objective:
    """The mean of a layer's squared activations, all that it answers at once: deep dream."""

    def measure(activation: Tensor) -> Tensor:
        return activation.flatten(1).square().mean(1)

    return _single(name, measure, f"layer({name!r})")


def direction(layer: str, vector: Tensor | Sequence[float], power: float = 2.0) -> Objective:
    """How far a layer goes in a direction of its channels, and how straight; the mean over places.

    vector: (channels,), of any length but 0. At each place, the activation's extent along it times
    max(cosine, 0.1) ** power (Olah et al. 2017; a power of 0 leaves the extent alone).
    Raises ValueError for a vector that is 0, not finite, or not of the layer's length.
    """
    target, digest = _target(vector, f"the direction in {layer!r}")
    if target.ndim != 1:
        raise ValueError(f"the direction in {layer!r} is {tuple(target.shape)}: it must be a row")

    def measure(activation: Tensor) -> Tensor:
        if len(target) != activation.shape[1]:
            raise ValueError(
                f"{layer!r} has {activation.shape[1]} channels, the direction {len(target)}"
            )
        return _agreement(activation.reshape(*activation.shape[:2], -1), target, power)

    return _single(layer, measure, f"direction({layer!r}, {digest}{_power(power)})")


def inversion(layer: str, target: Tensor, power: float = 2.0) -> Objective:
    """How much a layer answers as it does to a photograph: feature inversion.

    target: (channels, *places), the photograph's activations, such as
    `classifier.read(photograph[None], [layer])[layer][0]`. As `direction`, with all channels and
    places of the layer as one long vector, so that everything has its place.
    Raises ValueError for a target that is 0, not finite, or not of the layer's shape.
    """
    wanted, digest = _target(target, f"the target in {layer!r}")

    def measure(activation: Tensor) -> Tensor:
        if wanted.shape != activation.shape[1:]:
            raise ValueError(
                f"{layer!r} gives {tuple(activation.shape[1:])} an image, the target is"
                f" {tuple(wanted.shape)}"
            )
        return _agreement(activation.flatten(1)[:, :, None], wanted.flatten(), power)

    return _single(layer, measure, f"inversion({layer!r}, {digest}{_power(power)})")


def _agreement(vectors: Tensor, target: Tensor, power: float) -> Tensor:
    """Extent along a unit target (d,) times max(cosine, 0.1) ** power: (n, d, places) -> (n,)."""
    extent = torch.einsum("ndp,d->np", vectors, target.to(vectors))
    cosine = extent / vectors.norm(dim=1).clamp(min=1e-12)
    straight: Tensor = cosine.clamp(min=0.1) ** power
    return (extent * straight).mean(1)


def _target(values: Tensor | Sequence[float], what: str) -> tuple[Tensor, str]:
    """A copy of unit length, and the first digits of a digest of what was given."""
    given = torch.as_tensor(values).detach().to("cpu", torch.float32).contiguous()
    length = given.double().norm()
    if not 0 < length < math.inf:
        raise ValueError(f"{what} has length {float(length)}: it must be finite and not 0")
    content = f"{tuple(given.shape)} ".encode() + given.numpy().tobytes()
    return (given.double() / length).float(), hashlib.sha256(content).hexdigest()[:12]


def _power(power: float) -> str:
    return "" if power == 2 else f", power={power!r}"


def _pick(activation: Tensor, index: int, layer: str) -> Tensor:
    if not 0 <= index < activation.shape[1]:
        raise ValueError(f"{layer!r} has no channel {index}: 0 to {activation.shape[1] - 1}")
    return activation[:, index]
