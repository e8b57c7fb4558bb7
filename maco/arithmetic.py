"""How a network runs in bfloat16, where the device is fast at it.

float32 passes are torch's own. Those in bfloat16 give the same but for rounding, and faster: batch
normalisations are folded into convolutions, and on a CPU two operations whose gradients torch
computes slowly are done in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from maco.calls import Calls, Function
from maco.folding import Folded, find_kernels


class HalfPrecision:
    """Passes of one network in bfloat16, always over the same layers."""

    def __init__(self, device: torch.device, one_pass: Callable[[], object]) -> None:
        """one_pass: runs the network once, as it will be run inside `running`."""
        self.device = device
        self.kernels = {
            call: (weight.bfloat16(), bias.bfloat16())
            for call, (weight, bias) in find_kernels(one_pass).items()
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """One pass, in bfloat16 wherever torch's autocast has it."""
        on_cpu = _FastOnCpu() if self.device.type == "cpu" else nullcontext()
        with torch.autocast(self.device.type, torch.bfloat16), on_cpu, Folded(self.kernels):
            yield


class _FastOnCpu(Calls):
    """Replaces two operations whose gradients in bfloat16 torch computes slowly on a CPU."""

    def call(self, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if function is F.scaled_dot_product_attention:
            plain = _plain_attention(*args, **kwargs)
            if plain is not None:
                return attention(*plain)
        if function is F.conv2d:
            found = _convolution(*args, **kwargs)
            if _is_strided_in_groups(found):
                return _GroupedConvolution.apply(*found)
        return function(*args, **kwargs)


def attention(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Scaled dot-product attention (..., l, d) written out; what torch does in one step."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return ((query * scale) @ key.transpose(-1, -2)).softmax(-1) @ value


def _plain_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor, Tensor, float | None] | None:
    """What `attention` needs; None for what it cannot do."""
    if attn_mask is not None or dropout_p or is_causal or enable_gqa:
        return None
    return query, key, value, scale


def _convolution(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Any, ...]:
    """All arguments of `F.conv2d` in their order."""
    return images, weight, bias, stride, padding, dilation, groups


def _is_strided_in_groups(convolution: tuple[Any, ...]) -> bool:
    *_, stride, padding, _, groups = convolution
    strided = stride > 1 if isinstance(stride, int) else max(stride) > 1
    return strided and groups > 1 and not isinstance(padding, str)


class _GroupedConvolution(torch.autograd.Function):
    """A convolution of frozen weights in bfloat16, whose gradient is computed in float32."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = images.shape, how
        return F.conv2d(images, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        weight, gradient = weight.float(), gradients[0].float()
        with torch.autocast("cpu", enabled=False):
            found = conv2d_input(ctx.shape, weight, gradient, *ctx.how)  # type: ignore[no-untyped-call]
        return found, None, None, *[None] * len(ctx.how)
