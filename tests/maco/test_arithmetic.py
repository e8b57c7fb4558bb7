"""bfloat16: the same answers but for rounding, and the replaced operations exactly torch's."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from maco.arithmetic import HalfPrecision, _FastOnCpu, attention

CPU = torch.device("cpu")


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenetv2_050", "vit_tiny_patch16_224", "regnetx_002"]
)
def test_a_network_answers_as_in_float32(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5).eval().requires_grad_(False)
    images = drawn(2, 3, 224, 224)
    half = HalfPrecision(CPU, lambda: network(images[:1]))

    def read(within):
        own = images.clone().requires_grad_()
        with within:
            output = network(own).float()
        return output.detach(), torch.autograd.grad(output.sum(), own)[0].flatten()

    exact, gradient = read(torch.enable_grad())
    rounded, its_gradient = read(half.running())
    _, other = read(torch.autocast("cpu", torch.bfloat16))
    assert (rounded - exact).abs().max() < 0.1 * exact.std()
    # As near to float32 as torch's own bfloat16 is.
    cosine = torch.cosine_similarity(its_gradient, gradient, dim=0)
    assert cosine > torch.cosine_similarity(other, gradient, dim=0) - 0.05
    assert cosine > 0.7


@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_is_torchs(scale):
    parts = [drawn(2, 3, 7, 8, seed=seed).requires_grad_() for seed in range(3)]
    expected = F.scaled_dot_product_attention(*parts, scale=scale)
    with _FastOnCpu():
        found = F.scaled_dot_product_attention(*parts, scale=scale)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found, attention(*parts, scale))
    for one, other in zip(
        torch.autograd.grad(found.square().sum(), parts),
        torch.autograd.grad(expected.square().sum(), parts),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_arguments_may_be_named():
    names = ("query", "key", "value")
    parts = {name: drawn(1, 2, 5, 4, seed=at) for at, name in enumerate(names)}
    expected = F.scaled_dot_product_attention(**parts)
    with _FastOnCpu():
        found = F.scaled_dot_product_attention(**parts)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("more", [{"is_causal": True}, {"attn_mask": torch.eye(7).bool()}])
def test_attention_with_a_mask_is_left_to_torch(more):
    parts = [drawn(2, 3, 7, 8, seed=seed) for seed in range(3)]
    expected = F.scaled_dot_product_attention(*parts, **more)
    with _FastOnCpu():
        assert torch.equal(F.scaled_dot_product_attention(*parts, **more), expected)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 6, 3, stride=2, groups=6),
        nn.Conv2d(6, 12, 5, stride=(2, 1), padding=2, groups=3, bias=False),
        nn.Conv2d(6, 6, 3, stride=2, dilation=2, groups=2),
    ],
    ids=str,
)
def test_strided_convolutions_in_groups_are_torchs(layer):
    layer.requires_grad_(False)
    images = drawn(2, 6, 17, 18).requires_grad_()
    expected = layer(images)
    with _FastOnCpu():
        found = layer(images)
    assert torch.equal(found, expected)
    (gradient,) = torch.autograd.grad(found.square().sum(), images)
    (its_gradient,) = torch.autograd.grad(expected.square().sum(), images)
    torch.testing.assert_close(gradient, its_gradient, rtol=1e-4, atol=1e-5)
