"""Sees parts through to their end: submits them, again where a job was lost, and remembers which.

A part is done when its files say so. One that is not done and has no job that waits or runs was
lost (killed, cancelled, out of time, its node gone), whatever the reason, and is submitted again;
one whose job said that it cannot be done is not.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from tqdm import tqdm

from maco.files import write_atomically
from stimuli.cluster.engines import Engine, last_words
from stimuli.cluster.part import Part, undone

SEEN_MISSING = 2  # polls in a row: what a job wrote last may not be seen at once on other machines


class Jobs:
    """Which jobs each part has had, the present one last; kept in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.of: dict[str, list[str]] = {}
        if path.is_file():
            self.of = json.loads(path.read_text(encoding="utf-8"))

    def add(self, part: Part, job: str) -> None:
        """Notes a job that a part became."""
        self.of.setdefault(part.name, []).append(job)
        write_atomically(self.path, (json.dumps(self.of, indent=1) + "\n").encode())

    def last(self, part: Part) -> str | None:
        """The present job of a part."""
        return self.of[part.name][-1] if part.name in self.of else None

    def present(self) -> set[str]:
        """The last job of each part."""
        return {jobs[-1] for jobs in self.of.values()}


class GaveUpError(ValueError):
    """Parts that could not be done: a line for each, with what it said and where."""


def check_others(jobs: Jobs, engine: Engine, parts: Sequence[Part]) -> None:
    """Raises ValueError if jobs for another number of shards are under way."""
    own = {part.name for part in parts} | {"merge"}
    others = sorted(jobs.of[name][-1] for name in jobs.of.keys() - own)
    if alive := engine.alive(others):
        raise ValueError(
            f"jobs for another number of shards are under way ({', '.join(alive)}): give the same"
            " --shards again, or cancel them"
        )


def see_through(
    parts: Sequence[Part],
    engine: Engine,
    jobs: Jobs,
    *,
    tries: int,
    poll_s: float,
    progress: bool = True,
) -> None:
    """Returns when all parts are done. Raises GaveUpError when all that is left was given up.

    tries: how often a part is submitted in this call; jobs that an earlier call has left behind
    are waited for, not counted.
    """
    watch = _Watch(parts, engine, jobs, tries)
    watch.submit()
    with tqdm(total=len(parts), desc=parts[0].kind, unit="job", disable=not progress) as bar:
        while not watch.is_over():
            bar.n = len(parts) - len(watch.open)
            bar.set_postfix_str(_describe(watch.alive.values()))
            time.sleep(poll_s)
            watch.look()
            watch.submit()
        bar.n = len(parts) - len(watch.open)
        bar.set_postfix_str("")
    if watch.given_up:
        raise GaveUpError("\n".join(watch.given_up.values()))


class _Watch:
    """What is known of the parts: which are open, whose jobs are alive, who is to be submitted."""

    def __init__(self, parts: Sequence[Part], engine: Engine, jobs: Jobs, tries: int) -> None:
        self.parts = parts
        self.engine = engine
        self.jobs = jobs
        self.tries = tries
        self.given_up: dict[str, str] = {}
        self.due: list[Part] = []
        self._submitted: Counter[str] = Counter()
        self._unseen: Counter[str] = Counter()
        self.look()

    def look(self) -> None:
        """Asks files and engine. Who was lost becomes due, or is given up."""
        # In this order: a job that ends in between is then done, not lost.
        self.alive = self.engine.alive(self.jobs.present())
        self.open = undone(self.parts)
        for part in self.open:
            job = self.jobs.last(part)
            self._unseen[part.name] = 0 if job in self.alive else self._unseen[part.name] + 1
            if job is None:
                self.due.append(part)
            elif self._unseen[part.name] == SEEN_MISSING:
                self._lose(part, job)

    def _lose(self, part: Part, job: str) -> None:
        log, end = self.engine.log(job), self.engine.end_of(job)
        refusal = last_words(log)
        if refusal is not None and self._submitted[part.name]:
            told = self.given_up[part.name] = f"{part}: {refusal} ({log})"
        elif self._submitted[part.name] >= self.tries:
            lost = f"{part} was lost {self.tries} times, at last: {end} ({log})"
            told = self.given_up[part.name] = lost
        else:
            told = f"{part} was lost ({end}) and is submitted again"
            self.due.append(part)
        tqdm.write(told, file=sys.stderr)  # at once: the others may take hours yet

    def submit(self) -> None:
        """Makes jobs of the parts that are due."""
        if not self.due:
            return
        for part, job in zip(self.due, self.engine.submit(self.due), strict=True):
            self.jobs.add(part, job)
            self._submitted[part.name] += 1
            self._unseen[part.name] = 0
        self.due = []

    def is_over(self) -> bool:
        """Whether nothing is open but what was given up, and nobody writes any more."""
        left = [part for part in self.open if part.name not in self.given_up]
        return not left and not self.alive


def _describe(states: Collection[str]) -> str:
    """How many run, how many wait, and what most of them wait for."""
    running = sum(state == "running" for state in states)
    waiting = Counter(state for state in states if state != "running")
    if not waiting:
        return f"{running} running"
    reason = waiting.most_common(1)[0][0]
    return f"{running} running, {waiting.total()} waiting ({reason})"
