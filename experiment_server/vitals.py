"""How the server is: what runs, where the data are, and how much room is left."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import version
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from sqlalchemy.orm import Session

from experiment_server.experiment import Experiment

_PACKAGES = ("maco-psychophysics", "flask", "sqlalchemy")


def vitals(session: Session, experiment: Experiment) -> dict[str, str]:
    """What was looked at -> how it is; no password is in it."""
    connection = session.connection()
    schema = MigrationContext.configure(connection).get_current_revision()
    engine = "SQLite" if experiment.database.is_sqlite else "PostgreSQL"
    number = ".".join(str(part) for part in connection.dialect.server_version_info or ())
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return {
        "Study": f"{experiment.bundle.study.name}, digest {experiment.bundle.digest[:12]}",
        "Bundle": str(experiment.bundle.folder),
        "Database": experiment.database.place,
        "Size of the database": _size(session, experiment),
        "Schema": str(schema),
        "Free disk": f"{_free_gib(experiment.config.data):.1f} GiB",
        "Mode": "live" if experiment.config.live else "local: cookies go over http too",
        "Software": f"{packages}, Python {platform.python_version()}, {engine} {number}",
    }


def _size(session: Session, experiment: Experiment) -> str:
    sql = (
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if experiment.database.is_sqlite
        else "SELECT pg_database_size(current_database())"
    )
    size_bytes = session.connection().exec_driver_sql(sql).scalar_one()
    return f"{size_bytes / 1e6:.1f} MB"


def _free_gib(folder: Path) -> float:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 2**30
