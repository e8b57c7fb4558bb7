"""The server as it is deployed, in a process of its own: gunicorn, or waitress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from flask import Flask
from postgresql import free_port
from sqlalchemy import select

from experiment_server import create_app, schema
from experiment_server.bots import Acknowledged
from experiment_server.database import Database
from experiment_server.experiment import utc_now
from experiment_server.models import Identity, Participant, Response
from experiment_server.security import limiter

HERE = Path(__file__).parent
START_S = 60
GUNICORN = ("-m", "gunicorn", "--keep-alive=75", "--no-control-socket")
WAITRESS = ("-m", "waitress", "--threads=8", "--call")


def create_hurried_app() -> Flask:
    """The application without limits on how fast one browser may be: bots are in a hurry."""
    limiter.enabled = False
    return create_app()


def create_unsteady_app() -> Flask:
    """The same, by a clock that is as many seconds ahead as the file CLOCK says."""
    limiter.enabled = False
    clock = Path(os.environ["CLOCK"])
    return create_app(now=lambda: utc_now() + timedelta(seconds=float(clock.read_text())))


def create_released_app() -> Flask:
    """The same of a release of the program whose migrations lie in the folder RELEASE."""
    schema.MIGRATIONS = Path(os.environ["RELEASE"])
    return create_hurried_app()


class Server:
    """A server at 127.0.0.1, that can be killed and started again at the same port."""

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Path,
        *,
        waitress: bool = False,
        workers: int = 1,
        threads: int = 8,
        factory: str = "create_hurried_app",
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {**os.environ, **environment, "PROXIES": "1", "PYTHONPATH": path}
        where = f"127.0.0.1:{self.port}"
        self.command = [
            sys.executable,
            *GUNICORN,
            f"--workers={workers}",
            f"--threads={threads}",
            f"--bind={where}",
            f"servers:{factory}()",
        ]
        if waitress:
            self.command = [sys.executable, *WAITRESS, f"--listen={where}"]
            self.command.append(f"servers:{factory}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it is well."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=self.log.parent,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + START_S
        while self.process.poll() is None and time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/health", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")

    def kill(self) -> None:
        """SIGKILL to all its processes, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Lets it end what it is at."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, how)
            self.process.wait(START_S)
            self.process = None


@contextmanager
def serving(study: Path, database_url: str, folder: Path, **options: Any) -> Iterator[Server]:
    """A started server over a bundle and a database; `folder` for its log and data."""
    environment = {
        "STUDY": str(study),
        "DATABASE_URL": database_url,
        "DATA": str(folder / "instance"),
        "SECRET_KEY": "a secret of tests, of more than 32 characters",
        "SETTINGS": str(options.pop("settings", "")),
        **options.pop("environment", {}),
    }
    server = Server(environment, folder / "server.log", **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def stored_responses(database_url: str) -> Counter[Acknowledged]:
    """Responses in a database, as bots name them -> how often they are there."""
    query = select(
        Identity.prolific_pid, Response.trial_index, Response.trial_id, Response.response_side
    ).join(Identity, Identity.participant_id == Response.participant_id)
    return Counter(Acknowledged(*row) for row in rows(database_url, query))


def stored_outcomes(database_url: str) -> Counter[str]:
    """Outcome -> participants in a database."""
    return Counter(row.outcome for row in rows(database_url, select(Participant.outcome)))


def rows(database_url: str, query: Any) -> list[Any]:
    """What a query finds."""
    database = Database(database_url)
    try:
        with database.read() as session:
            return list(session.execute(query).all())
    finally:
        database.engine.dispose()
