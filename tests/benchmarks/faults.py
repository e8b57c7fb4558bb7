"""What becomes of a study in which something goes wrong: a table, one fault a row.

    python tests/benchmarks/faults.py --people 80

Each row is a run of its own: bots take part, the fault strikes once they have answered some trials,
and afterwards every acknowledged response is looked for in the database.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment_server"))

from bundles import make_bundle
from faults import FAULTS, Aftermath, NotRunError, undergo

from experiment_server.bots import Habits

HEAD = (
    "fault",
    "database",
    "what was done",
    "asked to wait",
    "cut off",
    "errors",
    "acknowledged",
    "stored",
    "lost",
    "doubled",
    "finished",
    "late",
    "longest wait s",
)


def row(after: Aftermath, people: int) -> list[str]:
    """The figures of one run."""
    traffic = after.report.traffic
    figures = (
        traffic.busy.total(),
        traffic.broken_connections,
        len(after.report.errors),
        after.acknowledged,
        after.stored,
        after.lost,
        after.doubled,
        f"{after.outcomes['completed']} of {people}",
        after.late,
        f"{traffic.longest_wait_s:.1f}",
    )
    return [str(figure) for figure in figures]


def is_whole(after: Aftermath, people: int) -> bool:
    """Whether nothing was lost or doubled, nobody met an error, and all finished."""
    flaws = (after.lost, after.doubled, len(after.report.errors), after.late)
    return not any(flaws) and after.outcomes == {"completed": people}


def line(cells: list[str] | tuple[str, ...]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


@click.command(help=__doc__)
@click.option("--people", default=80, show_default=True)
@click.option("--pace", default=10.0, show_default=True, help="Times faster than people.")
@click.option("--workers", default=4, show_default=True, help="With PostgreSQL.")
@click.option(
    "--only", "chosen", multiple=True, type=click.Choice(list(FAULTS)), help="Again for each."
)
def main(people: int, pace: float, workers: int, chosen: tuple[str, ...]) -> None:
    """The command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended too
    habits = Habits(pace=pace, refresh=0.02, two_tabs=0.02)
    well = True
    print(line(HEAD))
    print(line(["---"] * 3 + ["--:"] * (len(HEAD) - 3)))
    for name in chosen or FAULTS:
        fault = FAULTS[name]
        for backend in fault.databases:
            with tempfile.TemporaryDirectory() as folder:
                study = make_bundle(Path(folder) / "study", main=16, practice=4, catch=2)
                try:
                    after = undergo(
                        fault,
                        backend,
                        study,
                        Path(folder),
                        people=people,
                        habits=habits,
                        arrival_s=60 / pace,
                        workers=workers,
                    )
                except NotRunError as error:
                    well = False
                    print(line([name, backend, f"**NOT RUN**: {error}"]), flush=True)
                    continue
            well = well and is_whole(after, people)
            print(line([name, backend, fault.done, *row(after, people)]), flush=True)
            for error in after.report.errors[:5]:
                print(f"  {error}", file=sys.stderr)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
