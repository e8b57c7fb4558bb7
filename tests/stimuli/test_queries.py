"""Query rules and object-blind observers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maco import logit
from stimuli.baselines import NAMES, baseline_maps, measure, saliency
from stimuli.occlusion import ActivationMap, sweep
from stimuli.queries import NoPairError, Tally, choose_pair

SIZE_PX = 8


def a_map(values: torch.Tensor, stride_px: int = 2) -> ActivationMap:
    rows, columns = values.shape
    xs, ys = torch.arange(columns) * stride_px, torch.arange(rows) * stride_px
    return ActivationMap(values, xs, ys, SIZE_PX, 0.0)


def some_map(seed: int, rows: int = 13, columns: int = 17) -> ActivationMap:
    return a_map(torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)))


def blind(seed: int, rows: int = 13, columns: int = 17) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(rows, columns, generator=generator, dtype=torch.float64) for name in NAMES
    }


def overlap(map_: ActivationMap, first: int, second: int) -> bool:
    (x0, y0), (x1, y1) = map_.place(first), map_.place(second)
    return abs(x0 - x1) < map_.size_px and abs(y0 - y1) < map_.size_px


def test_extremes_are_the_smallest_and_the_largest():
    map_ = some_map(0)
    pair = choose_pair(
        "extremes", map_, blind(1), margin=0.9, tally=Tally(), rng=np.random.default_rng(0)
    )
    assert pair == (int(map_.values.argmin()), int(map_.values.argmax()))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), margin=st.sampled_from([0.0, 0.25, 0.5]))
def test_minimum_vs_elsewhere_keeps_its_promises(seed, margin):
    map_ = some_map(seed)
    less, more = choose_pair(
        "minimum_vs_elsewhere",
        map_,
        blind(seed + 1),
        margin=margin,
        tally=Tally(),
        rng=np.random.default_rng(0),
    )
    values = map_.values.flatten()
    assert less == int(values.argmin())
    apart = [at for at in range(len(values)) if not overlap(map_, less, at)]
    if any(values[at] - values[less] >= margin * map_.spread for at in apart):
        assert not overlap(map_, less, more)
    assert values[more] - values[less] >= margin * map_.spread


def test_a_minimum_in_the_middle_still_has_a_counterpart_in_a_corner():
    """As in a centred photograph: 40 % of the side hidden, and no other place quite free of it."""
    values = torch.full((14, 14), 5.0)
    values[6:8, 6:8] = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    map_ = ActivationMap(values, torch.arange(14) * 10, torch.arange(14) * 10, 90, 5.0)
    less, more = choose_pair(
        "minimum_vs_elsewhere",
        map_,
        blind(0, 14, 14),
        margin=0.5,
        tally=Tally(),
        rng=np.random.default_rng(0),
    )
    (x0, y0), (x1, y1) = map_.place(less), map_.place(more)
    assert (90 - abs(x0 - x1)) * (90 - abs(y0 - y1)) <= 0.1 * 90**2


def test_minimum_vs_elsewhere_matches_what_a_blind_observer_sees():
    """Over many maps, the chosen places look as alike as any two places of the image could."""
    ranks = []
    for seed in range(40):
        map_, measures = some_map(seed), blind(seed + 500)
        less, more = choose_pair(
            "minimum_vs_elsewhere",
            map_,
            measures,
            margin=0.0,
            tally=Tally(),
            rng=np.random.default_rng(0),
        )
        distance = sum(
            ((m.flatten() - m.flatten()[less]) / m.std()).square() for m in measures.values()
        )
        ranks.append(float((distance < distance[more]).float().mean()))
    assert np.mean(ranks) < 0.05


def test_blind_observers_are_kept_at_chance():
    """Hiding the most salient place alone would let saliency be right in nearly every trial."""
    tally = Tally()
    for seed in range(60):
        measures = blind(seed)
        # What matters to the network is what is salient: the minimum is where saliency is hidden.
        map_ = a_map(measures["visible_saliency"].float() + 0.05 * some_map(seed).values)
        choose_pair(
            "minimum_vs_elsewhere",
            map_,
            measures,
            margin=0.0,
            tally=tally,
            rng=np.random.default_rng(0),
        )
    assert all(abs(surplus) <= 0.25 * 60 for surplus in tally.surplus.values()), tally.surplus


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_random_pairs_differ_by_the_margin(seed):
    map_ = some_map(seed)
    less, more = choose_pair(
        "random", map_, blind(0), margin=0.3, tally=Tally(), rng=np.random.default_rng(seed)
    )
    values = map_.values.flatten()
    assert values[more] - values[less] >= 0.3 * map_.spread > 0


@pytest.mark.parametrize("rule", ["extremes", "minimum_vs_elsewhere", "random"])
def test_a_map_that_does_not_vary_has_no_pair(rule):
    flat = a_map(torch.full((9, 9), 3.0))
    with pytest.raises(NoPairError, match="the same wherever"):
        choose_pair(
            rule, flat, blind(0, 9, 9), margin=0.1, tally=Tally(), rng=np.random.default_rng(0)
        )


def test_no_room_for_a_second_occluder_is_said():
    small = some_map(0, rows=3, columns=3)  # every two places overlap
    with pytest.raises(NoPairError, match=r"differs by 0\.00 .* lower queries\.margin"):
        choose_pair(
            "minimum_vs_elsewhere",
            small,
            blind(0, 3, 3),
            margin=0.1,
            tally=Tally(),
            rng=np.random.default_rng(0),
        )


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="extremes, minimum_vs_elsewhere, random"):
        choose_pair(
            "best", some_map(0), blind(0), margin=0, tally=Tally(), rng=np.random.default_rng(0)
        )


def test_measures_of_a_place_are_those_of_the_maps(red_square):
    maps = baseline_maps(red_square, SIZE_PX, 3)
    assert tuple(maps) == NAMES
    for row, column in [(0, 0), (4, 7), (10, 13)]:
        one = measure(red_square, 3 * column, 3 * row, SIZE_PX)
        for name in NAMES:
            assert one[name] == pytest.approx(float(maps[name][row, column]), abs=1e-9)


def test_centre_distance_is_zero_in_the_middle_and_symmetric():
    image = torch.zeros(3, 24, 32, dtype=torch.uint8)
    maps = baseline_maps(image, 8, 1)["centre_distance"]
    assert maps[8, 12] == 0
    assert torch.equal(maps, maps.flip(0)) and torch.equal(maps, maps.flip(1))
    assert measure(image, 24, 8, 8)["centre_distance"] == 12  # 12 px to the right


def test_the_salient_thing_is_salient(red_square):
    inside = saliency(red_square)[6:14, 20:28].sum()
    assert inside > 5 * 64 / (40 * 48)
    covering, elsewhere = measure(red_square, 20, 6, 8), measure(red_square, 0, 30, 8)
    assert covering["visible_saliency"] < elsewhere["visible_saliency"]


def test_pairs_of_a_real_sweep_hide_what_the_network_needs(red_detector, red_square):
    map_ = sweep(red_detector, logit(0), red_square, size_px=10, stride_px=1)
    measures = baseline_maps(red_square, 10, 1)
    less, more = choose_pair(
        "minimum_vs_elsewhere",
        map_,
        measures,
        margin=0.5,
        tally=Tally(),
        rng=np.random.default_rng(0),
    )
    x, y = map_.place(less)
    assert x <= 20 and x + 10 >= 28 and y <= 6 and y + 10 >= 14
    assert map_.values.flatten()[more] > map_.values.flatten()[less]
