"""Whose a database is: it belongs to one study, and its people are known by one secret key."""

from __future__ import annotations

from sqlalchemy import select

from experiment_server.database import DatabaseError
from experiment_server.experiment import Experiment
from experiment_server.models import StudyState
from experiment_server.security import keyed


def claim(running: Experiment) -> None:
    """Marks a new database as this study's and key's; DatabaseError if it is another study's."""
    database, bundle = running.database, running.bundle
    with database.write() as session:
        database.wait_for_others(session.connection())
        state = session.scalars(select(StudyState)).one_or_none()
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
        " nobody would be known again, and everybody could take part twice; put the old one back"
    )


def _key_check(running: Experiment) -> str:
    return keyed(running.config, "key check")
