"""Bots that take part while a test does something to their server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from experiment_server.bots import Habits, Report, new_report, run_bots


@dataclass(frozen=True)
class Crowd:
    """Bots in a thread of their own, and what came of them so far."""

    report: Report
    thread: threading.Thread

    def wait_for(self, event: Callable[[], object]) -> None:
        """Until something has happened; fails if the bots are through before."""
        while not event() and self.thread.is_alive():
            time.sleep(0.01)
        assert self.thread.is_alive(), "the bots were through too early"

    def wait_for_responses(self, count: int) -> None:
        """Until so many are acknowledged in all."""
        self.wait_for(lambda: len(self.report.acknowledged) >= count)


@contextmanager
def crowd(
    url: str, people: int, habits: Habits, *, seed: str = "crowd", **options: Any
) -> Iterator[Crowd]:
    """Bots at work at `url`; at its end, all of them are through. options: of `run_bots`."""
    report = new_report(people, seed=seed)
    options |= {"habits": habits, "report": report}
    thread = threading.Thread(target=run_bots, args=(url, people), kwargs=options)
    thread.start()
    try:
        yield Crowd(report, thread)
    finally:
        thread.join()
