"""Images of one unit that were asked to differ do, and still show the unit."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from maco import CropAndNoise, Diversity, channel, find_preset, logit, render
from maco.render.diversity import Siblings, gram

QUICK = {"size_px": 48, "steps": 30, "crops": 4, "precision": "float32", "progress": False}
APART = Diversity("conv2", 0.8)


def likeness(classifier, made):
    """Mean cosine between the Gram matrices of all pairs, over the same crops of each."""
    matrices = []
    for one in made:
        look = CropAndNoise(count=32)
        views = look(one.image[None], [Generator().manual_seed(0)], classifier.input_size_px, 0.0)
        with torch.no_grad():
            matrix = gram(classifier.read(views, [APART.layer])[APART.layer])
        matrices.append((matrix / matrix.norm()).flatten())
    cosines = torch.stack(matrices) @ torch.stack(matrices).T
    return float(cosines[~torch.eye(len(made), dtype=torch.bool)].mean())


def test_a_gram_matrix_is_of_channels_wherever_they_answer():
    maps = torch.randn(2, 3, 4, 5, generator=Generator().manual_seed(0))
    expected = sum(image.flatten(1) @ image.flatten(1).T for image in maps)
    torch.testing.assert_close(gram(maps), expected)
    torch.testing.assert_close(gram(maps.flip(0, 3)), expected)


def test_the_push_is_down_the_mean_cosine():
    """The gradient that is followed is that of the definition, once the matrices are known."""
    generator = Generator().manual_seed(0)
    seen = torch.randn(3, 4, 5, 6, 6, generator=generator).requires_grad_()  # units, views
    siblings = Siblings([logit(0)] * 3, APART)
    for unit in range(3):
        matrix = siblings.matrix(unit, {APART.layer: seen[unit]})
        assert siblings.likeness(unit, matrix) is None
        siblings.note(unit, matrix.detach())
    siblings.next_step()
    parts = [
        siblings.likeness(unit, siblings.matrix(unit, {APART.layer: seen[unit, part]}))
        for unit in range(3)
        for part in (slice(0, 3), slice(3, 4))
    ]
    (found,) = torch.autograd.grad(torch.stack(parts).sum(), seen)
    for unit in range(3):
        own = gram(seen[unit])
        others = [gram(seen[other]).detach() for other in range(3) if other != unit]
        cosines = [(own * other).sum() / own.norm() / other.norm() for other in others]
        (expected,) = torch.autograd.grad(sum(cosines) / 2 * own.norm().detach(), seen)
        torch.testing.assert_close(found[unit], expected[unit], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("objective", [logit(2), 1000 * channel("act1", 3)], ids=repr)
def test_images_of_one_unit_differ_and_still_show_it(tiny, objective):
    wanted = [objective] * 3
    alike = render(tiny, wanted, **QUICK)
    apart = render(tiny, wanted, diversity=APART, **QUICK)
    chance = render(tiny, wanted, **{**QUICK, "steps": 1})
    assert 1 - likeness(tiny, apart) > 4 * (1 - likeness(tiny, alike))
    start, plain, kept = (
        torch.stack([one.trace[-10:].mean() for one in made]).mean()
        for made in (chance, alike, apart)
    )
    assert kept - start > 0.6 * (plain - start) > 0


def test_only_images_of_the_same_objective_push_each_other(tiny):
    wanted = [logit(0), logit(1), logit(0)]
    quick = {**QUICK, "steps": 5}
    plain = render(tiny, wanted, **quick)
    apart = render(tiny, wanted, diversity=APART, **quick)
    assert torch.equal(apart[1].image, plain[1].image)
    assert apart[1].config == plain[1].config
    for one in (0, 2):
        assert not torch.equal(apart[one].image, plain[one].image)
        assert torch.equal(apart[one].trace[:2], plain[one].trace[:2])  # none in the first step
        assert apart[one].config["diversity"] == {"layer": "conv2", "weight": 0.8, "seeds": [0, 2]}
    singles = render(tiny, wanted[:2], diversity=APART, **quick)
    for one, other in zip(singles, render(tiny, wanted[:2], **quick), strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.sensitivity, other.sensitivity)
        assert one.config == other.config
        assert "diversity" not in one.config


def test_the_trace_is_the_objective_alone(tiny):
    """What the first image is worth, and its transparency, however strong the push."""
    quick = {**QUICK, "steps": 2}
    plain = render(tiny, [logit(0)] * 2, **quick)
    apart = render(tiny, [logit(0)] * 2, diversity=Diversity("conv2", 5.0), **quick)
    for one, other in zip(apart, plain, strict=True):
        assert torch.equal(one.trace, other.trace)
        assert torch.equal(one.sensitivity, other.sensitivity)
        assert not torch.equal(one.parameters, other.parameters)


def test_a_tight_memory_changes_nothing_but_rounding(tiny):
    quick = {**QUICK, "steps": 3, "crops": 3}
    expected = render(tiny, [logit(2)] * 3, diversity=APART, **quick)
    for exponent in (15, 17, 30):
        made = render(tiny, [logit(2)] * 3, diversity=APART, memory_gib=2.0**-exponent, **quick)
        for one, other in zip(made, expected, strict=True):
            torch.testing.assert_close(one.trace, other.trace, rtol=5e-3, atol=1e-5)
            assert (one.image - other.image).abs().mean() < 1e-2


def test_the_push_has_a_length_beside_the_pull():
    generator = Generator().manual_seed(0)
    pull, push = (torch.randn(3, 4, 5, generator=generator) for _ in range(2))
    push[1] = 0
    followed = Diversity("any", 0.5).apply(pull, 1e-3 * push)
    assert torch.equal(followed[1], pull[1])
    lengths = (followed - pull).flatten(1).norm(dim=1) / pull.flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths[[0, 2]], torch.tensor([0.5, 0.5]))
    assert ((followed * pull).sum((1, 2)) > 0).all()


def test_what_cannot_be_asked_for(tiny):
    for weight in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"weight is {weight}: it must be positive"):
            Diversity("conv2", weight)
    with pytest.raises(ValueError, match=r"no layer 'conv3'; did you mean .*conv2"):
        render(tiny, [logit(0)] * 2, find_preset("paper"), diversity=Diversity("conv3"), **QUICK)
