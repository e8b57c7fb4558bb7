"""Whose a database is: it belongs to one study, and its people are known by one secret key."""

from __future__ import annotations

import click
from flask.cli import with_appcontext
from sqlalchemy import select, update

from experiment_server.audit import record
from experiment_server.database import DatabaseError
from experiment_server.experiment import Experiment, experiment
from experiment_server.models import Identity, Participant, StudyState
from experiment_server.security import keyed


def claim(running: Experiment) -> None:
    """Marks a new database as this study's and key's; DatabaseError if it is another study's."""
    database, bundle = running.database, running.bundle
    query = select(StudyState)
    with database.explained("claimed"), database.write() as session:
        if session.scalars(query).one_or_none() is None:
            database.wait_for_others(session.connection())
        state = session.scalars(query).one_or_none()
        if state is None:
            state = StudyState(id=1, name=bundle.study.name, digest=bundle.digest, recruiting=True)
            session.add(state)
        elif state.digest != bundle.digest:
            raise DatabaseError(
                f"the database {database.place} belongs to the study {state.name!r} with digest"
                f" {state.digest[:12]}, and {bundle.folder} is {bundle.study.name!r} with"
                f" {bundle.digest[:12]}: give each study (and each build of it) its own database"
            )
        state.key_check = state.key_check or _key_check(running)


def foreign_key(running: Experiment) -> str | None:
    """What is wrong with the secret key, if the database's people are known by another one."""
    with running.database.read() as session:
        known = session.scalars(select(StudyState.key_check)).one_or_none()
    if known is None or known == _key_check(running):
        return None
    where = running.config.data / "secret_key" if running.config.key_is_local else "SECRET_KEY"
    return (
        f"{where} is not the key that the database {running.database.place} was begun with:"
        " nobody would be known again, and everybody could take part twice; put the old one back,"
        " or if it is lost: flask --app experiment_server rekey"
    )


def rekey(running: Experiment) -> tuple[int, int]:
    """Makes people known by the present secret key; how many are, and how many cannot be.

    Their cookies end with the old key: they come back by Prolific's link, to where they were.
    Who cannot be known again are those whose Prolific ids were forgotten.
    """
    config, known = running.config, 0
    with running.database.write() as session:
        query = select(Participant, Identity).join_from(Participant, Identity, isouter=True)
        people = session.execute(query.where(Participant.kind != "preview")).all()
        for person, identity in people:
            if identity is not None:
                person.person_key = keyed(config, "person", identity.prolific_pid)
                submission = (identity.prolific_study_id, identity.submission_id)
                person.submission_key = keyed(config, "submission", *submission)
                known += 1
        session.execute(update(StudyState).values(key_check=_key_check(running)))
        record(session, "command line", "rekey", {"known": known}, running.now())
    return known, len(people) - known


def _key_check(running: Experiment) -> str:
    return keyed(running.config, "key check")


@click.command("rekey")
@with_appcontext
def rekey_command() -> None:
    """Makes people known by the present SECRET_KEY, if theirs is lost. Stop the server first."""
    known, unknown = rekey(experiment())
    click.echo(f"known by the present key: {known}; they come back by Prolific's link")
    click.echo(f"not known again, since their Prolific ids were forgotten: {unknown}")
