"""Faults in the midst of a study, and what came of it for those who took part."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from postgresql import Cluster, prepare, running_cluster
from proxies import repeating
from servers import Server, rows, serving, stored_responses
from sqlalchemy import select
from underway import crowd

from experiment_server.bots import Habits, Report
from experiment_server.models import Participant

DISK_MB = 200
AWAY_S = 2.0
HOUR_S = 3600
RECOVERY_S = 30


class NotRunError(RuntimeError):
    """A fault that cannot be brought about on this machine: says why."""


@dataclass
class Scene:
    """What a fault can strike. cluster: None with SQLite."""

    server: Server
    cluster: Cluster | None
    disk: Path
    clock: Path
    report: Report

    def wait_for_refusals(self) -> None:
        """Until the fault is felt: somebody was asked to wait."""
        before, end = self.report.traffic.busy.total(), time.monotonic() + RECOVERY_S
        while self.report.traffic.busy.total() == before and time.monotonic() < end:
            time.sleep(0.01)


@dataclass(frozen=True)
class Fault:
    """strike: brings it about, and ends it. done: what is done, in words."""

    done: str
    strike: Callable[[Scene], None]
    databases: tuple[str, ...] = ("postgresql", "sqlite")
    fills_disk: bool = False
    repeats: bool = False


def kill_workers(scene: Scene) -> None:
    """SIGKILL to one worker of gunicorn, three times; gunicorn starts others."""
    for _ in range(3):
        master = str(scene.server.process.pid) if scene.server.process else ""
        workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        os.kill(int(workers[0]), signal.SIGKILL)
        time.sleep(AWAY_S / 2)


def restart_database(scene: Scene) -> None:
    """PostgreSQL is stopped and started, as for an update."""
    _stop_and_start(scene, signal.SIGINT)


def kill_database(scene: Scene) -> None:
    """PostgreSQL is killed, and recovers from its journal."""
    _stop_and_start(scene, signal.SIGKILL)


def _stop_and_start(scene: Scene, how: signal.Signals) -> None:
    if scene.cluster is None:
        raise NotRunError("SQLite has no server")
    scene.cluster.stop(how)
    time.sleep(AWAY_S)
    _start(scene.cluster)


def _start(cluster: Cluster) -> None:
    """Tries until it starts: what a killed one leaves behind takes a moment to go."""
    end = time.monotonic() + RECOVERY_S
    while True:
        try:
            return cluster.start()
        except RuntimeError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def fill_disk(scene: Scene) -> None:
    """The disk of the database is filled to the last byte, and freed after a while."""
    ballast = scene.disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        with suppress(OSError):  # most of it at once, before people are through
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(scene.disk).free - 2**20)
        file.seek(0, os.SEEK_END)
        for size in (2**20, 2**12, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    if scene.cluster is not None:
        _begin_journal_files(scene.cluster)
    scene.wait_for_refusals()
    time.sleep(AWAY_S)
    ballast.unlink()
    server = scene.cluster.server if scene.cluster else None
    if scene.cluster and server and server.poll() is not None:
        _start(scene.cluster)  # it gave up; whoever watches over it starts it again


def _begin_journal_files(cluster: Cluster) -> None:
    """Until there is no room for another one."""
    with suppress(Exception):
        for _ in range(2 * DISK_MB // 16):
            cluster.execute("CREATE TABLE filler (n int)")
            cluster.execute("DROP TABLE filler")
            cluster.execute("SELECT pg_switch_wal()")


def put_clock_forward(scene: Scene) -> None:
    """The server's clock jumps an hour ahead, and stays there."""
    _put_clock(scene, HOUR_S)


def put_clock_back(scene: Scene) -> None:
    """The server's clock jumps back an hour, and stays there."""
    _put_clock(scene, -HOUR_S)


def _put_clock(scene: Scene, offset_s: int) -> None:
    new = scene.clock.with_suffix(".new")
    new.write_text(str(offset_s))
    new.replace(scene.clock)


FAULTS = {
    "worker killed": Fault("one worker, SIGKILL, three times", kill_workers),
    "database restarted": Fault(
        f"stopped, started after {AWAY_S:g} s", restart_database, ("postgresql",)
    ),
    "database killed": Fault(
        f"SIGKILL, started after {AWAY_S:g} s", kill_database, ("postgresql",)
    ),
    "disk full": Fault(
        f"to the last byte, freed after {AWAY_S:g} s of refusals", fill_disk, fills_disk=True
    ),
    "POSTs repeated": Fault(
        "each sent twice: at once, after it, or later", lambda scene: None, repeats=True
    ),
    "clock put forward": Fault("the server's, by an hour", put_clock_forward),
    "clock put back": Fault("the server's, by an hour", put_clock_back),
}


@dataclass(frozen=True)
class Aftermath:
    """What people met, and what is in the database.

    outcomes: outcome -> participants. late: who finished without a place. uneven: the largest
    difference between conditions, of who completed.
    """

    report: Report
    acknowledged: int
    stored: int
    lost: int
    doubled: int
    outcomes: Counter[str]
    late: int
    uneven: int

    @classmethod
    def of(cls, report: Report, url: str) -> Aftermath:
        """Compares what was acknowledged with a database."""
        stored, acknowledged = stored_responses(url), set(report.acknowledged)
        trials = Counter((one.prolific_pid, one.trial_index) for one in stored.elements())
        people = rows(url, select(Participant.condition, Participant.outcome, Participant.late))
        completed = Counter(one.condition for one in people if one.outcome == "completed")
        return cls(
            report,
            len(acknowledged),
            stored.total(),
            len(acknowledged - set(stored)),
            trials.total() - len(trials),
            Counter(one.outcome for one in people),
            sum(one.late for one in people),
            max(completed.values()) - min(completed.values()),
        )


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own, of DISK_MB; NotRunError where none can be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="disk"))
    options = f"size={DISK_MB}m,mode=755"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True
    )
    if done.returncode:
        folder.rmdir()
        raise NotRunError(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


def undergo(
    fault: Fault,
    backend: str,
    study: Path,
    folder: Path,
    *,
    people: int,
    habits: Habits,
    arrival_s: float = 0.0,
    workers: int = 2,
) -> Aftermath:
    """A study, struck by a fault once every second person has answered a trial or more."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk()) if fault.fills_disk else folder
        cluster, url = None, f"sqlite:///{disk / 'study.sqlite'}"
        if backend == "postgresql":
            cluster = stack.enter_context(
                running_cluster(durable=True, where=disk if fault.fills_disk else None)
            )
            prepare(cluster)
            url = cluster.url("prepared")
        clock = folder / "clock"
        clock.write_text("0")
        server = stack.enter_context(
            serving(
                study,
                url,
                folder,
                factory="create_unsteady_app",
                workers=1 if backend == "sqlite" else workers,
                environment={"CLOCK": str(clock)},
            )
        )
        way = repeating(server.url) if fault.repeats else nullcontext(server.url)
        address = stack.enter_context(way)
        begun = crowd(address, people, habits, seed="faults", arrival_s=arrival_s, connections=64)
        with begun as bots:
            bots.wait_for_responses(2 * people)
            fault.strike(Scene(server, cluster, disk, clock, bots.report))
        return Aftermath.of(bots.report, url)
