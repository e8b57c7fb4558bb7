"""What is answered when something goes wrong: a page for people, JSON for the task's script."""

from __future__ import annotations

from flask import Flask, Response, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from experiment_server.database import AWAY
from experiment_server.experiment import experiment
from experiment_server.request_log import where
from experiment_server.text import participant_text

BUSY_S = 2

_ERRORS = {401: "no_session", 404: "not_found", 405: "not_allowed", 429: "busy", 503: "busy"}


def register_failures(app: Flask) -> None:
    """Answers for every error that a request can end with."""
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    for error in AWAY:
        app.register_error_handler(error, _database)
    app.register_error_handler(Exception, _bug)


def _answer(status: int, message: str | None = None, error: str | None = None) -> Response:
    """A page, or JSON; in the words of the study unless a message is given."""
    text = participant_text(experiment().bundle.study)
    message = text.get(f"error.message.{status}", message or "")
    if request.path.startswith(("/task/", "/prolific/")):
        answer = jsonify(error=error or _ERRORS.get(status, "invalid"), message=message)
    else:
        title = text.get(f"error.title.{status}", text["error.title"])
        action = text.get(f"error.action.{status}", text["error.action"])
        page = render_template("error.html", title=title, message=message, action=action)
        answer = current_app.make_response(page)
    answer.status_code = status
    if status in {429, 503}:
        answer.headers["Retry-After"] = str(BUSY_S)
    return answer


def _csrf(error: CSRFError) -> Response:
    current_app.logger.warning("%s: %s", where(), error.description)
    text = participant_text(experiment().bundle.study)
    return _answer(400, text["error.message.csrf"], "csrf")


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error.get_response()
    if status >= 500:
        current_app.logger.error("%s: %s", where(), error.description)
    return _answer(status, error.description)


def _database(error: Exception) -> Response:
    """A full disk, a lock held too long, a database that went away: nothing was acknowledged."""
    cause = str(getattr(error, "orig", error)).split("\n")[0]  # further lines may tell values
    current_app.logger.error("%s: the database failed: %s", where(), cause)
    return _answer(503)


def _bug(error: Exception) -> Response:
    current_app.logger.exception("%s failed", where())
    return _answer(500)
