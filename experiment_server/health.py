"""Whether the server is well: for load balancers and monitors, without a word about the study."""

from __future__ import annotations

from functools import cache
from queue import Empty, SimpleQueue
from threading import Thread

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import SQLAlchemyError

from experiment_server import schema
from experiment_server.database import AWAY
from experiment_server.experiment import Experiment, experiment
from experiment_server.models import StudyState
from experiment_server.security import limiter

READY_S = 1.0  # what does not answer within this time does not answer

health = Blueprint("health", __name__)


@health.get("/health")
@limiter.exempt
def live() -> ResponseReturnValue:
    """200: the process lives. Not about the database: to restart the server would not mend that."""
    return {"status": "ok"}


@health.get("/ready")
@limiter.exempt
def ready() -> ResponseReturnValue:
    """200 if participants can be served, else 503 and one word: database, schema or study."""
    running = experiment()
    found: SimpleQueue[str] = SimpleQueue()
    # In a thread of its own: a database that cannot be reached would keep this one for seconds.
    Thread(target=lambda: found.put(_look(running)), daemon=True).start()
    try:
        status = found.get(timeout=READY_S)
    except Empty:
        status = "database"
    return {"status": status}, 200 if status == "ok" else 503


def _look(running: Experiment) -> str:
    try:
        with running.database.read() as session:
            if not _suits(session.connection()):
                return "schema"
            digest = session.scalars(select(StudyState.digest)).one_or_none()
    except AWAY:
        return "database"
    except SQLAlchemyError:
        return "schema"
    return "ok" if digest == running.bundle.digest else "study"


def _suits(connection: Connection) -> bool:
    """Whether this program can work with the tables, by their version alone.

    Every table and column was looked at when the process began (`schema.objection`).
    """
    there, ours = schema.version(connection), _revisions()
    if there in ours:
        return there == ours[0]
    oldest_program = connection.execute(text("SELECT oldest_program FROM compatibility"))
    return oldest_program.scalar_one_or_none() in ours


@cache
def _revisions() -> list[str]:
    return schema.known()


@health.get("/favicon.ico")
@limiter.exempt
def no_icon() -> ResponseReturnValue:
    """Browsers ask for one unasked; the pages name their own."""
    return "", 204
