"""How machine participants behave: their habits, and the preset of a plausible crowd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Habits:
    """How bots behave; shares are in [0, 1].

    accuracy: condition -> share of main trials right. observed: (condition, trial id) -> the
    probability of choosing the favored query, which goes before `accuracy`. Both need the study;
    in main trials that neither speaks of, bots guess.
    spread: how far their log-odds of being right differ, between bots and, with `accuracy`, between
    classes and between networks (standard deviations), so that an analysis finds what it finds in
    people. An observer differs between classes and networks by itself.
    lapse: of trials, answered by the toss of a coin. careless: of participants, who guess all the
    way, fast, and mostly one side. misread: of quizzes handed in with a wrong answer.
    small_window: of participants, who are turned away by the device check.
    drop_out, withdraw, come_back_late: of participants. away_s: how long the last are away, median.
    refresh, two_tabs: of trials. images: whether they load the images, as a browser would; in a
    rehearsal each image is loaded once.
    pace: how many times faster than people they are; a rehearsal's clock needs none.
    """

    pace: float = 1.0
    accuracy: Mapping[str, float] = field(default_factory=dict)
    observed: Mapping[tuple[str, str], float] = field(default_factory=dict)
    spread: float = 0.0
    lapse: float = 0.0
    careless: float = 0.0
    misread: float = 0.0
    small_window: float = 0.0
    drop_out: float = 0.0
    withdraw: float = 0.0
    come_back_late: float = 0.0
    away_s: float = 60.0
    refresh: float = 0.0
    two_tabs: float = 0.0
    images: bool = True


PLAIN = Habits()
LIKE_PEOPLE = Habits(
    spread=0.5,
    lapse=0.03,
    careless=0.05,
    misread=0.1,
    small_window=0.02,
    drop_out=0.06,
    withdraw=0.03,
    come_back_late=0.06,
    away_s=900.0,  # longer than `recruitment.stale_after_min` for some: their place is dealt again
    refresh=0.01,
    two_tabs=0.01,
)
"""A crowd as online studies meet it. The shares are chosen, not measured."""
