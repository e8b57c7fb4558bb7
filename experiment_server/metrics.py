"""/metrics for Prometheus: how the server and its study are, in numbers about nobody alone.

Requests are counted as they are answered, by each worker in files that all share
(PROMETHEUS_MULTIPROC_DIR, see `deploy/gunicorn.conf.py`); the study is read when it is asked for.
The address is there for those alone who have METRICS_TOKEN, and not at all without one.
"""

from __future__ import annotations

import hmac
import os
import shutil
from collections.abc import Iterator
from time import perf_counter

from flask import Blueprint, Flask, Response, abort, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import event, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from experiment_server import models
from experiment_server.assignment import places_held
from experiment_server.dashboard import is_recruiting, pages, tally
from experiment_server.experiment import Experiment, experiment
from experiment_server.security import limiter

METHODS = {"GET", "HEAD", "POST", "OPTIONS"}  # any other word may be anybody's invention
COUNTED = CollectorRegistry()
REQUESTS = Counter(
    "experiment_requests", "Requests", ["endpoint", "method", "status"], registry=COUNTED
)
SECONDS = Histogram(
    "experiment_request_seconds", "How long answers took", ["endpoint"], registry=COUNTED
)
RESPONSES = Counter(
    "experiment_responses", "Responses to trials: stored or duplicate", ["kind"], registry=COUNTED
)
DATABASE_ERRORS = Counter(
    "experiment_database_errors", "Errors of the database", ["kind"], registry=COUNTED
)

metrics = Blueprint("metrics", __name__)


def observe(app: Flask, running: Experiment) -> None:
    """Counts the requests of an application, and the errors of its database."""

    @app.after_request
    def _count(response: Response) -> Response:
        endpoint = request.endpoint or "unknown"
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(endpoint, method, response.status_code).inc()
        SECONDS.labels(endpoint).observe(perf_counter() - g.began_s)
        if endpoint == "task.respond" and response.status_code == 200:
            RESPONSES.labels("duplicate" if response.get_json()["duplicate"] else "stored").inc()
        return response

    @event.listens_for(running.database.engine, "handle_error")
    def _failed(context: ExceptionContext) -> None:
        DATABASE_ERRORS.labels(type(context.original_exception).__name__).inc()


@metrics.get("/metrics")
@limiter.exempt
def report() -> Response:
    """Everything, in Prometheus' text format."""
    running = experiment()
    if running.config.metrics_token is None:
        abort(404)
    expected = f"Bearer {running.config.metrics_token.get_secret_value()}".encode()
    given = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(given, expected):
        return Response("METRICS_TOKEN is needed\n", 401, {"WWW-Authenticate": "Bearer"})
    study = CollectorRegistry()
    study.register(_Study(running))
    text = generate_latest(_counted()) + generate_latest(study)
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def _counted() -> CollectorRegistry:
    """What this worker counted, or all of them."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return COUNTED
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


class _Study(Collector):
    """The study as it is now. While the database is away, that alone is told."""

    def __init__(self, running: Experiment) -> None:
        self.running = running

    def collect(self) -> Iterator[Metric]:
        found: list[Metric] = []
        try:
            with self.running.database.read() as session:
                found = [*_people(session, self.running), *_moments(session, self.running)]
        except SQLAlchemyError:
            pass
        yield _gauge("database_up", "1 if the database answers", float(bool(found)))
        yield from found
        if self.running.config.data.exists():
            free = shutil.disk_usage(self.running.config.data).free
            yield _gauge("disk_free_bytes", "Room left for data and backups", free)


def _people(session: Session, running: Experiment) -> Iterator[Metric]:
    people = _gauge("participants", "Real participants", labels=["condition", "outcome"])
    for condition, outcomes in tally(session, running).by_condition.items():
        for outcome, count in outcomes.items():
            people.add_metric([condition or "none", outcome], count)
    there = _gauge("participants_at_page", "Real participants who are at it", labels=["page"])
    for page in pages(session, running):
        there.add_metric([page.name], page.there)
    held = _gauge("places_held", "Places taken", labels=["condition"])
    for condition, count in places_held(session, running, running.kind).items():
        held.add_metric([condition], count)
    yield from (people, there, held)
    target = running.settings.recruitment.target_per_condition
    if target is not None:
        yield _gauge("places", "Places in each condition", target)
    yield _gauge("recruiting", "1 if new people are let in", float(is_recruiting(session)))


def _moments(session: Session, running: Experiment) -> Iterator[Metric]:
    """How long ago things were; what never was is left out."""
    for name, help_, moment, row in (
        ("last_response", "Since a response came", models.Response.received_at, models.Response.id),
        ("last_backup", "Since a backup was made", models.Backup.at, models.Backup.id),
    ):
        last = session.scalars(select(moment).order_by(row.desc()).limit(1)).one_or_none()
        if last is not None:
            age_s = (running.now() - last).total_seconds()
            yield _gauge(f"{name}_age_seconds", help_, age_s)


def _gauge(
    name: str, help_: str, value: float | None = None, labels: list[str] | None = None
) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"experiment_{name}", help_, value=value, labels=labels)
