"""Trial lists are counterbalanced and ordered as promised, whatever the size of the study."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stimuli.design import (
    Cell,
    balanced_sides,
    favored_sides,
    order_trials,
    pairings,
    trial_lists,
)

SIZES = {
    "units": st.integers(1, 12),
    "images": st.integers(1, 6),
    "networks": st.integers(1, 6),
    "seed": st.integers(0, 2**32 - 1),
}
COUNTS = {"lists": st.integers(1, 8), "practice": st.integers(0, 6), "catch": st.integers(0, 5)}


def planned(units, images, networks, lists, practice, catch, seed):
    """Cells, sides, ids and lists of one study; ids tell the kind by their first letter."""
    rng = np.random.default_rng(seed)
    cells = pairings(units, images, networks, rng)
    sides = favored_sides(cells, rng)
    ids = [f"m{index}" for index in range(len(cells))]
    practice_ids = [f"p{index}" for index in range(practice)]
    catch_ids = [f"c{index}" for index in range(catch)]
    dealt = trial_lists(cells, sides, ids, practice_ids, catch_ids, lists, rng)
    return cells, sides, ids, dealt


def longest_run(values):
    return max(len(list(run)) for _, run in groupby(values))


def spread(counts, groups):
    """Largest minus smallest count over all groups, absent ones included."""
    numbers = [counts.get(group, 0) for group in groups]
    return max(numbers) - min(numbers)


@given(**SIZES)
def test_every_image_meets_every_network_once_for_each_unit(units, images, networks, seed):
    cells = pairings(units, images, networks, np.random.default_rng(seed))
    expected = {(u, i, n) for u in range(units) for i in range(images) for n in range(networks)}
    assert len(cells) == len(expected)
    assert {(cell.unit, cell.image, cell.network) for cell in cells} == expected
    assert {cell.list_class for cell in cells} <= set(range(max(images, networks)))


@given(**SIZES)
def test_a_list_shows_a_unit_equally_often_with_new_images_and_networks(
    units, images, networks, seed
):
    cells = pairings(units, images, networks, np.random.default_rng(seed))
    for list_class in range(max(images, networks)):
        for unit in range(units):
            seen = [c for c in cells if c.list_class == list_class and c.unit == unit]
            assert len(seen) == min(images, networks)
            assert len({cell.image for cell in seen}) == len(seen)
            assert len({cell.network for cell in seen}) == len(seen)


@pytest.mark.parametrize("networks", range(1, 8))
@pytest.mark.parametrize("images", range(1, 8))
def test_a_list_asks_about_each_network_equally_often(images, networks):
    for units in range(1, 15):
        cells = pairings(units, images, networks, np.random.default_rng(units))
        for list_class in range(max(images, networks)):
            counts = Counter(cell.network for cell in cells if cell.list_class == list_class)
            assert spread(counts, range(networks)) <= 1, (units, list_class)


@given(**SIZES)
def test_favored_sides_are_balanced_in_each_cell_each_list_and_in_all(
    units, images, networks, seed
):
    rng = np.random.default_rng(seed)
    cells = pairings(units, images, networks, rng)
    sides = favored_sides(cells, rng)
    groups: dict[object, list[int]] = {}
    for cell, side in zip(cells, sides, strict=True):
        for group in ("all", cell.list_class, (cell.list_class, cell.network)):
            groups.setdefault(group, []).append(side)
    for group, members in groups.items():
        assert spread(Counter(members), (0, 1)) <= 1, group


@given(**SIZES, **COUNTS)
@settings(deadline=None)
def test_each_list_holds_the_main_trials_of_its_class(
    units, images, networks, lists, practice, catch, seed
):
    catch = min(catch, units * min(images, networks) - 1)
    cells, _, ids, dealt = planned(units, images, networks, lists, practice, catch, seed)
    assert len(dealt) == lists
    for number, trials in enumerate(dealt):
        list_class = number % max(images, networks)
        expected = {i for i, c in zip(ids, cells, strict=True) if c.list_class == list_class}
        main = [trial for trial in trials if trial[0] == "m"]
        assert set(main) == expected
        assert len(set(trials)) == len(trials) == len(main) + practice + catch


@given(**SIZES, **COUNTS)
@settings(deadline=None)
def test_practice_comes_first_and_catch_trials_are_spread_evenly(
    units, images, networks, lists, practice, catch, seed
):
    catch = min(catch, units * min(images, networks) - 1)
    *_, dealt = planned(units, images, networks, lists, practice, catch, seed)
    for trials in dealt:
        kinds = "".join(trial[0] for trial in trials)
        assert kinds[:practice] == "p" * practice
        stretches = [len(stretch) for stretch in kinds[practice:].split("c")]
        assert len(stretches) == catch + 1
        assert min(stretches) >= 1
        assert max(stretches) - min(stretches) <= 1


@given(**SIZES, lists=st.integers(1, 8))
@settings(deadline=None)
def test_orders_keep_the_limits_on_runs(units, images, networks, lists, seed):
    cells, sides, ids, dealt = planned(units, images, networks, lists, 0, 0, seed)
    cell_of = dict(zip(ids, cells, strict=True))
    side_of = dict(zip(ids, sides, strict=True))
    for trials in dealt:
        if units > 1:
            assert longest_run(cell_of[trial].unit for trial in trials) == 1
        assert longest_run(side_of[trial] for trial in trials) <= 3
        if networks > 1:
            assert longest_run(cell_of[trial].network for trial in trials) <= 3


@given(count=st.integers(0, 40), seed=st.integers(0, 2**32 - 1))
def test_sides_of_practice_and_catch_trials_are_balanced(count, seed):
    sides = balanced_sides(count, np.random.default_rng(seed))
    assert len(sides) == count
    assert spread(Counter(sides), (0, 1)) == count % 2


@given(**SIZES, lists=st.integers(1, 8))
@settings(deadline=None)
def test_a_seed_gives_the_same_lists_and_more_lists_keep_the_first(
    units, images, networks, lists, seed
):
    first = planned(units, images, networks, lists, 2, 0, seed)
    again = planned(units, images, networks, lists, 2, 0, seed)
    longer = planned(units, images, networks, lists + 1, 2, 0, seed)
    assert first == again
    assert first[3] == longer[3][:-1]


def test_the_published_study_has_57_trials_and_lists_of_one_class_differ():
    cells, _, ids, dealt = planned(19, 3, 3, 12, 6, 3, seed=2023)
    assert [len(trials) for trials in dealt] == [57 + 6 + 3] * 12
    assert len({tuple(trials) for trials in dealt}) == 12
    network_of = {trial: cell.network for trial, cell in zip(ids, cells, strict=True)}
    for trials in dealt:
        counts = Counter(network_of[trial] for trial in trials if trial in network_of)
        assert counts == {0: 19, 1: 19, 2: 19}


def test_no_unit_network_or_side_prefers_a_place_in_the_order():
    cells, sides, ids, dealt = planned(6, 3, 3, 900, 0, 0, seed=5)
    middle = (len(dealt[0]) - 1) / 2
    for values in (
        [cell.unit for cell in cells],
        [cell.network for cell in cells],
        sides,
    ):
        value_of = dict(zip(ids, values, strict=True))
        places: dict[int, list[int]] = {value: [] for value in set(values)}
        for trials in dealt:
            for place, trial in enumerate(trials):
                places[value_of[trial]].append(place)
        for found in places.values():
            # 18 places have a standard deviation of 5.2; at least 2700 trials average it.
            assert np.mean(found) == pytest.approx(middle, abs=5 * 5.2 / np.sqrt(len(found)))


def test_another_seed_pairs_and_orders_otherwise():
    one, other = (planned(8, 3, 3, 3, 2, 2, seed) for seed in (1, 2))
    assert one[0] != other[0]
    assert one[1] != other[1]
    assert one[3] != other[3]


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [((0, 3, 3), "units = 0"), ((2, 0, 3), "images = 0"), ((2, 3, -1), "networks = -1")],
)
def test_sizes_below_one_are_refused(numbers, sentence):
    with pytest.raises(ValueError, match=sentence):
        pairings(*numbers, np.random.default_rng(0))


def test_impossible_orders_name_the_limit():
    rng = np.random.default_rng(0)
    same_unit = [Cell(0, image, 0, 0) for image in range(4)] + [Cell(1, 0, 0, 0)]
    with pytest.raises(ValueError, match="at most 1 trials of one unit in a row"):
        order_trials(same_unit, [0, 1, 0, 1, 0], rng)
    nine = [Cell(unit, 0, 0, 0) for unit in range(9)]
    with pytest.raises(ValueError, match="at most 3 trials of one favored side in a row"):
        order_trials(nine, [0] * 8 + [1], rng)


def test_limits_that_exclude_each_other_are_reported():
    # Nine left and two right fit only as LLLRLLLRLLL, and the networks need the same two places.
    networks = [1, 1] + [0] * 9
    cells = [Cell(unit, 0, network, 0) for unit, network in enumerate(networks)]
    with pytest.raises(ValueError, match="no order of 11 trials found"):
        order_trials(cells, [0] * 9 + [1] * 2, np.random.default_rng(0))


def test_catch_trials_need_main_trials_between_them():
    rng = np.random.default_rng(0)
    cells = pairings(3, 1, 1, rng)
    sides = favored_sides(cells, rng)
    with pytest.raises(ValueError, match="3 catch trials among 3 main trials"):
        trial_lists(cells, sides, ["a", "b", "c"], [], ["x", "y", "z"], 1, rng)


@pytest.mark.parametrize(
    ("ids", "lists", "sentence"),
    [(["a", "b"], 1, "3 cells, 3 sides and 2 main_ids"), (["a", "b", "c"], 0, "lists = 0")],
)
def test_lists_refuse_what_does_not_fit(ids, lists, sentence):
    rng = np.random.default_rng(0)
    cells = pairings(3, 1, 1, rng)
    with pytest.raises(ValueError, match=sentence):
        trial_lists(cells, favored_sides(cells, rng), ids, [], [], lists, rng)


def test_a_negative_number_of_sides_is_refused():
    with pytest.raises(ValueError, match="count = -1"):
        balanced_sides(-1, np.random.default_rng(0))
