"""Whether new participants are let in. Those who have begun can always go on."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from experiment_server.assignment import lock
from experiment_server.audit import record
from experiment_server.experiment import Experiment, experiment


def set_recruiting(experiment: Experiment, recruiting: bool, actor: str) -> bool:
    """Pauses or resumes; False if it was so already."""
    with experiment.database.write() as session:
        state = lock(session)
        if state.recruiting == recruiting:
            return False
        state.recruiting = recruiting
        record(session, actor, "resume" if recruiting else "pause", {}, experiment.now())
    return True


@click.command("pause")
@with_appcontext
def pause_command() -> None:
    """Lets no new participants in; those who have begun go on."""
    changed = set_recruiting(experiment(), False, "command line")
    click.echo("recruitment is paused" if changed else "recruitment was paused already")


@click.command("resume")
@with_appcontext
def resume_command() -> None:
    """Lets new participants in again."""
    changed = set_recruiting(experiment(), True, "command line")
    click.echo("recruitment goes on" if changed else "recruitment was going on already")
