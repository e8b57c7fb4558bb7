"""Whether the server is well: for load balancers and monitors, without a word about the study."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from experiment_server.experiment import experiment
from experiment_server.models import StudyState
from experiment_server.security import limiter

health = Blueprint("health", __name__)


@health.get("/health")
@limiter.exempt
def report() -> ResponseReturnValue:
    """200 if the database answers, else 503."""
    try:
        with experiment().database.read() as session:
            session.scalars(select(StudyState)).one()
    except DBAPIError:
        return {"status": "the database does not answer"}, 503
    return {"status": "ok"}


@health.get("/favicon.ico")
@limiter.exempt
def no_icon() -> ResponseReturnValue:
    """Browsers ask for one unasked; the pages name their own."""
    return "", 204
