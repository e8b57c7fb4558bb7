"""What the reports of these tests are of."""

from __future__ import annotations

FILES = {"trials.csv": "0" * 64}


def hopeless(trials, people):
    """One participant is always wrong."""
    for row in trials + people:
        if row["participant"] == "p0" and "correct" in row:
            wrong = {"left": "right", "right": "left"}[row["favored_side"]]
            row |= {"correct": 0, "response_side": wrong}
