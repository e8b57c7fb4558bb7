"""Concepts: planted textures are found, weighed and located; indices agree with closed forms."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from maco import Classifier
from maco.concepts import Search, default_layer, factorise, find_concepts, sobol_design, total_order
from maco.concepts.factors import split_signs
from maco.concepts.heatmaps import map_concepts, overlay
from maco.concepts.importance import bootstrap
from maco.concepts.patches import draw_patches
from maco.concepts.substitution import answer, reaches, substitute
from maco.images import encode_png, read_image

PX = 96
COLOURS = torch.eye(3)  # red, green and blue cells: the three planted concepts


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Twelve photographs of 3 x 3 cells, red, green or blue and a little rough; and their cells."""
    folder = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(0)
    paths, cells = [], []
    for number in range(12):
        own = torch.from_numpy(rng.permutation([0, 1, 2] * 3).reshape(3, 3))
        image = COLOURS[own].permute(2, 0, 1).repeat_interleave(PX // 3, 1)
        image = image.repeat_interleave(PX // 3, 2) * 0.8
        image = image + 0.1 * torch.from_numpy(rng.random((3, PX, PX))).float()
        paths.append(folder / f"{number:02}.png")
        paths[-1].write_bytes(encode_png(image))
        cells.append(own)
    return paths, cells


@pytest.fixture(scope="module")
def network():
    """Reads colours: nine channels, three for each colour; the class likes red, a little green."""
    mix = torch.zeros(9, 3, 1, 1)
    for channel in range(9):
        mix[channel, channel // 3, 0, 0] = 1 + 0.3 * (channel % 3)
    parts = nn.Sequential(
        OrderedDict(
            shrink=nn.AvgPool2d(8),
            conv=nn.Conv2d(3, 9, 1),
            act=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(9, 4),
        )
    )
    with torch.no_grad():
        parts.conv.weight.copy_(mix)
        parts.conv.bias.fill_(-0.2)
        parts.head.weight.zero_()
        parts.head.bias.zero_()
        parts.head.weight[1, :3] = 1.0
        parts.head.weight[1, 3:6] = 0.3
    return Classifier(parts, name="cells", input_size_px=PX, mean=(0, 0, 0), std=(1, 1, 1))


SEARCH = Search(concepts=3, patches=72, patch_side=0.25, rows=16)


@pytest.fixture(scope="module")
def found(network, photographs):
    return find_concepts(network, 1, photographs[0], SEARCH, progress=False)


def colour_of(concept):
    return int(concept.direction.reshape(3, 3).sum(1).argmax())


def test_planted_textures_are_the_concepts_and_the_one_the_logit_reads_matters_most(found):
    assert found.layer == "act"
    assert found.explained > 0.98
    assert found.logit_of_concepts == pytest.approx(found.logit, rel=0.05)
    assert [colour_of(concept) for concept in found.concepts] == [0, 1, 2]
    for concept in found.concepts:
        planted = torch.zeros(3, 3)
        planted[colour_of(concept)] = torch.tensor([1.0, 1.3, 1.6])
        assert torch.cosine_similarity(concept.direction, planted.flatten(), dim=0) > 0.9
    red, green, blue = (concept.importance for concept in found.concepts)
    assert red > 0.85 > 0.15 > green > blue
    low, high = found.concepts[0].interval
    assert low <= red <= high


def test_the_patches_of_a_concept_show_it_each_of_another_photograph(found):
    for concept in found.concepts:
        assert len({patch.photograph for patch, _ in concept.patches}) == len(concept.patches) == 6
        for patch, _ in concept.patches:
            shown = patch.cut(read_image(patch.photograph))
            assert shown.shape == (3, 24, 24)
            assert int(shown.mean((1, 2)).argmax()) == colour_of(concept)


def test_heatmaps_light_up_where_the_texture_is(found, photographs):
    cells = dict(zip(*photographs, strict=True))
    for concept in found.concepts:
        for path, heat in concept.heatmaps:
            there = (cells[path] == colour_of(concept)).repeat_interleave(4, 0)
            there = there.repeat_interleave(4, 1)
            assert heat.shape == there.shape == (12, 12)
            lit = heat > 0.5
            assert (lit & there).sum() / (lit | there).sum() > 0.9
            image = overlay(read_image(path), heat)
            large = there.repeat_interleave(8, 0).repeat_interleave(8, 1)
            assert image.std(0)[large].mean() > 4 * image.std(0)[~large].mean()  # grey elsewhere


def test_the_same_seed_gives_the_same_concepts(network, photographs, found):
    again = find_concepts(network, 1, photographs[0], SEARCH, progress=False)
    for one, other in zip(found.concepts, again.concepts, strict=True):
        assert torch.equal(one.direction, other.direction)
        assert (one.importance, one.interval) == (other.importance, other.interval)
        assert one.patches == other.patches
    assert not any(module._forward_hooks for module in network.network.modules())


def ishigami(x):
    a, b, c = (2 * math.pi * x - math.pi).T
    return np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a)


def sobol_g(x, weights=(0.0, 1.0, 4.5, 9.0, 99.0)):
    weights = np.array(weights)
    return ((np.abs(4 * x - 2) + weights) / (1 + weights)).prod(1)


def g_total(weights=(0.0, 1.0, 4.5, 9.0, 99.0)):
    own = 1 / (3 * (1 + np.array(weights)) ** 2)
    return own * (1 + own).prod() / (1 + own) / ((1 + own).prod() - 1)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (ishigami, [0.5576, 0.4424, 0.2437]),  # Ishigami and Homma 1990, a = 7 and b = 0.1
        (sobol_g, g_total()),  # Saltelli et al. 2010, equation 31
        (lambda x: x @ np.array([3.0, 2.0, 0.0]) + 5, [9 / 13, 4 / 13, 0]),
        (lambda x: 0 * x[:, 0] + 1e6, [0, 0]),
    ],
)
def test_total_order_indices_against_closed_forms(function, expected):
    design = sobol_design(len(expected), 2048, np.random.default_rng(3))
    assert design.shape == (2048 * (len(expected) + 2), len(expected))
    indices = total_order(function(design), len(expected))
    np.testing.assert_allclose(indices, expected, atol=0.015)


def test_a_design_that_is_no_power_of_two_is_refused():
    with pytest.raises(ValueError, match="give a power of 2"):
        sobol_design(3, 30, np.random.default_rng(0))


def test_bootstrapped_intervals_have_the_width_of_the_standard_error():
    rng = np.random.default_rng(0)
    values = rng.normal(3, 1, size=(100, 1))
    low, high = bootstrap(values, rng)
    assert low < values.mean(0) < high
    assert (high - low)[0] == pytest.approx(2 * 1.96 * values.std() / 10, rel=0.1)


def test_planted_factors_come_back_up_to_order():
    rng = np.random.default_rng(1)
    basis = np.where(rng.random((3, 20)) < 0.3, rng.random((3, 20)), 0)
    amount = np.where(rng.random((200, 3)) < 0.5, rng.random((200, 3)), 0)
    maps = torch.from_numpy(amount @ basis).float().reshape(200, 20, 1, 1).expand(-1, -1, 2, 2)
    factors = factorise(maps.split(10), 3)
    likeness = np.corrcoef(factors.basis, basis)[:3, 3:]
    assert (likeness.max(1) > 0.98).all()
    assert sorted(likeness.argmax(1)) == [0, 1, 2]
    found = factors.find(maps[:5])
    assert found.shape == (5, 3, 2, 2)
    torch.testing.assert_close(factors.compose(found), maps[:5], atol=0.02, rtol=0.05)


def test_signed_activations_are_split_so_that_nothing_is_lost():
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(2, 15, generator=generator)
    amount = torch.rand(80, 2, generator=generator)
    maps = (amount @ directions).reshape(80, 15, 1, 1).expand(-1, -1, 3, 3)
    assert torch.equal(split_signs(maps)[:, :15] - split_signs(maps)[:, 15:], maps)
    factors = factorise([maps], 2)
    assert factors.signed
    assert factors.explained > 0.95
    assert factors.directions.shape == (2, 15)
    again = factors.compose(factors.find(maps))
    assert ((again - maps) ** 2).sum() < 0.05 * (maps**2).sum()
    assert torch.equal(factorise([maps], 2).directions, factors.directions)


@pytest.fixture(scope="module")
def transformer():
    import timm

    torch.manual_seed(0)
    return Classifier(
        timm.create_model("test_vit", num_classes=6), name="test_vit", input_size_px=160
    )


def test_activations_given_back_unchanged_leave_the_answer_as_it_was(tiny, transformer):
    generator = torch.Generator().manual_seed(0)
    for classifier, layer in [(tiny, "act1"), (transformer, "blocks.2")]:
        side = classifier.input_size_px
        images = torch.rand(2, 3, side, side, generator=generator)
        own = classifier.read(images, [layer])[layer]
        logits = classifier(images)
        torch.testing.assert_close(answer(classifier, images[:1], layer, own), logits)
        with substitute(classifier, layer, torch.zeros_like):
            assert not torch.allclose(classifier(images), logits)
        torch.testing.assert_close(classifier(images), logits)


def test_a_layer_inside_a_skip_connection_or_a_concatenation(seeded):
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(7, 5)

        def forward(self, images):
            return self.head(torch.cat([images, self.conv(images)], 1).mean((2, 3)))

    dense = Classifier(seeded(Dense()), name="dense", input_size_px=8)
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    own = dense.read(image, ["conv"])["conv"]
    logits = answer(dense, image, "conv", own.repeat(3, 1, 1, 1))
    torch.testing.assert_close(logits, dense(image).expand(3, -1))


def test_a_hook_is_removed_after_an_error(tiny):
    with pytest.raises(ZeroDivisionError), substitute(tiny, "act1", lambda own: own / (1 // 0)):
        tiny(torch.rand(1, 3, 24, 24))
    assert not any(module._forward_hooks for module in tiny.network.modules())


def test_the_default_layer_is_the_last_whose_places_the_answer_depends_on(tiny, transformer):
    image = torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    assert default_layer(tiny, image[:, :, :24, :24]) == "act2"
    # The class token alone is read: the last block's other tokens lead nowhere.
    blocks = len(transformer.network.blocks)
    assert not reaches(transformer, image, f"blocks.{blocks - 1}")
    assert default_layer(transformer, image) == f"blocks.{blocks - 2}"


def test_concepts_of_a_transformer(transformer, photographs):
    search = Search(concepts=3, patches=24, rows=2)
    found = find_concepts(transformer, 2, photographs[0][:3], search, progress=False)
    assert found.signed
    assert found.concepts[0].heatmaps[0][1].shape == (10, 10)
    assert all(0 <= low <= high for low, high in (c.interval for c in found.concepts))


def test_requests_that_cannot_be_met(network, photographs):
    paths = photographs[0]
    for own, search, layer, message in [
        (paths[:1], SEARCH, None, "1 photographs of class 1: at least 2"),
        (paths[:2], Search(concepts=30, patches=4), "act", "30 concepts of 4 patches"),
        (paths[:2], SEARCH, "head", "no places in the image"),
        (paths[:2], SEARCH, "acd", "has no layer 'acd'"),
        (paths[:2], Search(patch_side=1.5), None, "side is 1.5"),
    ]:
        with pytest.raises(ValueError, match=message):
            find_concepts(network, 1, own, search, layer=layer, progress=False)
    with pytest.raises(ValueError, match="does not depend on its concepts"):
        find_concepts(network, 2, paths[:2], SEARCH, layer="act", progress=False)


def test_patches_lie_inside_photographs_of_any_shape(tmp_path):
    (tmp_path / "wide.png").write_bytes(encode_png(torch.zeros(3, 60, 200)))
    [patches] = draw_patches([tmp_path / "wide.png"], 50, np.random.default_rng(0), side=0.5)
    assert len(patches) == 50
    assert {patch.side_px for patch in patches} == {30}
    assert max(patch.left_px for patch in patches) > 140
    assert all(0 <= p.left_px <= 170 and 0 <= p.top_px <= 30 for p in patches)


def test_maps_of_every_concept(network, photographs):
    factors = factorise([torch.rand(20, 9, 2, 2, generator=torch.Generator().manual_seed(0))], 2)
    maps = map_concepts(network, "act", factors, photographs[0][:3], progress=False)
    assert maps.shape == (3, 2, 12, 12)
    assert maps.min() >= 0
