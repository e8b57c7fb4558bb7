"""Calls of torch's functions, seen and answered from outside of the network that makes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode

Function = Callable[..., Any]


class Calls(TorchFunctionMode, ABC):
    """A context in which each call of a torch function goes through `call`."""

    @abstractmethod
    def call(self, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The answer to a call; `function(*args, **kwargs)` is torch's own."""

    def __torch_function__(
        self,
        function: Function,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return self.call(function, args, kwargs or {})
