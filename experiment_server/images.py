"""Images, before anything of Flask is asked: two requests of three are for one.

Who may see an image was dealt its condition and list. The cookie is checked as Flask checks it
and, like what was dealt, does not change, so both are remembered. Whatever is not plainly an image
of the participant who asks goes on to Flask, where `task.image` says what is wrong with it.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from experiment_server.experiment import Experiment
from experiment_server.models import Login, Participant
from experiment_server.security import digest_token, fixed_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CACHE = ("Cache-Control", "private, max-age=31536000, immutable")
PREFIX = "/images/"


class Images:
    """What stands before a Flask application and answers requests for images."""

    def __init__(self, app: Flask, running: Experiment) -> None:
        self.flask = app.wsgi_app
        self.running = running
        self.cookie = re.compile(rf"(?:^|;\s*){app.config['SESSION_COOKIE_NAME']}=([^;]+)")
        self.signer = SecureCookieSessionInterface().get_signing_serializer(app)
        self.lasts_s = int(app.permanent_session_lifetime.total_seconds())
        self.headers = [*fixed_headers(running.config).items(), CACHE, ("Vary", "Cookie")]
        self.dealt = lru_cache(maxsize=20_000)(self._dealt)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The answer, of the WSGI kind."""
        name = environ["PATH_INFO"].removeprefix(PREFIX)
        if name == environ["PATH_INFO"] or not self._may_see(environ, name):
            return self.flask(environ, start_response)
        try:
            content = self.running.bundle.image_path(name).read_bytes()
        except OSError:  # Flask meets it again, and knows how to say so
            return self.flask(environ, start_response)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        own = [("Content-Type", kind), ("Content-Length", str(len(content)))]
        start_response("200 OK", [*own, *self.headers])
        return [content]

    def _may_see(self, environ: WSGIEnvironment, name: str) -> bool:
        cookie = self.cookie.search(environ.get("HTTP_COOKIE", ""))
        if environ["REQUEST_METHOD"] != "GET" or cookie is None:
            return False
        try:
            return name in self.running.bundle.images_of(*self.dealt(cookie.group(1)))
        except (BadSignature, LookupError, SQLAlchemyError):
            return False

    def _dealt(self, cookie: str) -> tuple[str, int]:
        """Condition and list of a browser, by its cookie."""
        if self.signer is None:
            raise LookupError("cookies are not signed")
        token = self.signer.loads(cookie, max_age=self.lasts_s)["token"]
        return dealt(self.running, digest_token(token))


@lru_cache(maxsize=20_000)
def dealt(running: Experiment, token_digest: str) -> tuple[str, int]:
    """Condition and list of a browser: once dealt they never change. LookupError before that."""
    with running.database.read() as session:
        query = (
            select(Participant.condition, Participant.list_index)
            .join(Login)
            .where(Login.token_digest == token_digest)
        )
        found = session.execute(query).one_or_none()
    if found is None or found.condition is None or found.list_index is None:
        raise LookupError(token_digest)
    return found.condition, found.list_index
