"""Each objective is the number it names, and arithmetic on objectives is arithmetic on numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maco import OUTPUT, Objective, channel, direction, inversion, layer, logit, neuron


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


ACTIVATIONS = {
    OUTPUT: draw(3, 10, seed=1),
    "maps": draw(3, 4, 5, 8, seed=2),
    "tokens": draw(3, 6, 11, seed=3),  # two before a grid of 3 x 3
    "vector": draw(3, 9, seed=4),
}
VECTOR, TARGET = draw(4, seed=5), draw(4, 5, 8, seed=6)


@pytest.fixture
def activations():
    return dict(ACTIVATIONS)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (logit(4), lambda a: a[OUTPUT][:, 4]),
        (channel("maps", 2), lambda a: a["maps"][:, 2].mean((1, 2))),
        (channel("tokens", 5), lambda a: a["tokens"][:, 5].mean(1)),
        (channel("vector", 8), lambda a: a["vector"][:, 8]),
        (neuron("maps", 2), lambda a: a["maps"][:, 2, 2, 4]),
        (neuron("maps", 2, (0, 7)), lambda a: a["maps"][:, 2, 0, 7]),
        (neuron("tokens", 5), lambda a: a["tokens"][:, 5, 2 + 4]),
        (neuron("tokens", 5, (0,)), lambda a: a["tokens"][:, 5, 0]),
        (neuron("tokens", 5, (2, 1)), lambda a: a["tokens"][:, 5, 2 + 7]),
        (neuron("vector", 1), lambda a: a["vector"][:, 1]),
        (layer("maps"), lambda a: (a["maps"] ** 2).mean((1, 2, 3))),
        (layer("vector"), lambda a: (a["vector"] ** 2).mean(1)),
        (logit(1) + channel("maps", 0), lambda a: a[OUTPUT][:, 1] + a["maps"][:, 0].mean((1, 2))),
        (3 * logit(1) - logit(2) * 2, lambda a: 3 * a[OUTPUT][:, 1] - 2 * a[OUTPUT][:, 2]),
        (-(logit(1) - logit(2)), lambda a: a[OUTPUT][:, 2] - a[OUTPUT][:, 1]),
    ],
    ids=lambda value: repr(value) if isinstance(value, Objective) else "",
)
def test_value_for_each_image(objective, expected, activations):
    values = objective(activations)
    assert values.shape == (3,)
    torch.testing.assert_close(values, expected(activations))


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, 4.0])
def test_a_direction_is_extent_times_straightness_at_each_place(power, activations):
    for at, image in enumerate(activations["maps"]):
        expected = 0.0
        for place in image.flatten(1).unbind(1):
            extent = float(place @ VECTOR / VECTOR.norm())
            expected += extent * max(extent / float(place.norm()), 0.1) ** power / 40
        value = direction("maps", VECTOR, power)(activations)[at]
        assert float(value) == pytest.approx(expected, rel=1e-4)
    assert direction("vector", list(range(9)), power)(activations).shape == (3,)


def test_an_inversion_is_the_same_of_all_channels_and_places(activations):
    activations["maps"] = torch.stack([TARGET, 2 * TARGET, -TARGET])
    values = inversion("maps", TARGET)(activations)
    length = TARGET.norm()
    torch.testing.assert_close(values, length * torch.tensor([1.0, 2.0, -0.01]))
    mirrored = {"maps": TARGET.flip(2)[None]}
    assert inversion("maps", TARGET)(mirrored) < 0.3 * length  # everything has its place
    alike = TARGET + 0.3 * draw(3, 4, 5, 8)
    farther = TARGET + 3.0 * draw(3, 4, 5, 8)
    cosine = inversion("maps", TARGET, power=6)
    assert (cosine({"maps": alike}) > cosine({"maps": farther})).all()


@pytest.mark.parametrize("objective", [direction("maps", VECTOR), inversion("maps", TARGET)])
def test_an_images_value_does_not_depend_on_the_others(objective, activations):
    alone = torch.cat([objective({"maps": image[None]}) for image in activations["maps"]])
    torch.testing.assert_close(objective(activations), alone)


def test_the_scale_of_a_target_does_not_matter(activations):
    for scale in (1e-6, 7, 1e6):
        for make, target in ((direction, VECTOR), (inversion, TARGET)):
            value = make("maps", scale * target)(activations)
            torch.testing.assert_close(value, make("maps", target)(activations))


def test_targets_are_copied_and_follow_the_activations_type(activations):
    own = VECTOR.clone().double()
    objective = direction("maps", own)
    before = objective(activations)
    own.zero_()
    assert torch.equal(objective(activations), before)
    assert objective({"maps": activations["maps"].double()}).dtype == torch.float64
    assert objective({"maps": torch.zeros(1, 4, 5, 8)}) == 0


@pytest.mark.parametrize(
    "objective",
    [
        neuron("tokens", 2) - 3 * channel("maps", 1),
        layer("maps"),
        direction("maps", VECTOR),
        direction("maps", VECTOR, power=4),
        inversion("maps", ACTIVATIONS["maps"][0] + TARGET),
        2 * inversion("maps", TARGET) - layer("tokens"),
    ],
    ids=lambda value: repr(value) if isinstance(value, Objective) else "",
)
def test_gradients_are_those_of_finite_differences(objective):
    given = [ACTIVATIONS[name].double().requires_grad_() for name in ("maps", "tokens")]
    assert torch.autograd.gradcheck(
        lambda maps, tokens: objective({"maps": maps, "tokens": tokens}), given, fast_mode=True
    )


ATOMS = (
    logit(0),
    channel("maps", 1),
    neuron("tokens", 2),
    layer("vector"),
    direction("maps", VECTOR),
    inversion("maps", TARGET),
)
VALUES = [atom(ACTIVATIONS).double() for atom in ATOMS]
FACTORS = st.integers(-9, 9) | st.floats(-9, 9, allow_nan=False)
EXPRESSIONS = st.recursive(
    st.integers(0, len(ATOMS) - 1).map(lambda at: (ATOMS[at], VALUES[at])),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: tuple(a + b for a, b in zip(*two, strict=True))),
        st.tuples(inner, inner).map(lambda two: tuple(a - b for a, b in zip(*two, strict=True))),
        st.tuples(FACTORS, inner).map(lambda pair: tuple(pair[0] * one for one in pair[1])),
        st.tuples(inner, FACTORS).map(lambda pair: tuple(one * pair[1] for one in pair[0])),
        inner.map(lambda both: tuple(-one for one in both)),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_arithmetic_on_objectives_is_arithmetic_on_values(both):
    objective, expected = both
    scale = max(1.0, float(expected.abs().max()), sum(abs(w) for w, _ in objective.terms))
    assert (objective(ACTIVATIONS) - expected).abs().max() < 1e-4 * scale


def test_a_sum_is_not_a_product_of_sums():
    a, b, c = VALUES[:3]
    objective = ATOMS[0] + 3 * ATOMS[1] - 5 * ATOMS[2]
    torch.testing.assert_close(objective(ACTIVATIONS).double(), a + 3 * b - 5 * c)
    with pytest.raises(TypeError):
        logit(0) * logit(1)


def test_objectives_say_what_they_are():
    assert repr(logit(84)) == "logit(84)"
    assert repr(channel("layer3.1.conv2", 17)) == "channel('layer3.1.conv2', 17)"
    assert repr(neuron("features", 2)) == "neuron('features', 2)"
    assert repr(neuron("features", 2, (0, 3))) == "neuron('features', 2, (0, 3))"
    assert repr(layer("features")) == "layer('features')"
    assert repr(2.0 * logit(84) - 0.5 * logit(7)) == "2.0 * logit(84) + -0.5 * logit(7)"


def test_different_objectives_have_different_names():
    """The name is part of the configuration that says whether a file is already made."""
    assert repr(0.12345671 * logit(0)) != repr(0.12345672 * logit(0))
    same = [direction("a", VECTOR), direction("a", VECTOR.double()), direction("a", list(VECTOR))]
    assert len({repr(one) for one in same}) == 1
    nudged = VECTOR.clone()
    nudged[2] += 1e-6
    different = [
        direction("a", VECTOR),
        direction("a", nudged),
        direction("b", VECTOR),
        direction("a", VECTOR, power=4.0),
        inversion("a", VECTOR),
        inversion("a", VECTOR[:, None]),
        inversion("a", VECTOR.view(2, 2)),
    ]
    assert len({repr(one) for one in different}) == len(different)


def test_objectives_name_the_layers_they_read():
    assert logit(3).layers == {OUTPUT}
    assert (logit(3) + channel("a", 1) - 2 * neuron("b", 0)).layers == {OUTPUT, "a", "b"}
    assert (layer("a") + direction("b", VECTOR) + inversion("c", TARGET)).layers == {*"abc"}


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
        (neuron("tokens", 0, (11,)), r"no place \(11,\): it is \(11,\) large"),
        (neuron("tokens", 0, (3, 0)), r"no place \(3, 0\): it is \(3, 3\) large"),
        (direction("maps", [1.0, 2.0]), "'maps' has 4 channels, the direction 2"),
        (
            inversion("maps", torch.ones(4, 8, 5)),
            r"'maps' gives \(4, 5, 8\) an image, the target is \(4, 8, 5\)",
        ),
    ],
    ids=lambda value: repr(value) if isinstance(value, Objective) else "",
)
def test_units_that_are_not_there(objective, message, activations):
    with pytest.raises(ValueError, match=message):
        objective(activations)


@pytest.mark.parametrize("wrong", [0.0, float("nan"), float("inf")])
def test_targets_that_point_nowhere(wrong):
    with pytest.raises(ValueError, match="the direction in 'maps' has length"):
        direction("maps", torch.full((4,), wrong))
    with pytest.raises(ValueError, match="the target in 'maps' has length"):
        inversion("maps", torch.full((4, 5, 8), wrong))
    with pytest.raises(ValueError, match=r"the direction in 'maps' is \(4, 5, 8\)"):
        direction("maps", TARGET)
