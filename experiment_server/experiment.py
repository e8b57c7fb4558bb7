"""What one running instance is made of; `experiment()` is it, inside a request or a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random, SystemRandom

from flask import current_app

from experiment_server.bundle import Bundle
from experiment_server.config import Config, Settings
from experiment_server.database import Database
from experiment_server.models import Kind

KEY = "experiment"
SYSTEM_CHANCE = SystemRandom()


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, eq=False)  # one instance is equal to itself alone, and a key of caches
class Experiment:
    """Configuration, study, database and clock (a function, so that tests can turn it).

    earlier_people: keys of those who took part in studies that rule out this one. chance: decides
    ties in dealing and makes pseudonyms; secrets never come from it.
    """

    config: Config
    bundle: Bundle
    database: Database
    now: Callable[[], datetime] = utc_now
    earlier_people: frozenset[str] = frozenset()
    chance: Random = SYSTEM_CHANCE

    @property
    def settings(self) -> Settings:
        """The settings file's tables."""
        return self.config.settings

    @property
    def kind(self) -> Kind:
        """What participants who arrive are."""
        if self.config.rehearsal:
            return "machine"
        return "pilot" if self.settings.recruitment.pilot else "real"

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions that are dealt."""
        return self.settings.recruitment.conditions or tuple(self.bundle.study.conditions)


def experiment() -> Experiment:
    """The running instance."""
    running: Experiment = current_app.extensions[KEY]
    return running
