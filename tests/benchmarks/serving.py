"""How the server stands a crowd: bots that arrive over some minutes, or all at once.

    python tests/benchmarks/serving.py --participants 3000 --minutes 10 --pace 2
    python tests/benchmarks/serving.py --participants 500 --minutes 0 --pace 2

Bots do what people's browsers do, over connections that they share as behind a proxy, `--pace`
times faster: ten minutes of people pass in ten minutes over the pace. Bots, server and database
share the machine and wait for each other's processor, so the times are upper bounds.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment_server"))

from bundles import make_bundle
from postgresql import prepare, running_cluster
from servers import Server, rows, serving, stored_responses

from experiment_server.bots import Habits, Report, run_bots
from experiment_server.bots.browser import summarize
from experiment_server.models import Participant

PRACTICE, CATCH = 6, 3
IMAGE_PX = 150  # of noise: 66 KB, as the images of a study
GOAL_P99_MS = 300
KINDS = {
    "GET /images/": "images",
    "GET /static/": "styles and scripts",
    "GET /task/state": "trials of a block",
    "POST /task/responses": "responses",
    "POST /task/preload": "reports on loading",
    "GET /": "arrivals",
    "POST /consent": "consents",
    "POST /study/quiz": "dealing (quiz handed in)",
}


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """The URL of a new database that writes to the disk, as in earnest."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'study.sqlite'}"
    else:
        with running_cluster(durable=True) as cluster:
            prepare(cluster)
            yield cluster.url("prepared")


def processor_s(chosen: str) -> float:
    """Processor time that all processes with a word in their command line have used, seconds."""
    used = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if chosen in (folder / "cmdline").read_bytes().decode(errors="replace"):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                used += sum(map(int, fields[11:13]))
        except OSError:
            continue
    return used / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Balance:
    """The largest differences between conditions, and between a condition's lists.

    held: of places, by who completed and who is at it; least filled first means at most 1 where
    nobody leaves. completed: of those who completed; who left makes the difference.
    """

    held: tuple[int, int]
    completed: tuple[int, int]
    left: int

    @classmethod
    def of(cls, url: str) -> Balance:
        """What a database says."""
        query = select(Participant.condition, Participant.list_index, Participant.outcome).where(
            Participant.condition.is_not(None)
        )
        people = [(str(one.condition), one.list_index, one.outcome) for one in rows(url, query)]
        done = [one for one in people if one[2] == "completed"]
        held = [one for one in people if one[2] in {"completed", "in_progress"}]
        return cls(_differences(held), _differences(done), len(people) - len(done))


def _differences(people: Iterable[tuple[str, int, str]]) -> tuple[int, int]:
    """Largest difference between conditions, and between lists of one condition."""
    lists = Counter((condition, index) for condition, index, _ in people)
    conditions: Counter[str] = Counter()
    for (condition, _), count in lists.items():
        conditions[condition] += count
    within = [
        [count for (name, _), count in lists.items() if name == condition]
        for condition in conditions
    ]
    spread = max((max(one) - min(one) for one in within), default=0)
    return max(conditions.values()) - min(conditions.values()), spread


def latencies(report: Report) -> dict[str, list[float]]:
    """Kind of request -> its times in ms; `all` is over all."""
    kinds: dict[str, list[float]] = {}
    for address, times in report.traffic.times_ms.items():
        kinds.setdefault(KINDS.get(address, "other pages"), []).extend(times)
    return {**kinds, "all": [one for times in kinds.values() for one in times]}


def table(report: Report) -> str:
    """Times by kind of request, in Markdown."""
    lines = [
        "| requests | count | median ms | p95 ms | p99 ms | max ms |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kind, times in latencies(report).items():
        one = summarize(times)
        figures = (f"{one[name]:.0f}" for name in ("median", "p95", "p99", "max"))
        lines.append(f"| {kind} | {one['count']:.0f} | {' | '.join(figures)} |")
    return "\n".join(lines)


def facts(report: Report, url: str, seconds: dict[str, float]) -> str:
    """Errors, balance, what was acknowledged and stored, in Markdown."""
    stored, acknowledged = stored_responses(url), set(report.acknowledged)
    balance, traffic = Balance.of(url), report.traffic
    finished = sum(report.outcomes["completed"].values())
    used = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    figures = {
        "participants, completed": f"{report.participants}, {finished}",
        "requests/s": f"{report.requests / report.seconds:.0f} over {report.seconds:.0f} s",
        "errors, asked to wait, cut off": (
            f"{len(report.errors)}, {traffic.busy.total()}, {traffic.broken_connections}"
        ),
        "responses acknowledged, stored, lost, doubled": (
            f"{len(acknowledged)}, {len(stored)}, {len(acknowledged - set(stored))}, "
            f"{stored.total() - len(stored)}"
        ),
        "places held, largest difference": (
            f"{balance.held[0]} between conditions, {balance.held[1]} between lists (design: 1, 1)"
        ),
        "completed, largest difference": (
            f"{balance.completed[0]} between conditions, {balance.completed[1]} between lists"
            f" ({balance.left} who were dealt a place left or did not finish)"
        ),
        "processor seconds": used,
    }
    return "\n".join(
        ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in figures.items())]
    )


def is_met(report: Report, url: str) -> bool:
    """Whether the goal is: p99, no error, nobody asked to wait, all stored once, even places."""
    stored, balance = stored_responses(url), Balance.of(url)
    return (
        summarize(latencies(report)["all"])["p99"] < GOAL_P99_MS
        and not report.errors
        and not report.traffic.busy
        and not report.traffic.broken_connections
        and stored.total() == len(stored)
        and set(report.acknowledged) <= set(stored)
        and max(balance.held) <= 1
    )


@dataclass(frozen=True)
class Crowd:
    """Who comes: how many, over how many minutes of people, to how long a study."""

    participants: int
    minutes: float
    habits: Habits
    main: int
    connections: int


def measure(kind: str, backend: str, crowd: Crowd, *, workers: int, threads: int) -> bool:
    """Runs one crowd, prints what came of it; whether the goal was met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = make_bundle(
            folder / "study", main=crowd.main, practice=PRACTICE, catch=CATCH, noise_px=IMAGE_PX
        )
        server_options = {"waitress": kind == "waitress", "workers": workers, "threads": threads}
        with (
            database(backend, folder) as url,
            serving(study, url, folder, **server_options) as server,
        ):
            report, used = _send(server, crowd)
            met = is_met(report, url)
            print(
                f"\n### {kind}, {workers} workers of {threads} threads, {backend}:"
                f" {crowd.participants} participants over {crowd.minutes:g} minutes, pace"
                f" {crowd.habits.pace:g}\n\n{table(report)}\n\n{facts(report, url, used)}\n\n"
                f"p99 < {GOAL_P99_MS} ms, no error, all stored once, even places: "
                f"{'met' if met else 'MISSED'}",
                flush=True,
            )
        for error in report.errors[:5]:
            print(f"  {error}")
    return met


def _send(server: Server, crowd: Crowd) -> tuple[Report, dict[str, float]]:
    def used() -> dict[str, float]:
        return {
            "server": processor_s(f"127.0.0.1:{server.port}"),
            "database": processor_s("postgres"),
            "bots": time.process_time(),
        }

    before = used()
    report = run_bots(
        server.url,
        crowd.participants,
        arrival_s=60 * crowd.minutes / crowd.habits.pace,
        habits=crowd.habits,
        seed="benchmark",
        connections=crowd.connections,
    )
    return report, {name: value - before[name] for name, value in used().items()}


@click.command(help=__doc__)
@click.option("--participants", default=3000, show_default=True)
@click.option("--minutes", default=10.0, show_default=True, help="Of arrivals; 0: all at once.")
@click.option("--pace", default=2.0, show_default=True, help="Times faster than people.")
@click.option("--main", default=24, show_default=True, help="Main trials.")
@click.option("--images/--no-images", default=True, show_default=True)
@click.option("--workers", default=4, show_default=True)
@click.option("--threads", default=4, show_default=True, help="Of each worker.")
@click.option("--connections", default=64, show_default=True, help="Kept open by all bots.")
@click.option("--leave", default=0.0, show_default=True, help="Share who close the window.")
@click.option("--on", "chosen", multiple=True, default=("gunicorn,postgresql",), show_default=True)
def main(
    participants: int,
    minutes: float,
    pace: float,
    main: int,
    images: bool,
    workers: int,
    threads: int,
    connections: int,
    leave: float,
    chosen: tuple[str, ...],
) -> None:
    """The command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended too
    habits = Habits(
        pace=pace,
        images=images,
        drop_out=leave,
        # nobody withdraws: withdrawn responses are deleted, and could not be counted above
        come_back_late=0.05,
        refresh=0.02,
        two_tabs=0.02,
    )
    crowd = Crowd(participants, minutes, habits, main, connections)
    met = [
        measure(*one.split(","), crowd, workers=workers, threads=threads)  # type: ignore[arg-type]
        for one in chosen
    ]
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
