"""Reaction times: bias and spread of what the page records, without and with a slow processor.

    python tests/benchmarks/reaction_times.py

Key events are made in Chromium at known moments after the browser's own paint time. Figures are of
the software alone; screens and keyboards add theirs.
"""

from __future__ import annotations

import logging
import random
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev

import click
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment_server"))

from bundles import make_bundle
from reactions import react
from visitors import find_browser, new_visitor, running_server


def measure(trials: int, slowdown: float) -> list[float]:
    """Recorded minus true reaction time, ms, of each trial."""
    chance = random.Random(7)
    delays_ms = [chance.uniform(150, 700) for _ in range(trials)]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        study = make_bundle(place / "study", main=trials, practice=0, catch=0)
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        with running_server(study, place, f"sqlite:///{place / 'study.sqlite'}", {}) as server:
            visitor = new_visitor(browser, server)
            tools = visitor.context.new_cdp_session(visitor.page)
            tools.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
            errors_ms = react(visitor, delays_ms)
            browser.close()
    return errors_ms


@click.command()
@click.option("--trials", default=60, show_default=True)
def main(trials: int) -> None:
    if find_browser() is None:
        sys.exit("this benchmark needs Chromium")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    click.echo("slowdown  trials   bias ms  s.d. ms    min ms    max ms")
    for slowdown in (1, 4):
        errors_ms = measure(trials, slowdown)
        click.echo(
            f"{slowdown:7}x  {trials:6}  {mean(errors_ms):8.2f} {stdev(errors_ms):8.2f}"
            f"  {min(errors_ms):8.2f}  {max(errors_ms):8.2f}"
        )


if __name__ == "__main__":
    main()
