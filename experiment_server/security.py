"""Tokens, pseudonyms, and what every answer of the server carries."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from flask import Flask, Response, request, session
from flask.json.provider import DefaultJSONProvider
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect

from experiment_server.config import Config

BODY_LIMIT_BYTES = 256 * 1024
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)

csrf = CSRFProtect()


def _who() -> str:
    """Whose requests are counted together: a browser's session; an address only before one."""
    return session.get("token") or session.get("admin") or get_remote_address()


limiter = Limiter(_who, headers_enabled=False)


def new_token() -> str:
    """A secret of 128 bits."""
    return secrets.token_urlsafe(16)


def digest_token(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def keyed(config: Config, purpose: str, *parts: str) -> str:
    """A keyed digest, 32 hexadecimal digits: the same for the same parts, and for no one else."""
    message = "\0".join((purpose, *parts)).encode()
    key = config.secret_key.get_secret_value().encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]


class CarefulJSON(DefaultJSONProvider):
    """JSON that is nested too deep to be read is malformed, not a fault of ours."""

    def loads(self, s: str | bytes, **options: Any) -> Any:
        """The value of a JSON text; raises ValueError if it is none."""
        try:
            return super().loads(s, **options)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


def fixed_headers(config: Config) -> dict[str, str]:
    """The headers that every answer carries."""
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }
    if config.live:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def protect(app: Flask, config: Config) -> None:
    """Sessions, CSRF, rate and body limits, and the headers of every answer."""
    app.config.update(
        SECRET_KEY=config.secret_key.get_secret_value(),
        SESSION_COOKIE_NAME="study",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=config.live,
        MAX_CONTENT_LENGTH=BODY_LIMIT_BYTES,
        MAX_FORM_MEMORY_SIZE=BODY_LIMIT_BYTES,
        SEND_FILE_MAX_AGE_DEFAULT=600,  # styles and scripts: not asked for again by every page
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: reading slowly is no attack
        WTF_CSRF_SSL_STRICT=False,  # the referrer is withheld by our own policy
    )
    app.json = CarefulJSON(app)
    if config.rehearsal:
        app.config["RATELIMIT_ENABLED"] = False
    csrf.init_app(app)
    limiter.init_app(app)

    headers = fixed_headers(config)

    @app.after_request
    def _headers(response: Response) -> Response:
        if request.endpoint not in {"static", "task.image"}:
            response.headers.setdefault("Cache-Control", "no-store")
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response
