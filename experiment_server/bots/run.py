"""Sends bots through a running study; the command `bots`."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import httpx

from experiment_server.bots.browser import Browser
from experiment_server.bots.participant import Bot, Habits
from experiment_server.bots.report import Report, lines, new_report
from stimuli.schema import Study, read_study

PEOPLE = Habits()
SHARE = click.FloatRange(0, 1)
KNOCK_S = 10.0


def run_bots(
    url: str,
    participants: int,
    *,
    arrival_s: float = 0.0,
    habits: Habits = PEOPLE,
    seed: str | None = None,
    study: Study | None = None,
    report: Report | None = None,
    left: Callable[[], object] = lambda: None,
) -> Report:
    """Sends bots through the study at `url`, and tells what came of it.

    arrival_s: seconds over which they arrive, evenly; 0 is a burst. seed: the same people with the
    same habits again. report: one to fill, to be watched meanwhile. left: called for each that is
    through.
    """
    report = report or new_report(participants, seed)
    started = time.perf_counter()
    asyncio.run(_send_all(url, report, arrival_s, habits, study, left))
    report.seconds = time.perf_counter() - started
    return report


async def _send_all(
    url: str,
    report: Report,
    arrival_s: float,
    habits: Habits,
    study: Study | None,
    left: Callable[[], object],
) -> None:
    tls = ssl.create_default_context()

    async def send(number: int) -> None:
        await asyncio.sleep(arrival_s * number / report.participants)
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        browser = Browser(url, report.traffic, tls, address)
        try:
            await Bot(number, browser, habits, report, study).take_part()
        finally:
            await browser.close()
            left()

    await asyncio.gather(*(send(number) for number in range(report.participants)))


def _accuracies(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> Any:
    try:
        pairs = [text.split("=") for text in given]
        shares = {condition: float(share) for condition, share in pairs}
    except ValueError:
        raise click.BadParameter("CONDITION=SHARE, such as maco=.8") from None
    return {name: SHARE.convert(share, option, context) for name, share in shares.items()}


def _read_study(folder: Path | None, accuracy: Mapping[str, float]) -> Study | None:
    """The study that the bots know; a UsageError if it cannot be what they are told."""
    if folder is None and accuracy:
        raise click.UsageError("--accuracy needs --study: without it bots know no right answers")
    if folder is None:
        return None
    try:
        study = read_study(folder)
    except ValueError as error:
        raise click.UsageError(f"--study {error}") from error
    for condition in accuracy:
        if condition not in study.conditions:
            known = ", ".join(study.conditions)
            raise click.UsageError(f"--accuracy {condition}: the study's conditions are {known}")
    return study


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
@click.option("--pace", default=10.0, show_default=True, help="Times faster than people.")
@click.option(
    "--accuracy", multiple=True, callback=_accuracies, help="CONDITION=SHARE; needs --study."
)
@click.option(
    "--spread", default=0.0, type=click.FloatRange(0), help="S.d. of bots' and classes' log-odds."
)
@click.option("--study", "folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--drop-out", default=0.0, type=SHARE, help="Share who close the window.")
@click.option("--withdraw", default=0.0, type=SHARE, help="Share who leave by the link.")
@click.option("--come-back-late", default=0.0, type=SHARE, help="Share who are away for a while.")
@click.option("--refresh", default=0.0, type=SHARE, help="Share of trials with a refresh.")
@click.option("--two-tabs", default=0.0, type=SHARE, help="Share of responses sent twice at once.")
@click.option("--images/--no-images", default=True, show_default=True)
@click.option("--seed", help="The same people again.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A JSON report.")
def bots_command(
    url: str,
    participants: int,
    arrival_s: float,
    folder: Path | None,
    seed: str | None,
    out: Path | None,
    **habits: Any,
) -> None:
    """Sends machine participants through a running study."""
    from tqdm import tqdm

    study = _read_study(folder, habits["accuracy"])
    _require_server(url)
    with tqdm(total=participants, unit="bot") as bar:
        report = run_bots(
            url,
            participants,
            arrival_s=arrival_s,
            habits=Habits(**habits),
            seed=seed,
            study=study,
            left=bar.update,
        )
    for line in lines(report):
        click.echo(line)
    if out:
        out.write_text(json.dumps(report.as_json(), indent=1), encoding="utf-8")
    if report.errors:
        raise click.ClickException(f"{len(report.errors)} errors; the first: {report.errors[0]}")
