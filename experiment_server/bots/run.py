"""Sends bots through a running study; the command `bots`."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import httpx

from experiment_server.bots.browser import Browser
from experiment_server.bots.clock import Clock, HurriedClock, SharedClock
from experiment_server.bots.connections import Connections
from experiment_server.bots.habits import LIKE_PEOPLE, PLAIN, Habits
from experiment_server.bots.options import chosen, habit_options, inform
from experiment_server.bots.participant import Bot
from experiment_server.bots.report import Report, lines, new_report
from stimuli.schema import Study, read_study

KNOCK_S = 10.0


def run_bots(
    url: str,
    participants: int,
    *,
    arrival_s: float = 0.0,
    habits: Habits = PLAIN,
    seed: str | None = None,
    study: Study | None = None,
    report: Report | None = None,
    left: Callable[[], object] = lambda: None,
    clock: SharedClock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    connections: int | None = None,
) -> Report:
    """Sends bots through the study at `url`, and tells what came of it.

    arrival_s: seconds over which they arrive, evenly; 0 is a burst. seed: the same people with the
    same habits again. report: one to fill, to be watched meanwhile. left: called for each that is
    through. clock: the server's, if it is shared; then `arrival_s` are seconds of it.
    transport: what carries their requests, if not connections of their own. connections: how many
    all share, as browsers behind a proxy do; with them, thousands of bots can be sent.
    """
    report = report or new_report(participants, seed)
    started = time.perf_counter()
    sending = _send_all(url, report, arrival_s, habits, study, left, clock, transport, connections)
    asyncio.run(sending)
    report.seconds = time.perf_counter() - started
    return report


async def _send_all(
    url: str,
    report: Report,
    arrival_s: float,
    habits: Habits,
    study: Study | None,
    left: Callable[[], object],
    shared: SharedClock | None,
    transport: httpx.AsyncBaseTransport | None,
    connections: int | None,
) -> None:
    tls = ssl.create_default_context()
    shared_ones = Connections(url, connections, tls) if connections else None
    seen: set[str] = set()  # by all of a rehearsal, where it is enough to load each image once

    async def send(number: int) -> None:
        clock = await _arrive(arrival_s * number / report.participants, habits.pace, shared)
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        browser = Browser(
            url,
            report.traffic,
            tls,
            address,
            transport,
            shared_ones,
            loads_parts=habits.images and shared is None,
        )
        try:
            own = seen if shared else set()
            await Bot(number, browser, habits, report, study, clock, own).take_part()
        finally:
            await browser.close()
            left()
            if shared:
                shared.leave()

    await asyncio.gather(*(send(number) for number in range(report.participants)))
    if shared_ones:
        shared_ones.close()


async def _arrive(delay_s: float, pace: float, shared: SharedClock | None) -> Clock:
    """Waits for a bot's time to arrive; its clock."""
    if shared is None:
        await asyncio.sleep(delay_s)
        return HurriedClock(pace)
    await shared.wait(delay_s)
    return shared


def _read_study(folder: Path | None) -> Study | None:
    try:
        return read_study(folder) if folder else None
    except ValueError as error:
        raise click.UsageError(f"--study {error}") from error


def _require_server(url: str) -> None:
    """Bots wait long for a busy server; one that is not there is told at once."""
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=KNOCK_S, trust_env=False)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise click.ClickException(
            f"no server answers at {url} ({error}): start one, or give its --url"
        ) from error


@click.command("bots")
@click.option("--url", default="http://127.0.0.1:5000", show_default=True)
@click.option("--participants", default=20, show_default=True, type=click.IntRange(1))
@click.option("--arrival", "arrival_s", default=0.0, help="Seconds over which they arrive.")
@click.option(
    "--pace",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Times faster than people.",
)
@click.option(
    "--study",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The bundle, so that they know the right answers.",
)
@click.option("--like-people", is_flag=True, help="The habits of a rehearsal, where not given.")
@habit_options(PLAIN)
@click.option("--seed", help="The same people again.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A JSON report.")
@click.pass_context
def bots_command(
    context: click.Context,
    /,
    url: str,
    participants: int,
    arrival_s: float,
    pace: float,
    folder: Path | None,
    like_people: bool,
    observer: str | None,
    observations: Path | None,
    seed: str | None,
    out: Path | None,
    **options: Any,
) -> None:
    """Sends machine participants through a running study."""
    from tqdm import tqdm

    habits = chosen(context, LIKE_PEOPLE if like_people else PLAIN, options)
    study = _read_study(folder)
    habits = replace(inform(habits, study, observer, observations), pace=pace)
    _require_server(url)
    with tqdm(total=participants, unit="bot") as bar:
        report = run_bots(
            url,
            participants,
            arrival_s=arrival_s,
            habits=habits,
            seed=seed,
            study=study,
            left=bar.update,
        )
    click.echo("\n".join(lines(report)))
    if out:
        out.write_text(json.dumps(report.as_json(), indent=1), encoding="utf-8")
    if report.errors:
        raise click.ClickException(f"{len(report.errors)} errors; the first: {report.errors[0]}")
