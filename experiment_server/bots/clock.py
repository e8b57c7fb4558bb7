"""Clocks of machine participants: the real one, hurried, or one that all share with the server."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Protocol


class Clock(Protocol):
    """A bot's clock, in human time."""

    @property
    def now_ms(self) -> float:
        """Milliseconds since 1970."""

    async def wait(self, human_s: float) -> None:
        """Lets human seconds pass."""


class HurriedClock:
    """One bot's own: it runs `pace` times faster than the real one."""

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self.now_ms = time.time() * 1000

    async def wait(self, human_s: float) -> None:
        """Lets human seconds pass, in a fraction of them."""
        self.now_ms += 1000 * human_s
        await asyncio.sleep(human_s / self.pace)


class SharedClock:
    """The clock of a rehearsal: the server's and all bots'. Nobody waits for real.

    It jumps to the next moment that somebody waits for, once all have come to wait. So one bot acts
    at a time, in the order of the clock, and the same bots do the same at the same moments again.
    """

    def __init__(self, start: datetime, bots: int) -> None:
        self.time = start
        self._acting = bots
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._number = itertools.count()  # who waits for the same moment acts in order of asking

    def __call__(self) -> datetime:
        return self.time

    @property
    def now_ms(self) -> float:
        """Milliseconds since 1970."""
        return self.time.timestamp() * 1000

    async def wait(self, human_s: float) -> None:
        """Lets human seconds pass, during which others act."""
        turn = asyncio.get_running_loop().create_future()
        moment = self.time + timedelta(seconds=human_s)
        heappush(self._waiting, (moment, next(self._number), turn))
        self.leave()
        await turn

    def leave(self) -> None:
        """Says that a bot acts no more, until its turn comes if it waits for one."""
        self._acting -= 1
        if self._acting == 0 and self._waiting:
            self.time, _, turn = heappop(self._waiting)
            self._acting = 1
            if not turn.done():  # a run that is broken off has cancelled it
                turn.set_result(None)
