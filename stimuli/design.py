"""Trial lists: which image of a unit meets which network, on which side, in which order.

The core is a cropped Latin square. With k images a unit and n networks there are m = max(k, n)
list classes; image i meets network j of unit u in the class l with i - j = l + offset_u (mod m).
So a participant sees each unit min(k, n) times, each time with another image and another network,
and the m classes together hold every image with every network once. Lists beyond m repeat the
classes in a fresh order.

Pure: numbers in, numbers out. What may be changed is the constants below; they hold for main
trials, counted without the catch trials between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LONGEST_UNIT_RUN = 1
LONGEST_SIDE_RUN = 3
LONGEST_NETWORK_RUN = 3
TRIES = 1000


@dataclass(frozen=True)
class Cell:
    """A main trial to make: image and network of a unit (all from 0), and its class of lists."""

    unit: int
    image: int
    network: int
    list_class: int


def pairings(units: int, images: int, networks: int, rng: np.random.Generator) -> list[Cell]:
    """Every image of every unit with every network: `units * images * networks` cells.

    Within a list class, the networks' numbers of trials differ by at most one.
    Raises ValueError if a number is below 1.
    """
    for name, number in (("units", units), ("images", images), ("networks", networks)):
        if number < 1:
            raise ValueError(f"{name} = {number}; allowed: 1 or more")
    classes = max(images, networks)
    offsets = _balanced_offsets(units, classes, rng)
    return [
        Cell(unit, image, network, (image - network - offsets[unit]) % classes)
        for unit in range(units)
        for image in range(images)
        for network in range(networks)
    ]


def favored_sides(cells: Sequence[Cell], rng: np.random.Generator) -> list[int]:
    """The side of the right answer of each cell: 0 left, 1 right.

    The two differ by at most one in the trials of each network in a list class, in each list
    class, and in all.
    """
    members: dict[tuple[int, int], list[int]] = {}
    for index, cell in enumerate(cells):
        members.setdefault((cell.list_class, cell.network), []).append(index)
    sides = [0] * len(cells)
    extra = int(rng.integers(2))
    for list_class in sorted({cell.list_class for cell in cells}):
        networks = sorted(network for group, network in members if group == list_class)
        for network in rng.permutation(networks):
            indices = members[list_class, int(network)]
            for index, side in zip(indices, _sides(len(indices), extra, rng), strict=True):
                sides[index] = side
            extra ^= len(indices) % 2
    return sides


def balanced_sides(count: int, rng: np.random.Generator) -> list[int]:
    """Sides 0 (left) and 1 (right) in random order, equally many to within one.

    For the practice and for the catch trials. Raises ValueError if `count` is negative.
    """
    if count < 0:
        raise ValueError(f"count = {count}; allowed: 0 or more")
    return _sides(count, int(rng.integers(2)), rng)


def trial_lists(
    cells: Sequence[Cell],
    sides: Sequence[int],
    main_ids: Sequence[str],
    practice_ids: Sequence[str],
    catch_ids: Sequence[str],
    lists: int,
    rng: np.random.Generator,
) -> list[list[str]]:
    """The ordered trial ids of each list; list l has the main trials of class l modulo m.

    `cells`, `sides` and `main_ids` belong together, item by item. All practice trials come first,
    in random order; catch trials divide the main trials evenly, so that none is first, last or
    beside another. With the same generator state, more lists leave the first ones as they are.
    Raises ValueError if the lengths differ, `lists` is below 1, catch trials outnumber the places
    between main trials, or no order is found.
    """
    if not len(cells) == len(sides) == len(main_ids) > 0:
        raise ValueError(
            f"{len(cells)} cells, {len(sides)} sides and {len(main_ids)} main_ids; "
            "allowed: equally many, 1 or more"
        )
    if lists < 1:
        raise ValueError(f"lists = {lists}; allowed: 1 or more")
    classes = 1 + max(cell.list_class for cell in cells)
    dealt = []
    for list_class in (number % classes for number in range(lists)):
        indices = [at for at, cell in enumerate(cells) if cell.list_class == list_class]
        order = order_trials([cells[at] for at in indices], [sides[at] for at in indices], rng)
        main = [main_ids[indices[place]] for place in order]
        practice = [practice_ids[place] for place in rng.permutation(len(practice_ids))]
        catch = [catch_ids[place] for place in rng.permutation(len(catch_ids))]
        dealt.append(practice + _spread(catch, main, rng))
    return dealt


def order_trials(
    cells: Sequence[Cell], sides: Sequence[int], rng: np.random.Generator
) -> list[int]:
    """A random order of main trials, as indices into `cells`.

    No unit twice in a row; at most three equal sides and three trials of a network in a row. What
    does not vary (one network, one unit) is not limited. Raises ValueError naming the limit that
    cannot be kept.
    """
    limits = [
        ("unit", [cell.unit for cell in cells], LONGEST_UNIT_RUN),
        ("favored side", list(sides), LONGEST_SIDE_RUN),
        ("network", [cell.network for cell in cells], LONGEST_NETWORK_RUN),
    ]
    limits = [(name, values, longest) for name, values, longest in limits if len(set(values)) > 1]
    for name, values, longest in limits:
        if not _Runs(Counter(values), longest).can_end():
            raise ValueError(
                f"no order has at most {longest} trials of one {name} in a row: "
                f"the counts are {sorted(Counter(values).values())}; balance them"
            )
    for _ in range(TRIES):
        order = _attempt([(values, longest) for _, values, longest in limits], len(cells), rng)
        if order is not None:
            return order
    names = ", ".join(f"{name} {longest}" for name, _, longest in limits)
    raise ValueError(
        f"no order of {len(cells)} trials found in {TRIES} tries with at most this many in a row: "
        f"{names}; use more units, or allow longer runs in stimuli/design.py"
    )


@dataclass
class _Runs:
    """What is still to be placed of one property, and the run it would continue."""

    remaining: Counter[int]
    longest: int
    value: int | None = None
    length: int = 0

    def after(self, value: int) -> _Runs:
        """The state once a trial with `value` is placed."""
        length = self.length + 1 if value == self.value else 1
        return _Runs(self.remaining - Counter([value]), self.longest, value, length)

    def can_end(self) -> bool:
        """Whether the rest has an order without a longer run: each value needs enough others."""
        total = self.remaining.total()
        return self.length <= self.longest and all(
            count
            <= self.longest * (total - count + 1) - (self.length if value == self.value else 0)
            for value, count in self.remaining.items()
        )


def _attempt(
    limits: Sequence[tuple[list[int], int]], count: int, rng: np.random.Generator
) -> list[int] | None:
    runs = [_Runs(Counter(values), longest) for values, longest in limits]
    waiting = [int(index) for index in rng.permutation(count)]
    order: list[int] = []
    while waiting:
        for index in waiting:
            after = [
                state.after(values[index]) for state, (values, _) in zip(runs, limits, strict=True)
            ]
            if all(state.can_end() for state in after):
                break
        else:
            return None
        runs = after
        waiting.remove(index)
        order.append(index)
    return order


def _balanced_offsets(units: int, classes: int, rng: np.random.Generator) -> list[int]:
    """One of `classes` offsets for each unit, in random order, as equally often as can be.

    The offsets that occur once more are spaced evenly around the circle (a Euclidean rhythm):
    any window of neighbours then holds as many of them as any other, to within one, and such a
    window is what a network gets in a list class when there are fewer images than networks.
    """
    rounds, rest = divmod(units, classes)
    start = int(rng.integers(classes))
    more = [(start + place * classes // rest) % classes for place in range(rest)]
    offsets = [*range(classes)] * rounds + more
    return [offsets[place] for place in rng.permutation(units)]


def _sides(count: int, extra: int, rng: np.random.Generator) -> list[int]:
    """Half zeros, half ones, in random order; an odd count has one more of `extra`."""
    half = count // 2
    sides = [0] * half + [1] * half + [extra] * (count % 2)
    return [sides[place] for place in rng.permutation(count)]


def _spread(catch: list[str], main: list[str], rng: np.random.Generator) -> list[str]:
    """The main trials in `len(catch) + 1` stretches, equal to within one, a catch trial between."""
    stretches = len(catch) + 1
    if len(main) < stretches:
        raise ValueError(
            f"{len(catch)} catch trials among {len(main)} main trials; allowed: fewer than main"
        )
    length, rest = divmod(len(main), stretches)
    longer = set(rng.permutation(stretches)[:rest].tolist())
    shown: list[str] = []
    at = 0
    for stretch in range(stretches):
        end = at + length + (stretch in longer)
        shown += main[at:end] + catch[stretch : stretch + 1]
        at = end
    return shown
