"""Batch normalisations folded into the convolutions before them: one operation in place of two.

A network is watched in one pass, and run with what was found in all later ones; its modules stay
as they are. Convolutions are counted in the order in which a pass calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from maco.calls import Calls, Function

Kernel = tuple[Tensor, Tensor]  # weight and bias of a convolution
_BATCH_NORM = signature(F.batch_norm)


def find_kernels(one_pass: Callable[[], object]) -> dict[int, Kernel]:
    """Number of a convolution's call -> its kernel, with the normalisation after it folded in.

    Only where nothing but a normalisation with fixed statistics uses the convolution's output: a
    layer that is read is used.
    """
    observer = _Observer()
    with torch.no_grad(), observer:
        one_pass()
    return {
        call: _fold(*seen.kernel, seen.uses[0])
        for call, seen in enumerate(observer.convolutions)
        if seen.kernel is not None and len(seen.uses) == 1 and _is_fixed(seen.uses[0])
    }


class _Convolution:
    """What became of a convolution's output in a pass."""

    def __init__(self, output: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.output = output  # held, so that no other tensor takes its id
        self.kernel = (args[1], args[2]) if len(args) > 2 and not kwargs else None
        self.uses: list[dict[str, Any]] = []  # arguments of normalisations; empty for other uses


class _Observer(Calls):
    """Notes all convolutions of a pass, and who uses their output."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions: list[_Convolution] = []
        self._by_output: dict[int, _Convolution] = {}

    def call(self, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        result = function(*args, **kwargs)
        if isinstance(result, Tensor | list | tuple):  # else a question, such as for a device
            found = _BATCH_NORM.bind(*args, **kwargs) if function is F.batch_norm else None
            for value in _tensors([*args, *kwargs.values()]):
                if id(value) in self._by_output:
                    if found is not None:
                        found.apply_defaults()
                    use = {} if found is None else found.arguments
                    self._by_output[id(value)].uses.append(use)
        if function is F.conv2d:
            self.convolutions.append(_Convolution(result, args, kwargs))
            self._by_output[id(result)] = self.convolutions[-1]
        return result


class Folded(Calls):
    """A context for one pass with the kernels of `find_kernels`."""

    def __init__(self, kernels: Mapping[int, Kernel]) -> None:
        super().__init__()
        self.kernels = kernels
        self._calls = 0
        self._normalised: Tensor | None = None

    def call(self, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if function is F.conv2d:
            kernel = self.kernels.get(self._calls)
            self._calls += 1
            if kernel is not None:
                self._normalised = function(args[0], *kernel, *args[3:])
                return self._normalised
        elif function is F.batch_norm:
            given = args[0] if args else kwargs["input"]
            if given is self._normalised:
                self._normalised = None  # a second normalisation is one
                return given
        return function(*args, **kwargs)


def _is_fixed(use: Mapping[str, Any]) -> bool:
    return bool(use) and use["running_mean"] is not None and not use["training"]


def _fold(weight: Tensor, bias: Tensor | None, normalisation: Mapping[str, Any]) -> Kernel:
    """Kernel of scale * (convolution - mean) + shift."""
    mean, variance = normalisation["running_mean"], normalisation["running_var"]
    scale = torch.rsqrt(variance + normalisation["eps"])
    if normalisation["weight"] is not None:
        scale = scale * normalisation["weight"]
    shift = (-mean if bias is None else bias - mean) * scale
    if normalisation["bias"] is not None:
        shift = shift + normalisation["bias"]
    return weight * scale[:, None, None, None], shift


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
