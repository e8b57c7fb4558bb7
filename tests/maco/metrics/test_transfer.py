"""What a classifier makes of a class in some images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from maco import Classifier
from maco.metrics.transfer import predictions


class Fixed(nn.Module):
    """Logits that say how red an image is: red images are class 0, others class 6."""

    def forward(self, images):
        redness = images[:, 0].mean((1, 2))
        others = torch.arange(1.0, 7.0).repeat(len(images), 1)
        return torch.cat([100 * redness[:, None], others], dim=1)


@pytest.fixture
def fixed():
    return Classifier(Fixed(), name="fixed", input_size_px=8, mean=(0, 0, 0), std=(1, 1, 1))


def test_ranks_logits_and_probabilities_of_the_class_of_each_image(fixed):
    red, black = torch.zeros(3, 12, 12), torch.zeros(3, 12, 12)
    red[0] = 1
    found = predictions(fixed, [red, black, red, black], [0, 0, 6, 2], batch=3)
    assert found.rank.tolist() == [1, 7, 2, 5]
    assert found.top1.tolist() == [True, False, False, False]
    assert found.top5.tolist() == [True, False, True, True]
    assert found.logit.tolist() == pytest.approx([100, 0, 6, 2])
    total = float(torch.arange(7.0).exp().sum())
    assert found.softmax.tolist() == pytest.approx([1, 1 / total, 0, torch.e**2 / total])
    assert found.log_probability[2] == pytest.approx(-94, abs=0.01)


def test_a_class_among_equals_is_not_the_first(tiny):
    with torch.no_grad():
        tiny.network.head.weight.zero_()
        tiny.network.head.bias.zero_()
    found = predictions(tiny, torch.zeros(2, 3, 24, 24), [0, 4])
    assert found.rank.tolist() == [5, 5]


@pytest.mark.parametrize("index", [5, -1])
def test_a_class_of_another_network_is_refused(tiny, index):
    with pytest.raises(ValueError, match=f"has no class {index}, only 0 to 4.*another number"):
        predictions(tiny, torch.zeros(1, 3, 24, 24), [index])


def test_each_image_needs_a_class(tiny):
    with pytest.raises(ValueError, match="2 images and 1 classes"):
        predictions(tiny, torch.zeros(2, 3, 24, 24), [1])


def test_broken_logits_are_refused(tiny):
    with pytest.raises(ValueError, match="no number"):
        predictions(tiny, torch.full((1, 3, 24, 24), float("nan")), [1])
