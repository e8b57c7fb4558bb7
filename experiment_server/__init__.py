"""Runs a study bundle with participants: the Flask application.

    STUDY=studies/demo flask --app experiment_server run
    gunicorn --threads 8 "experiment_server:create_app()"

`create_app` reads the environment (see `config.py`), checks the bundle and the database, and joins
the blueprints. Everything a participant or a researcher meets is in one of those.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from random import Random

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from experiment_server.admin import admin
from experiment_server.bundle import Bundle
from experiment_server.commands import COMMANDS
from experiment_server.config import Config, ConfigError, read_config
from experiment_server.database import Database, DatabaseError
from experiment_server.entry import entry
from experiment_server.experiment import KEY, SYSTEM_CHANCE, Experiment, utc_now
from experiment_server.failures import register_failures
from experiment_server.health import health
from experiment_server.images import Images
from experiment_server.metrics import metrics, observe
from experiment_server.ownership import claim, foreign_key
from experiment_server.prolific import prolific
from experiment_server.rate_limits import share_counts
from experiment_server.request_log import keep_log
from experiment_server.security import protect
from experiment_server.task import task

__all__ = ["create_app"]

_OF_NO_INSTANCE = {"admin-password", "bots", "rehearse"}
CANNOT_BEGIN = 3  # an exit code by which gunicorn ends too, instead of trying for ever


def create_app(
    config: Config | None = None,
    *,
    now: Callable[[], datetime] = utc_now,
    chance: Random = SYSTEM_CHANCE,
) -> Flask:
    """The application for a configuration; by default, that of the environment.

    Raises ValueError, ConfigError or DatabaseError with one line that says what to do. Where the
    environment is read, by a server or the `flask` command, the line is printed and the process
    ends. For the command's help, and for commands that are about no running instance, the
    application has its commands and nothing else.
    """
    try:
        if config is None and _needs_no_instance():
            return _with_commands(Flask(__name__))
        return _create_app(config or read_config(), now, chance)
    except (ValueError, DatabaseError) as error:
        if config is not None:
            raise
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1 if _is_command() else CANNOT_BEGIN)


def _create_app(config: Config, now: Callable[[], datetime], chance: Random) -> Flask:
    bundle = Bundle(config.study)
    database = Database(config.database_url)
    running = Experiment(config, bundle, database, now, _earlier_people(config), chance)
    for name in running.conditions:
        if name not in bundle.study.conditions:
            known = ", ".join(bundle.study.conditions)
            raise ConfigError(f"recruitment.conditions: {name!r} is none of the study's: {known}")
    if not _takes_any_tables():
        database.prepare()
        claim(running)
        if _serves() and (problem := foreign_key(running)):
            raise ConfigError(problem)
    app = Flask(__name__)
    app.extensions[KEY] = running
    if config.proxies:
        hops = config.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, hops, hops, hops)  # type: ignore[method-assign]
    keep_log(app, config)
    observe(app, running)
    share_counts(app, database)
    protect(app, config)
    register_failures(app)
    for blueprint in (entry, task, prolific, admin, health, metrics):
        app.register_blueprint(blueprint)
    app.wsgi_app = Images(app, running)  # type: ignore[method-assign]
    return _with_commands(app)


def _with_commands(app: Flask) -> Flask:
    for command in COMMANDS:
        app.cli.add_command(command)
    return app


def _is_command() -> bool:
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true"


def _needs_no_instance() -> bool:
    """Whether only help is asked for, or a command that needs none or brings its own."""
    return _is_command() and ("--help" in sys.argv or _command() in _OF_NO_INSTANCE)


def _serves() -> bool:
    """Whether participants will come in; of other commands, some must work with any key."""
    return not _is_command() or _command() in {None, "serve"}


def _takes_any_tables() -> bool:
    """Whether a command comes before the tables are in shape: it looks at them itself."""
    return _is_command() and _command() in {"backup", "migrate", "restore"}


def _command() -> str | None:
    """The command of this program that the command line names."""
    names = {command.name for command in COMMANDS}
    return next((word for word in sys.argv[1:] if word in names), None)


def _earlier_people(config: Config) -> frozenset[str]:
    keys: set[str] = set()
    for path in config.settings.recruitment.other_studies:
        try:
            keys |= set(Path(path).read_text(encoding="utf-8").split())
        except OSError as error:
            raise ConfigError(
                f"recruitment.other_studies: {path} cannot be read ({error.strerror})"
            ) from error
    return frozenset(keys)
