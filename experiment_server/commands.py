"""flask --app experiment_server ...: what a researcher does from the command line."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path
from urllib.parse import urlencode

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from experiment_server.bots import bots_command
from experiment_server.database import DatabaseError
from experiment_server.experiment import experiment
from experiment_server.models import Participant
from experiment_server.moving import move_command
from experiment_server.ownership import claim, foreign_key
from experiment_server.prolific_commands import prolific_cli
from experiment_server.readiness import MARKS, inspect
from experiment_server.rehearsal import rehearse_command
from experiment_server.researcher_commands import COMMANDS as RESEARCHER_COMMANDS

PLACEHOLDERS = {
    "PROLIFIC_PID": "{{%PROLIFIC_PID%}}",
    "STUDY_ID": "{{%STUDY_ID%}}",
    "SESSION_ID": "{{%SESSION_ID%}}",
}


@click.command("check")
@with_appcontext
def check_command() -> None:
    """Is everything ready for real participants? Exit code 1 if something is missing."""
    findings = inspect(experiment())
    for finding in findings:
        click.echo(f"{MARKS[finding.verdict]} {finding.topic}: {finding.sentence}")
    missing = sum(finding.verdict == "missing" for finding in findings)
    if missing:
        raise click.ClickException(f"{missing} to mend before the study goes live")
    click.echo("Ready for real participants.")


@click.command("link")
@click.option("--url", help="Address of the server, such as https://study.example.org.")
@click.option("--try", "try_it", is_flag=True, help="A link with made-up ids, to open yourself.")
@with_appcontext
def link_command(url: str | None, try_it: bool) -> None:
    """Prints the study URL to paste into Prolific, with its placeholders."""
    audience = experiment().settings.prolific.audience
    address = (url or audience or "").rstrip("/")
    if not address:
        raise click.ClickException("give --url, or set prolific.audience in the settings file")
    if not address.startswith(("https://", "http://")):
        raise click.ClickException(f"{address}: an address begins with https://")
    click.echo(trial_link(address) if try_it else prolific_link(address))


def prolific_link(address: str) -> str:
    """The URL for Prolific's form; its braces and percent signs stay as they are."""
    return f"{address}/?" + "&".join(f"{key}={mark}" for key, mark in PLACEHOLDERS.items())


def trial_link(address: str) -> str:
    """A URL with ids made up, as Prolific would fill them in."""
    ids = {key: secrets.token_hex(12) for key in PLACEHOLDERS}
    return f"{address}/?{urlencode(ids)}"


@click.command("serve")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1))
@with_appcontext
def serve_command(port: int, threads: int) -> None:
    """Serves on this computer alone (127.0.0.1), and prints a link to try the study."""
    from flask import current_app
    from waitress import serve

    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise click.ClickException(
            f"port {port} cannot be used ({error.strerror}): choose another --port"
        ) from error
    address = f"http://127.0.0.1:{port}"
    click.echo(f"The study {experiment().bundle.study.name!r} is at {address}")
    click.echo(f"Try it as a participant: {trial_link(address)}")
    click.echo(f"The dashboard: {address}/admin  (Ctrl-C ends the server)")
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    serve(app, sockets=[listening], threads=threads)


@click.command("migrate")
@click.option("--serving", is_flag=True, help="Refuse what a running server could not go on with.")
@with_appcontext
def migrate_command(serving: bool) -> None:
    """Brings the database to this program's version, and tries whether a server could begin."""
    running = experiment()
    try:
        running.database.migrate(serving=serving)
        claim(running)
        problem = foreign_key(running)
    except DatabaseError as error:
        raise click.ClickException(str(error)) from error
    if problem:
        raise click.ClickException(problem)
    click.echo(f"{running.database.place} is up to date")


@click.command("keys")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@with_appcontext
def keys_command(out: Path) -> None:
    """Writes keyed digests of all participants, for recruitment.other_studies of a later study."""
    with experiment().database.read() as session:
        query = select(Participant.person_key).where(Participant.kind != "preview")
        keys = sorted(session.scalars(query))
    try:
        out.write_text("".join(f"{key}\n" for key in keys), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written ({error.strerror})") from error
    click.echo(f"{out}: {len(keys)} people")


COMMANDS: tuple[click.Command, ...] = (
    check_command,
    link_command,
    serve_command,
    migrate_command,
    move_command,
    keys_command,
    bots_command,
    rehearse_command,
    prolific_cli,
    *RESEARCHER_COMMANDS,
)
