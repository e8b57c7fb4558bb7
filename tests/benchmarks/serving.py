"""How the server stands a crowd: bots that arrive in a burst, on each server and database.

    python tests/benchmarks/serving.py --participants 300

Bots and server share the machine. They wait for each other's processor, so the times are upper
bounds; the line `processor` tells how much each needed.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment_server"))

from bundles import make_bundle
from postgresql import prepare, running_cluster
from servers import Server, serving, stored_responses

from experiment_server.bots import Habits, Report, run_bots
from experiment_server.bots.report import lines

PRACTICE, CATCH = 6, 3
GOAL_P99_MS = 250


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """The URL of a new database that writes to the disk, as in earnest."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'study.sqlite'}"
    else:
        with running_cluster(durable=True) as cluster:
            prepare(cluster)
            yield cluster.url("prepared")


def processor_s(server: Server) -> float:
    """Processor time that a server's processes have used so far, seconds."""
    used = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if server.process is not None and int(fields[2]) == server.process.pid:  # its group
            used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")


def verdict(report: Report, stored: int) -> str:
    """One line: errors, the 99th percentile, and whether the goal is met."""
    p99 = report.traffic.summary()["all"]["p99"]
    refused = report.traffic.busy.total() + report.traffic.broken_connections
    met = not report.errors and not refused and p99 < GOAL_P99_MS
    met = met and stored == len(set(report.acknowledged))
    return (
        f"  {len(report.errors)} errors, {refused} asked to wait or cut off,"
        f" {report.requests / report.seconds:.0f} requests/s, p99 {p99:.0f} ms,"
        f" {stored} responses stored: goal (p99 < {GOAL_P99_MS} ms) {'met' if met else 'MISSED'}"
    )


def measure(
    kind: str, backend: str, main: int, participants: int, arrival_s: float, habits: Habits
) -> None:
    """Runs one crowd, and prints what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = make_bundle(folder / "study", main=main, practice=PRACTICE, catch=CATCH)
        with (
            database(backend, folder) as url,
            serving(study, url, folder, waitress=kind == "waitress") as server,
        ):
            before, ours = processor_s(server), time.process_time()
            report = run_bots(
                server.url, participants, arrival_s=arrival_s, habits=habits, seed="benchmark"
            )
            theirs, ours = processor_s(server) - before, time.process_time() - ours
            stored = len(stored_responses(url))
        print(f"\n{kind}, {backend}: {participants} participants over {arrival_s:g} s")
        print("\n".join(lines(report)))
        print(f"  processor: server {theirs:.1f} s, bots {ours:.1f} s of {report.seconds:.1f} s")
        print(verdict(report, stored), flush=True)
        for error in report.errors[:5]:
            print(f"  {error}")


@click.command(help=__doc__)
@click.option("--participants", default=300, show_default=True)
@click.option("--arrival", "arrival_s", default=0.0, show_default=True, help="Seconds; 0: a burst.")
@click.option("--pace", default=4.0, show_default=True, help="Times faster than people.")
@click.option("--main", default=24, show_default=True, help="Main trials.")
@click.option("--images/--no-images", default=True, show_default=True)
@click.option(
    "--on",
    "chosen",
    multiple=True,
    default=("gunicorn,sqlite", "gunicorn,postgresql", "waitress,sqlite"),
    show_default=True,
)
def main(
    participants: int,
    arrival_s: float,
    pace: float,
    main: int,
    images: bool,
    chosen: tuple[str, ...],
) -> None:
    """The command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended too
    habits = Habits(
        pace=pace,
        images=images,
        drop_out=0.05,
        # nobody withdraws: withdrawn responses are deleted, and could not be counted below
        come_back_late=0.05,
        refresh=0.02,
        two_tabs=0.02,
    )
    for one in chosen:
        kind, backend = one.split(",")
        measure(kind, backend, main, participants, arrival_s, habits)


if __name__ == "__main__":
    main()
