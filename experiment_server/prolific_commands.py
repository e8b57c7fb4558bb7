"""flask --app experiment_server prolific ...: what is done through Prolific's API.

PROLIFIC_TOKEN is needed here only, so that it need not stand in the web server's environment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from experiment_server.audit import record
from experiment_server.experiment import Experiment, experiment
from experiment_server.models import Bonus, Identity, Participant
from experiment_server.prolific.api import ProlificError
from experiment_server.prolific.bonuses import (
    ACTOR,
    parse_amount,
    plan_bonuses,
    read_amounts,
    resolve_bonuses,
    send_bonuses,
)
from experiment_server.prolific.client import ProlificClient, Submission, decimal
from experiment_server.prolific.reconciliation import Due, completable, payable, reconcile
from experiment_server.prolific.statuses import known_studies

prolific_cli = AppGroup("prolific", help="Submissions, approvals and bonuses through the API.")
bonus_cli = AppGroup("bonus", help="The bonus ledger: plan, send, show, resolve.")
prolific_cli.add_command(bonus_cli)

CONFIRM = click.option("--confirm", is_flag=True, help="Do it; without, only what would be done.")


@contextmanager
def _one_line() -> Iterator[None]:
    """Errors as the one line that they are."""
    try:
        yield
    except (ProlificError, ValueError) as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _client(running: Experiment) -> Iterator[ProlificClient]:
    token = running.config.prolific_token
    if token is None:
        raise click.ClickException(
            "PROLIFIC_TOKEN is not set: make a token on Prolific, and set it for this command alone"
        )
    with _one_line(), ProlificClient(token.get_secret_value()) as client:
        yield client


def _read_all(running: Experiment, client: ProlificClient) -> list[Submission]:
    with running.database.read() as session:
        studies = known_studies(session, running)
    if not studies:
        raise ValueError("no study id is known: set prolific.study_ids in the settings file")
    return [one for study in studies for one in client.submissions(study)]


@prolific_cli.command("sync")
def sync_command() -> None:
    """Reads all submissions, frees the places of those who left, and lists what does not match."""
    running = experiment()
    with _client(running) as client:
        submissions = _read_all(running, client)
    with running.database.write() as session:
        found = reconcile(session, running, submissions)
        detail = {"submissions": len(submissions), "freed": list(found.freed)}
        record(session, ACTOR, "prolific sync", detail, running.now())
    counts = Counter(one.status for one in submissions)
    click.echo(", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none yet")
    for name in found.freed:
        click.echo(f"place freed: {name}")
    for one in found.without_data:
        click.echo(f"submitted without our data: submission {one.id} ({one.status})")
    for name, status in found.unsubmitted:
        click.echo(f"completed here, but not submitted: {name} ({status})")
    for name, code in found.other_code:
        click.echo(f"entered another code than given: {name} ({code})")


@prolific_cli.command("approve")
@CONFIRM
def approve_command(confirm: bool) -> None:
    """Approves, and so pays, all who did the whole study and await review."""

    def approve(client: ProlificClient, found: list[Due]) -> None:
        client.approve_all([one.submission_id for one in found])

    _settle("approved", payable, approve, confirm)


@prolific_cli.command("complete")
@CONFIRM
def complete_command(confirm: bool) -> None:
    """Completes submissions whose completion code only the researcher may enter."""

    def complete(client: ProlificClient, found: list[Due]) -> None:
        for one in found:
            client.complete(one.submission_id, one.code)

    _settle("completed", completable, complete, confirm)


def _settle(
    done: str,
    find: Callable[[Session, Experiment, list[Submission]], list[Due]],
    settle: Callable[[ProlificClient, list[Due]], None],
    confirm: bool,
) -> None:
    """Finds submissions that wait for the researcher; if confirmed, settles and records them."""
    running = experiment()
    with _client(running) as client:
        submissions = _read_all(running, client)
        with running.database.read() as session:
            found = find(session, running, submissions)
        if confirm and found:
            settle(client, found)
            people = {"participants": sorted(one.pseudonym for one in found)}
            with running.database.write() as session:
                record(session, ACTOR, f"submissions {done}", people, running.now())
    told = done if confirm else f"would be {done}: give --confirm"
    click.echo(f"{len(found)} submissions {told}")


@bonus_cli.command("plan")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--amount", help="The same for all who completed, such as 1.50.")
@click.option("--reason", default="bonus", show_default=True, help="For your own records.")
@click.option("--limit", default="20.00", show_default=True, help="The most for one person.")
def plan_command(file: Path | None, amount: str | None, reason: str, limit: str) -> None:
    """Enters bonuses from FILE (participant,amount), or one amount for all who completed."""
    running = experiment()
    if (file is None) == (amount is None):
        raise click.UsageError("give either a FILE or --amount")
    with _one_line(), running.database.write() as session:
        limit_minor = parse_amount(limit, 100_000_00)
        if file is not None:
            amounts = read_amounts(file, limit_minor)
        else:
            each = parse_amount(str(amount), limit_minor)
            query = select(Participant.pseudonym).where(
                Participant.outcome == "completed",
                Participant.kind != "preview",
                Participant.id.in_(select(Identity.participant_id)),
                Participant.id.not_in(select(Bonus.participant_id)),
            )
            amounts = dict.fromkeys(session.scalars(query), each)
        plan_bonuses(session, amounts, reason, running.now())
    click.echo(f"{len(amounts)} planned, {decimal(sum(amounts.values()))} in all, without fees")


@bonus_cli.command("send")
@CONFIRM
def send_command(confirm: bool) -> None:
    """Pays all planned bonuses, once."""
    running = experiment()
    if not confirm:
        _show(running)
        raise click.ClickException("nothing was paid: give --confirm to pay what is planned")
    with _client(running) as client:
        paid = send_bonuses(running, client)
    click.echo(f"{paid} paid; Prolific carries it out in the next minutes")


@bonus_cli.command("show")
def show_command() -> None:
    """Lists the ledger."""
    _show(experiment())


@bonus_cli.command("resolve")
@click.option("--paid/--not-paid", required=True, help="What the study's page on Prolific shows.")
@click.argument("participants", nargs=-1, required=True)
def resolve_command(paid: bool, participants: tuple[str, ...]) -> None:
    """Settles bonuses left as `sending` by a crash or a lost answer. Look on Prolific first."""
    running = experiment()
    with _one_line(), running.database.write() as session:
        resolve_bonuses(session, participants, paid=paid, now=running.now())
    click.echo(f"{len(participants)} {'paid' if paid else 'planned again'}")


def _show(running: Experiment) -> None:
    query = select(Participant.pseudonym, Bonus).join(Bonus).order_by(Bonus.state, Bonus.id)
    with running.database.read() as session:
        rows = session.execute(query).all()
    for pseudonym, bonus in rows:
        call = f"  set up as {bonus.bulk_id}" if bonus.bulk_id else ""
        click.echo(f"{bonus.state:8} {decimal(bonus.amount_minor):>8}  {pseudonym}{call}")
    for state in ("planned", "sending", "paid"):
        amounts = [bonus.amount_minor for _, bonus in rows if bonus.state == state]
        click.echo(f"{state}: {len(amounts)}, {decimal(sum(amounts))}")
