"""A running application over the small bundle, and people to send through it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundles import make_bundle
from flask import Flask
from postgresql import Cluster, MissingError, prepare, running_cluster
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.pool import Pool
from stories import RIGHT, Clock, Person

from experiment_server import create_app
from experiment_server.config import Config, Settings
from experiment_server.experiment import KEY, Experiment
from experiment_server.security import limiter

SECRET = "a secret of tests, of more than 32 characters"


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def require_postgresql():
    """`require_postgresql(error)`: skips where it is not installed; in CI that is a failure."""

    def decide(error: MissingError) -> None:
        if os.environ.get("CI") or os.environ.get("REQUIRE_POSTGRESQL"):
            raise error
        pytest.skip(str(error))

    return decide


@pytest.fixture(scope="session")
def postgresql(require_postgresql) -> Iterator[Cluster]:
    """A PostgreSQL of the tests' own, with a database `prepared` to be copied."""
    try:
        with running_cluster() as cluster:
            prepare(cluster)
            yield cluster
    except MissingError as error:
        require_postgresql(error)


@pytest.fixture(scope="module")
def durable_postgresql(require_postgresql) -> Iterator[Cluster]:
    """One for a module alone, which may stop it; what it says is on the disk is there."""
    try:
        with running_cluster(durable=True) as cluster:
            prepare(cluster)
            yield cluster
    except MissingError as error:
        require_postgresql(error)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request) -> str:
    """Every test of the database runs on both.

    For one only: `@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)`.
    """
    return request.param


_numbers = itertools.count()


@pytest.fixture
def database_url(backend, request, tmp_path) -> Iterator[str]:
    """A new database. Connections that are left open are closed when the test ends."""
    opened = []

    def note(connection, record) -> None:
        opened.append(connection)

    event.listen(Pool, "connect", note)
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'study.sqlite'}"
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        name = f"study{next(_numbers)}"
        yield cluster.create(name, template="prepared")
    event.remove(Pool, "connect", note)
    for connection in opened:
        connection.close()
    if backend == "postgresql":
        cluster.drop(name)


@pytest.fixture(autouse=True)
def no_rate_limits(monkeypatch) -> None:
    """Tests are in a hurry; one of the limits turns them on before it makes its application."""
    monkeypatch.setattr(limiter, "enabled", False)


@pytest.fixture
def make_app(bundle_folder, database_url, clock, tmp_path):
    """`make_app(live=True, settings={"task": {...}}, ...)`: an application with other settings."""

    def make(settings: dict | None = None, **changes) -> Flask:
        plain = {
            "study": bundle_folder,
            "data": tmp_path / "instance",
            "database_url": database_url,
            "secret_key": SecretStr(SECRET),
            "settings": Settings.model_validate(settings or {}),
        }
        return create_app(Config(**{**plain, **changes}), now=clock)

    return make


@pytest.fixture
def app(make_app) -> Flask:
    return make_app()


@pytest.fixture
def running(app) -> Experiment:
    """The instance behind `app`: its database, bundle and settings."""
    found: Experiment = app.extensions[KEY]
    return found


@pytest.fixture
def person(app, clock):
    """`person()`: somebody new, with a browser of their own."""

    def make(pid: str | None = None, app_: Flask | None = None) -> Person:
        return Person((app_ or app).test_client(), clock, pid)

    return make


@pytest.fixture
def limits(monkeypatch) -> None:
    """Limits as on a server; each test begins with none counted and no database given up."""
    monkeypatch.setattr(limiter, "enabled", True)
    monkeypatch.setattr(limiter, "_storage_dead", False)


@pytest.fixture
def at_task(person):
    """`at_task()`: somebody who has just passed the quiz."""

    def make(**options):
        someone = person(**options)
        assert someone.pass_quiz(RIGHT).status_code == 200
        return someone

    return make
