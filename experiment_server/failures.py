"""What is answered when something goes wrong: a page for people, JSON for the task's script."""

from __future__ import annotations

from flask import Flask, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

BUSY_S = 2

_TITLES = {
    400: "This link does not work",
    401: "Please open the study again",
    403: "You cannot take part",
    404: "There is no such page",
    413: "That was too much at once",
    429: "Too many requests",
    503: "Please wait a moment",
}
_ACTIONS = {
    401: "Go back to Prolific and open the study from there: you will go on where you were.",
    403: "You can close this page.",
    429: "Please wait a minute and load the page again. Nothing is lost.",
    503: "Please load the page again in a few seconds. Nothing is lost.",
}
_ERRORS = {401: "no_session", 404: "not_found", 405: "not_allowed", 429: "busy", 503: "busy"}


def register_failures(app: Flask) -> None:
    """Answers for every error that a request can end with."""
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(Exception, _bug)


def _wants_json() -> bool:
    return request.path.startswith(("/task/", "/prolific/"))


def _answer(status: int, message: str) -> ResponseReturnValue:
    if _wants_json():
        body = jsonify(error=_ERRORS.get(status, "invalid"), message=message)
    else:
        title = _TITLES.get(status, "That did not work")
        action = _ACTIONS.get(status, "Please go back to Prolific and open the study from there.")
        page = render_template("error.html", title=title, message=message, action=action)
        body = current_app.make_response(page)
    body.status_code = status
    if status in {429, 503}:
        body.headers["Retry-After"] = str(BUSY_S)
    return body


def _csrf(error: CSRFError) -> ResponseReturnValue:
    current_app.logger.warning("%s %s: %s", request.method, request.path, error.description)
    message = "This page was open too long, or cookies are switched off."
    return _answer(400, f"{message} Please load it again, and allow cookies for this site.")


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status in {301, 302, 303, 307, 308}:
        return error.get_response()
    if status >= 500:
        current_app.logger.error("%s %s: %s", request.method, request.path, error.description)
    return _answer(status, error.description or "")


def _database(error: DBAPIError) -> ResponseReturnValue:
    """A full disk, a lock held too long, a database that went away: nothing was acknowledged."""
    current_app.logger.exception("%s %s: the database failed", request.method, request.path)
    return _answer(503, "The server could not save that just now.")


def _bug(error: Exception) -> ResponseReturnValue:
    current_app.logger.exception("%s %s failed", request.method, request.path)
    return _answer(500, "The server made a mistake. It has been noted, and nothing is lost.")
