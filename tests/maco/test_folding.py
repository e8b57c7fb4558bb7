"""Normalisations folded into convolutions: the same network, and only where nothing is lost."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from maco.folding import Folded, find_kernels

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def prepared(network):
    """With statistics unlike those of a new network, in evaluation mode, frozen."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name, values in module.named_buffers():
                if name != "num_batches_tracked":
                    values.copy_(torch.rand(values.shape, generator=generator) + 0.5)
            for weight in module.parameters():
                weight.data.copy_(torch.rand(weight.shape, generator=generator) + 0.5)
    return network.eval().requires_grad_(False)


def run(network, kernels):
    images = IMAGES.clone().requires_grad_()
    with Folded(kernels):
        output = network(images)
    (gradient,) = torch.autograd.grad(output.square().sum(), images)
    return output.detach(), gradient


@pytest.mark.parametrize(
    ("name", "folded"),
    [("resnet18", 20), ("mobilenetv2_050", 52), ("tf_efficientnet_lite0", 49), ("repvgg_a0", 44)],
)
def test_networks_of_timm_give_the_same_with_their_normalisations_folded(name, folded):
    network = prepared(timm.create_model(name, num_classes=5))
    kernels = find_kernels(lambda: network(IMAGES))
    assert len(kernels) == folded
    expected, gradient = run(network, {})
    output, its_gradient = run(network, kernels)
    scale = expected.abs().max()
    torch.testing.assert_close(output / scale, expected / scale, rtol=0, atol=1e-5)
    # A rectifier near 0 may fall on the other side.
    cosine = torch.cosine_similarity(its_gradient.flatten(), gradient.flatten(), dim=0)
    assert cosine > 0.999


def test_the_normalisation_is_not_run():
    network = prepared(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    kernels = find_kernels(lambda: network(IMAGES))
    network[1].running_mean += 100  # what was folded stays; what is run would show
    expected, _ = run(network, {})
    output, _ = run(network, kernels)
    assert (output - expected).abs().min() > 10


class Branching(nn.Module):
    """The convolution's output goes two ways."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, images):
        found = self.conv(images)
        return self.bn(found) + found


class Twice(Branching):
    """One normalisation after another."""

    def forward(self, images):
        return self.bn(self.bn(self.conv(images)))


class Named(Branching):
    """The normalisation's arguments are named."""

    def forward(self, images):
        own = self.bn
        return nn.functional.batch_norm(
            input=self.conv(images), running_mean=own.running_mean, running_var=own.running_var
        )


@pytest.mark.parametrize("kind", [Branching, Twice, Named])
def test_what_is_used_elsewhere_too_is_right(kind):
    network = prepared(kind())
    kernels = find_kernels(lambda: network(IMAGES))
    assert len(kernels) == (kind is not Branching)
    for folded, plain in zip(run(network, kernels), run(network, {}), strict=True):
        torch.testing.assert_close(folded, plain, rtol=1e-4, atol=1e-5)


def test_a_layer_that_is_read_is_left_alone():
    """A hook that reads the convolution sees its own output, not the normalised one."""
    network = prepared(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)))
    read = []
    hook = network[0].register_forward_hook(lambda _, inputs, output: read.append(output.clone()))
    assert find_kernels(lambda: network(IMAGES)) == {}
    hook.remove()
    assert list(find_kernels(lambda: network(IMAGES))) == [0]


def test_statistics_of_the_batch_are_left_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)).eval()
    assert find_kernels(lambda: network(IMAGES)) == {}
    training = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    assert find_kernels(lambda: training(IMAGES)) == {}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_with_and_without_bias_scale_and_shift(bias, affine):
    network = prepared(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, groups=3, bias=bias), nn.BatchNorm2d(6, affine=affine)
        )
    )
    kernels = find_kernels(lambda: network(IMAGES))
    assert len(kernels) == 1
    for folded, plain in zip(run(network, kernels), run(network, {}), strict=True):
        torch.testing.assert_close(folded, plain, rtol=1e-4, atol=1e-5)
