"""The researcher's pages: dashboard, accuracies, audit log, recruitment, preview, downloads.

Whatever changes something, or tells something of the results or of who people are, is a POST and
leaves an entry in the audit log.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, get_args

from flask import abort, current_app, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException
from werkzeug.utils import secure_filename

from experiment_server import audit, dashboard
from experiment_server.admin_login import admin
from experiment_server.backup import FOLDER, backup
from experiment_server.charts import timeline
from experiment_server.database import DatabaseError
from experiment_server.experiment import Experiment, experiment
from experiment_server.export import export
from experiment_server.identities import payments
from experiment_server.models import Audit, Backup, Kind
from experiment_server.participants import begin_preview
from experiment_server.readiness import inspect
from experiment_server.recruitment import set_recruiting
from experiment_server.request_log import where
from experiment_server.vitals import vitals

__all__ = ["admin"]

ACTOR = "researcher"
RECENT, PAGE = 8, 100  # audit entries on the dashboard, and on a page of the log


@admin.errorhandler(CSRFError)
@admin.errorhandler(HTTPException)
def failed(error: HTTPException) -> ResponseReturnValue:
    """Errors in the researcher's words."""
    status = error.code or 500
    if status < 400:
        return error.get_response()
    current_app.logger.warning("%s: %s", where(), error.description)
    if request.endpoint == "admin.counts":
        return {"error": error.description}, status
    return render_template("admin_error.html", error=error), status


@admin.get("/")
def dashboard_page() -> str:
    """The overview."""
    running = experiment()
    settings = running.settings
    with running.database.read() as session:
        times = dashboard.times(session)
        return render_template(
            "admin_dashboard.html",
            study=running.bundle.study,
            now=running.now(),
            recruiting=dashboard.is_recruiting(session),
            tally=dashboard.tally(session, running),
            conditions=running.conditions,
            target=settings.recruitment.target_per_condition,
            stale_after_min=settings.recruitment.stale_after_min,
            times=times,
            pay=times.pay_per_hour(settings.prolific.reward_minor),
            reward_minor=settings.prolific.reward_minor,
            estimated_min=settings.prolific.estimated_min,
            chart=timeline(times.arrivals, times.completions),
            pages=dashboard.pages(session, running),
            vitals=vitals(session, running),
            findings=[one for one in inspect(running) if one.verdict != "ready"],
            backup=session.scalars(select(Backup).order_by(Backup.id.desc()).limit(1)).first(),
            entries=_entries(session, RECENT),
            chain=_chain(session),
        )


@admin.get("/counts")
def counts() -> ResponseReturnValue:
    """The counts as JSON, for scripts."""
    running = experiment()
    with running.database.read() as session:
        tally = dashboard.tally(session, running)
        return {
            "study": running.bundle.study.name,
            "at": running.now().isoformat(),
            "recruiting": dashboard.is_recruiting(session),
            "target_per_condition": running.settings.recruitment.target_per_condition,
            "conditions": {name: dict(tally.by_condition[name]) for name in running.conditions},
            "not_dealt": dict(tally.by_condition.get(None, {})),
            "total": dict(tally.total),
            "pilots": dict(tally.pilots),
            "previews": tally.previews,
            "median_duration_s": dashboard.times(session).median_s,
        }


@admin.post("/accuracy")
def accuracy() -> str:
    """Accuracies by condition and network. That they were looked at is written down first."""
    running = experiment()
    _note("accuracy", {})
    with running.database.read() as session:
        return render_template(
            "admin_accuracy.html",
            study=running.bundle.study,
            now=running.now(),
            accuracies=dashboard.accuracies(session, running),
        )


@admin.get("/audit")
def audit_page() -> str:
    """The audit log, the latest entries first."""
    running = experiment()
    before = request.args.get("before", type=int)
    with running.database.read() as session:
        entries = _entries(session, PAGE, before)
        return render_template(
            "admin_audit.html",
            study=running.bundle.study,
            entries=entries,
            chain=_chain(session),
            older=entries[-1].id if len(entries) == PAGE else None,
        )


def _entries(session: Session, count: int, before: int | None = None) -> list[Audit]:
    query = select(Audit).order_by(Audit.id.desc()).limit(count)
    if before is not None:
        query = query.where(Audit.id < before)
    return list(session.scalars(query))


def _chain(session: Session) -> dict[str, Any]:
    """What verifying the audit log says."""
    try:
        return {"entries": audit.verify(session), "problem": None}
    except ValueError as error:
        return {"entries": None, "problem": str(error)}


@admin.post("/recruitment")
def recruitment() -> ResponseReturnValue:
    """Pauses or resumes."""
    choice = request.form.get("choice")
    if choice not in {"pause", "resume"}:
        abort(400, "choice: pause or resume")
    set_recruiting(experiment(), choice == "resume", ACTOR)
    return redirect(url_for("admin.dashboard_page"), 303)


@admin.post("/preview")
def preview() -> ResponseReturnValue:
    """Makes this browser a participant who never counts, in a condition of choice."""
    running = experiment()
    condition = request.form.get("condition", "")
    with running.database.write() as session:
        try:
            begin_preview(session, running, condition)
        except ValueError as error:
            abort(400, str(error))
        audit.record(session, ACTOR, "preview", {"condition": condition}, running.now())
    return redirect("/study", 303)


@admin.post("/backup")
def back_up() -> ResponseReturnValue:
    """Makes a backup now."""
    running = experiment()
    try:
        path = backup(running, running.config.data / FOLDER, ACTOR)
        flash(f"The backup is {path}")
    except (DatabaseError, OSError) as error:
        current_app.logger.error("backup failed: %s", error)
        flash(f"No backup was made: {error}")
    return redirect(url_for("admin.dashboard_page"), 303)


@admin.post("/export")
def download_export() -> ResponseReturnValue:
    """The export as a zip file; it is whole before the first byte is sent."""
    running = experiment()
    kind = request.form.get("kind", "real")
    if kind not in get_args(Kind):
        abort(400, f"kind: one of {', '.join(get_args(Kind))}")
    try:
        with TemporaryDirectory() as folder:
            found = export(running, Path(folder) / "export", kind=kind)
            file = _zip(Path(folder) / "export")
    except (ValueError, OSError) as error:
        abort(500, f"The export failed: {error}")
    _note("export", {"kind": kind, **found})
    return _send(file, running, "export" if kind == "real" else f"export-{kind}", "zip")


@admin.post("/payments")
def download_payments() -> ResponseReturnValue:
    """The payment list: the one thing that has Prolific ids in it."""
    running = experiment()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "payments.csv"
        people = payments(running, path)
        file = path.open("rb")  # stays readable after the folder is gone
    _note("payments", {"people": people})
    return _send(file, running, "payments", "csv")


def _zip(folder: Path) -> IO[bytes]:
    file = TemporaryFile()  # noqa: SIM115 - is read, and closed, while the answer is sent
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"export/{path.name}")
    file.seek(0)
    return file


def _send(file: IO[bytes], running: Experiment, what: str, ending: str) -> ResponseReturnValue:
    study = secure_filename(running.bundle.study.name) or "study"
    name = f"{study}-{what}-{running.now():%Y%m%d-%H%M}.{ending}"
    types = {"zip": "application/zip", "csv": "text/csv"}
    return send_file(file, mimetype=types[ending], as_attachment=True, download_name=name)


def _note(action: str, detail: dict[str, Any]) -> None:
    running = experiment()
    with running.database.write() as session:
        audit.record(session, ACTOR, action, detail, running.now())
