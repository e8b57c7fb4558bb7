"""Tiny seeded networks, seeded generators and real photographs."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Generator, nn

from maco import Classifier, Spectrum
from maco.images import find_images, read_image

torch.set_num_threads(1)  # the networks here are too small to share out


@pytest.fixture(scope="module", autouse=True)
def repeatable():
    """Networks that timm builds have the same random weights on every run."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def generators():
    """generators(3, 7): one seeded generator each."""

    def make(*seeds):
        return [Generator().manual_seed(seed) for seed in seeds]

    return make


@pytest.fixture(scope="session")
def seeded():
    """seeded(network, 5): the network with weights drawn from a seed, at a sensible scale."""

    def draw(network, seed=0):
        generator = Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in network.parameters():
                inputs = weight[0].numel() if weight.ndim > 1 else 4
                weight.copy_(torch.randn(weight.shape, generator=generator) / inputs**0.5)
        return network

    return draw


@pytest.fixture
def tiny(seeded):
    """A classifier of 5 classes for 24 px, with two layers of 8 and 12 channels."""
    network = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 8, 3, stride=2),
            act1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(8, 12, 3),
            act2=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(12, 5),
        )
    )
    return Classifier(seeded(network, 1), name="tiny", input_size_px=24)


@pytest.fixture(scope="session")
def rough_spectrum():
    """A spectrum of 32 cycles, different at every frequency and in both directions."""
    cycles = torch.arange(33.0)
    radius = torch.hypot(cycles[:, None], 1.3 * cycles[None, :]).clamp(min=1)
    bumps = torch.randn(3, 33, 33, generator=Generator().manual_seed(2)).mul(0.3).exp()
    amplitude = 0.3 * bumps / radius**1.4
    amplitude[:, 0, 0] = 0
    return Spectrum(amplitude, torch.tensor([0.05, -0.02, 0.01]), 7, "made up")


@pytest.fixture(scope="session")
def photographs(shared_data):
    """38 real photographs of 512 px, (3, 512, 512) each."""
    return [read_image(path) for path in find_images(shared_data / "imagenet_512")]
