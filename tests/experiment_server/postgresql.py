"""A private PostgreSQL for the tests: a cluster in a temporary folder, gone when they end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from experiment_server.database import Database

START_S = 30
IN_MEMORY = Path("/dev/shm")
INITDB = ("-A", "trust", "-U", "study", "-E", "UTF8", "--locale=C", "--no-sync")
UNSAFE_AND_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class MissingError(RuntimeError):
    """There is no PostgreSQL on this machine: says what to install."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """A PostgreSQL at 127.0.0.1, without passwords, that can be stopped and started again."""

    def __init__(
        self, command: list[Any], port: int, folder: Path, account: dict[str, Any]
    ) -> None:
        self.command = command
        self.port = port
        self.folder = folder
        self.account = account
        self.server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it lets somebody in."""
        with (self.folder / "log").open("ab") as log:
            self.server = subprocess.Popen(
                self.command, stdout=log, stderr=log, cwd=self.folder, **self.account
            )
        _wait_until_open(self.server, self.port, self.folder / "log")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends sessions, then stops; SIGQUIT cuts off at once, to be recovered later."""
        if self.server is not None:
            self.server.send_signal(how)
            self.server.wait(START_S)
            self.server = None

    def url(self, database: str) -> str:
        """What DATABASE_URL would be."""
        return f"postgresql://study@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        """Runs one statement that belongs to no transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def create(self, database: str, template: str = "template1") -> str:
        """Makes a database like another one; its URL."""
        self.execute(f"CREATE DATABASE {database} TEMPLATE {template}")
        return self.url(database)

    def drop(self, database: str) -> None:
        """Removes a database, whoever is still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


@contextmanager
def running_cluster(*, durable: bool = False, where: Path | None = None) -> Iterator[Cluster]:
    """A new cluster, stopped and removed at the end. durable: writes reach the disk, as in earnest.

    where: in which folder. Raises MissingError where PostgreSQL is not installed.
    """
    programs = _programs()
    quick = not durable and os.access(IN_MEMORY, os.W_OK)
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=where or (IN_MEMORY if quick else None)))
    account = _account(folder)
    port = free_port()
    try:
        _call([programs / "initdb", "-D", folder / "data", *INITDB], account, folder)
        settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        settings += ["max_connections=300", *(() if durable else UNSAFE_AND_FAST)]
        options = [part for setting in settings for part in ("-c", setting)]
        command = [programs / "postgres", "-D", folder / "data", *options]
        cluster = Cluster(command, port, folder, account)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare(cluster: Cluster) -> None:
    """Makes the database `prepared`, whose tables are those of a new study, to be copied."""
    database = Database(cluster.create("prepared"))
    database.prepare()
    database.engine.dispose()


def _programs() -> Path:
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found.sort(key=lambda path: int(path.parts[-3].split(".")[0]))
    on_path = shutil.which("initdb")
    if not found and on_path:
        found = [Path(on_path).resolve()]
    if not found:
        raise MissingError(
            "PostgreSQL is not installed, so nothing was tested on it: install the package "
            "`postgresql` of this system (its server need not run), or put initdb on PATH"
        )
    return found[-1].parent


def _account(folder: Path) -> dict[str, Any]:
    """Whose process the server is: PostgreSQL refuses to be root's."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(LookupError):
            shutil.chown(folder, name)
            return {"user": name, "extra_groups": []}
    raise MissingError("PostgreSQL cannot run as root, and there is no user postgres or nobody")


def _call(command: list[Any], account: dict[str, Any], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **account)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr}")


def _wait_until_open(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    url = f"postgresql://study@127.0.0.1:{port}/postgres"
    while server.poll() is None and time.monotonic() < end:
        with suppress(psycopg.OperationalError), psycopg.connect(url):
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")
