"""Arrivals and completions over time, as the coordinates of an SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

WIDTH, HEIGHT = 1000, 200  # of the bars; the labels lie outside
BARS = 60  # at most
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_STEPS_S = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, _DAY, 7 * _DAY)


@dataclass(frozen=True)
class Bar:
    """A bar, in units of the SVG from its top left; `label` says what it stands for."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Bars of arrivals and, before them, of completions; ticks and levels are (place, label)."""

    arrivals: list[Bar]
    completions: list[Bar]
    ticks: list[tuple[float, str]]
    levels: list[tuple[float, str]]
    step: str


def timeline(arrivals: list[datetime], completions: list[datetime]) -> Chart | None:
    """Counts by minutes, hours or days, whatever gives at most 60 bars; None without arrivals."""
    if not arrivals:
        return None
    first, last = arrivals[0].timestamp(), max([*arrivals[-1:], *completions[-1:]]).timestamp()
    step_s = next((one for one in _STEPS_S if (last - first) / one < BARS - 1), None)
    step_s = step_s or _DAY * ceil((last - first) / _DAY / (BARS - 1))
    start = first // step_s * step_s
    bins = max(int((last - start) // step_s) + 1, 12)
    came, done = (_counts(moments, start, step_s) for moments in (arrivals, completions))
    top = _round_up(max(*came.values(), *done.values(), 1))
    return Chart(
        arrivals=_bars(came, start, step_s, bins, top, "arrived", share=0.84),
        completions=_bars(done, start, step_s, bins, top, "completed", share=0.42),
        ticks=_ticks(start, step_s, bins),
        levels=[(HEIGHT - HEIGHT * part / top, str(part)) for part in sorted({0, top // 2, top})],
        step=_in_words(step_s),
    )


def _counts(moments: Iterable[datetime], start: float, step_s: int) -> Counter[int]:
    return Counter(int((moment.timestamp() - start) // step_s) for moment in moments)


def _bars(
    counts: Counter[int], start: float, step_s: int, bins: int, top: int, verb: str, share: float
) -> list[Bar]:
    width = WIDTH / bins
    return [
        Bar(
            x=round(width * (index + (1 - share) / 2), 2),
            y=round(HEIGHT - HEIGHT * count / top, 2),
            width=round(width * share, 2),
            height=round(HEIGHT * count / top, 2),
            label=f"{_moment(start + index * step_s):%d %b %H:%M}: {count} {verb}",
        )
        for index, count in sorted(counts.items())
    ]


def _ticks(start: float, step_s: int, bins: int) -> list[tuple[float, str]]:
    every = ceil(bins / 6)
    form = "%d %b" if step_s >= _DAY else "%d %b %H:%M"
    return [
        (round(WIDTH * index / bins, 2), f"{_moment(start + index * step_s):{form}}")
        for index in range(0, bins, every)
    ]


def _moment(timestamp: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=timestamp)


def _round_up(count: int) -> int:
    """The next even number that a scale can end with."""
    for factor in (1, 10, 100, 1000, 10_000):
        for digit in (2, 4, 6, 8, 10, 12, 16):
            if digit * factor >= count:
                return digit * factor
    return count


def _in_words(step_s: int) -> str:
    for unit_s, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if step_s % unit_s == 0:
            number = step_s // unit_s
            return name if number == 1 else f"{number} {name}s"
    return f"{step_s} seconds"
