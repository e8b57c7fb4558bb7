"""A job's share of some work that many do at once, on one file system and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Work = TypeVar("Work")


@dataclass(frozen=True, order=True)
class Shard:
    """Number `number` of `count` shards, from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def step(self) -> str:
        """What its files are called: they sort, and every file system takes them."""
        return f"shard-{self.number:0{len(str(self.count))}}-of-{self.count}"

    def share(self, work: Sequence[Work]) -> Sequence[Work]:
        """Every count-th piece of work: dear and cheap ones, that stand in a row, are mixed."""
        return work[self.number - 1 :: self.count]


def all_shards(count: int) -> list[Shard]:
    """The shards of a whole piece of work."""
    return [Shard(number, count) for number in range(1, count + 1)]


def parse_shard(text: str) -> Shard:
    """The shard that "3/25" means. Raises ValueError where there is no such one."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if found is None:
        raise ValueError(f"shard {text!r}: write it as 3/25, the third of 25")
    number, count = int(found[1]), int(found[2])
    if not 1 <= number <= count:
        raise ValueError(f"shard {text}: the number must be one of 1 to {count}")
    return Shard(number, count)


def find_shards(names: Sequence[str]) -> list[Shard]:
    """The shards whose `step` is among some names, sorted."""
    found = (re.fullmatch(r"shard-(\d+)-of-(\d+)", name) for name in names)
    return sorted(Shard(int(one[1]), int(one[2])) for one in found if one)


def check_complete(done: Sequence[Shard], where: Path) -> None:
    """Raises ValueError unless all shards of some count are done, naming those that are not."""
    if not done:
        raise ValueError(
            f"{where} holds no finished shard of this: make them with --shard 1/N to N/N first"
        )
    missing = {
        count: [shard.number for shard in all_shards(count) if shard not in done]
        for count in sorted({shard.count for shard in done})
    }
    if all(missing.values()):
        told = "; ".join(
            f"{', '.join(map(str, numbers))} of {count}" for count, numbers in missing.items()
        )
        raise ValueError(
            f"{where} lacks shards {told}: make them first, or leave --merge out to do what is"
            " missing here"
        )
