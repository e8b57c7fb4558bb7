"""Each objective is the number it names, and arithmetic on objectives is arithmetic on numbers."""

from __future__ import annotations

import pytest
import torch

from maco import OUTPUT, channel, logit, neuron


@pytest.fixture(scope="module")
def activations():
    generator = torch.Generator().manual_seed(0)
    return {
        OUTPUT: torch.randn(3, 10, generator=generator),
        "maps": torch.randn(3, 4, 5, 8, generator=generator),
        "tokens": torch.randn(3, 7, 6, generator=generator),
        "vector": torch.randn(3, 9, generator=generator),
    }


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (logit(4), lambda a: a[OUTPUT][:, 4]),
        (channel("maps", 2), lambda a: a["maps"][:, 2].mean((1, 2))),
        (channel("tokens", 5), lambda a: a["tokens"][:, :, 5].mean(1)),
        (channel("vector", 8), lambda a: a["vector"][:, 8]),
        (neuron("maps", 2), lambda a: a["maps"][:, 2, 2, 4]),
        (neuron("maps", 2, (0, 7)), lambda a: a["maps"][:, 2, 0, 7]),
        (neuron("tokens", 5), lambda a: a["tokens"][:, 3, 5]),
        (neuron("tokens", 5, (0,)), lambda a: a["tokens"][:, 0, 5]),
        (neuron("vector", 1), lambda a: a["vector"][:, 1]),
        (logit(1) + channel("maps", 0), lambda a: a[OUTPUT][:, 1] + a["maps"][:, 0].mean((1, 2))),
        (3 * logit(1) - logit(2) * 2, lambda a: 3 * a[OUTPUT][:, 1] - 2 * a[OUTPUT][:, 2]),
        (
            (logit(0) + 3 * logit(1) - 5 * logit(2)) * 2,
            lambda a: 2 * (a[OUTPUT][:, 0] + 3 * a[OUTPUT][:, 1] - 5 * a[OUTPUT][:, 2]),
        ),
        (-(logit(1) - logit(2)), lambda a: a[OUTPUT][:, 2] - a[OUTPUT][:, 1]),
    ],
    ids=repr,
)
def test_value_for_each_image(objective, expected, activations):
    values = objective(activations)
    assert values.shape == (3,)
    torch.testing.assert_close(values, expected(activations))


def test_objectives_say_what_they_are():
    assert repr(logit(84)) == "logit(84)"
    assert repr(channel("layer3.1.conv2", 17)) == "channel('layer3.1.conv2', 17)"
    assert repr(neuron("features", 2)) == "neuron('features', 2)"
    assert repr(neuron("features", 2, (0, 3))) == "neuron('features', 2, (0, 3))"
    assert repr(2.0 * logit(84) - 0.5 * logit(7)) == "2.0 * logit(84) + -0.5 * logit(7)"


def test_different_objectives_have_different_names():
    """The name is part of the configuration that says whether a file is already made."""
    assert repr(0.12345671 * logit(0)) != repr(0.12345672 * logit(0))


def test_objectives_name_the_layers_they_read():
    assert logit(3).layers == {OUTPUT}
    assert (logit(3) + channel("a", 1) - 2 * neuron("b", 0)).layers == {OUTPUT, "a", "b"}


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (logit(10), f"{OUTPUT!r} has no channel 10: 0 to 9"),
        (logit(-1), "no channel -1"),
        (channel("maps", 4), "'maps' has no channel 4: 0 to 3"),
        (channel("tokens", 6), "'tokens' has no channel 6: 0 to 5"),
        (neuron("maps", 2, (5, 0)), r"no place \(5, 0\): it is \(5, 8\) large"),
        (neuron("maps", 2, (-1, 0)), r"no place \(-1, 0\)"),
        (neuron("maps", 2, (1,)), r"no place \(1,\)"),
        (neuron("tokens", 0, (7,)), r"no place \(7,\): it is \(7,\) large"),
    ],
    ids=repr,
)
def test_units_that_are_not_there(objective, message, activations):
    with pytest.raises(ValueError, match=message):
        objective(activations)
