"""What runs parts: where they are submitted, and what can be asked about them afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from stimuli.cluster.part import Part


class Engine(Protocol):
    """Runs parts. A job is known by a word; whether it came through stands in the part's files."""

    def submit(self, parts: Sequence[Part]) -> list[str]:
        """Takes on some parts; the jobs they became. Raises ValueError if it cannot be."""

    def alive(self, jobs: Collection[str]) -> Mapping[str, str]:
        """Those jobs that wait or run -> "running", or what they wait for."""

    def end_of(self, job: str) -> str:
        """What is known of how a job ended: one line."""

    def log(self, job: str) -> Path:
        """The file with what a job said."""

    def close(self) -> None:
        """Ends what cannot go on alone."""


def last_words(log: Path) -> str | None:
    """The line by which a job said that it cannot be done, if it did."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    said = [line for line in lines[-20:] if line.startswith("Error: ")]
    return said[-1].removeprefix("Error: ") if said else None
