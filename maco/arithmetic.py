"""In which arithmetic a network runs: float32, or bfloat16 where the device is fast at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


@contextmanager
def half_precision(device: torch.device) -> Iterator[None]:
    """Networks run inside compute in bfloat16 what bears it, as torch's autocast has it.

    On a CPU two operations are done in another way, since torch's gradients of them in bfloat16
    are slow there: attention, and strided convolutions in groups.
    """
    with torch.autocast(device.type, torch.bfloat16):
        if device.type == "cpu":
            with _FastOnCpu():
                yield
        else:
            yield


class _FastOnCpu(TorchFunctionMode):
    """Replaces the two operations wherever a network calls them."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if function is F.scaled_dot_product_attention and _is_plain(*args, **kwargs):
            query, key, value = args[:3]
            return attention(query, key, value, kwargs.get("scale"))
        if function is F.conv2d and _is_strided_in_groups(*args, **kwargs):
            with torch.autocast("cpu", enabled=False):
                return function(*(_to_float(value) for value in args), **kwargs)
        return function(*args, **kwargs)


def attention(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Scaled dot-product attention (..., l, d) written out; what torch does in one step."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return ((query * scale) @ key.transpose(-1, -2)).softmax(-1) @ value


def _is_plain(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> bool:
    return attn_mask is None and not (dropout_p or is_causal or enable_gqa)


def _is_strided_in_groups(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> bool:
    sides = (stride,) if isinstance(stride, int) else tuple(stride)
    return groups > 1 and max(sides) > 1


def _to_float(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value
