"""What one running instance is made of; `experiment()` is it, inside a request or a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import current_app

from experiment_server.bundle import Bundle
from experiment_server.config import Config, Settings
from experiment_server.database import Database

KEY = "experiment"


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, eq=False)  # one instance is equal to itself alone, and a key of caches
class Experiment:
    """Configuration, study, database and clock (a function, so that tests can turn it).

    earlier_people: keys of those who took part in studies that rule out this one.
    """

    config: Config
    bundle: Bundle
    database: Database
    now: Callable[[], datetime] = utc_now
    earlier_people: frozenset[str] = frozenset()

    @property
    def settings(self) -> Settings:
        """The settings file's tables."""
        return self.config.settings

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions that are dealt."""
        return self.settings.recruitment.conditions or tuple(self.bundle.study.conditions)


def experiment() -> Experiment:
    """The running instance."""
    running: Experiment = current_app.extensions[KEY]
    return running
