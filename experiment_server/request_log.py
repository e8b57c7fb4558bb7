"""The log: one line of JSON a request, and one a problem, without a word about who took part.

A line has the address as it is in the program (`/images/<name>`), never as it was asked for; no
query, no network address, no id, no token, no header, no text of a participant, not even a
pseudonym: whoever has data deleted shall not stand here. On a laptop the log is Flask's own.
"""

from __future__ import annotations

import json
import logging
import os
import re
import traceback
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, TextIO, cast

from flask import Flask, Response, g, has_request_context, request
from flask.logging import default_handler, wsgi_errors_stream

from experiment_server.config import Config

ID_HEADER = "X-Request-ID"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TELLING = re.compile(r"\?\S*| from ip=.*", re.DOTALL)  # what gunicorn may say of a request


def keep_log(app: Flask, config: Config) -> None:
    """Gives every request an id and a line; before anything else looks at requests."""
    if config.json_log:
        _write_json(app)
    app.logger.setLevel(logging.INFO)

    @app.before_request
    def _begin() -> None:
        g.began_s = perf_counter()
        given = request.headers.get(ID_HEADER, "") if config.proxies else ""
        # Only a UUID is taken over: anything else could be somebody's id.
        g.request_id = given if _ID.fullmatch(given) else str(uuid.uuid4())

    @app.after_request
    def _end(response: Response) -> Response:
        response.headers[ID_HEADER] = g.request_id
        if config.json_log:
            took_ms = round(1000 * (perf_counter() - g.began_s), 1)
            fields = {"status": response.status_code, "duration_ms": took_ms}
            app.logger.info("request", extra={"fields": fields})
        return response


def where() -> str:
    """The request at hand, in words that tell nothing of who sent it."""
    return f"{request.method} {request.url_rule or 'an unknown address'}"


def _write_json(app: Flask) -> None:
    """Everything that this process logs, gunicorn's own words too, becomes JSON on stderr."""
    for handler in logging.getLogger("gunicorn.error").handlers:
        handler.setFormatter(JsonLines())
    root = logging.getLogger()
    if not any(isinstance(handler.formatter, JsonLines) for handler in root.handlers):
        handler = logging.StreamHandler(cast(TextIO, wsgi_errors_stream))
        handler.setFormatter(JsonLines())
        root.addHandler(handler)
    app.logger.removeHandler(default_handler)


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _TELLING.sub("", record.getMessage()),
            "pid": os.getpid(),
        }
        if has_request_context():
            line["request_id"] = g.get("request_id")
            line["method"] = request.method
            line["route"] = request.url_rule and request.url_rule.rule
        line |= record.__dict__.get("fields", {})
        if record.exc_info and record.exc_info[1]:
            line["error"] = list(explain(record.exc_info[1]))
        return json.dumps(line)


def explain(error: BaseException | None) -> Iterator[str]:
    """An error, what it came from, and where: of each message the first line alone.

    Further lines tell values: PostgreSQL prints the row it refused, pydantic what was sent.
    """
    while error is not None:
        yield f"{type(error).__name__}: {str(error).split(chr(10))[0]}"
        for frame in traceback.extract_tb(error.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} {frame.name}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
