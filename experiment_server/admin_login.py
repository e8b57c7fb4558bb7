"""The researcher's way in: one password, kept as a scrypt hash in ADMIN_PASSWORD_HASH.

There is no default password; without a hash the dashboard is closed. Guessing is slowed down twice:
by a limit of requests, and by a delay that doubles with every failure and is kept in the database.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import click
from flask import Blueprint, abort, make_response, redirect, render_template, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue
from flask_limiter.util import get_remote_address
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from experiment_server.audit import record
from experiment_server.config import Config
from experiment_server.experiment import Experiment, experiment
from experiment_server.models import AdminLogin, Audit
from experiment_server.security import digest_token, keyed, limiter, new_token

LASTS = timedelta(hours=12)
FREE_FAILURES = 3  # typing errors of the researcher's
LONGEST_DELAY_S = 900
PASSWORD_LENGTH = 12
_SIGN_OF_LIFE = timedelta(minutes=1)
_WHOLE_HASH = re.compile(r"scrypt:\d+:\d+:\d+\$[^$]+\$[0-9a-f]{128}")

admin = Blueprint("admin", __name__, url_prefix="/admin")


@admin.before_request
def _researchers_only() -> ResponseReturnValue | None:
    if password_hash(experiment().config) is None:
        return render_template("admin_setup.html"), 503
    if request.endpoint in {"admin.login", "admin.login_page"} or _is_logged_in(experiment()):
        return None
    if request.endpoint == "admin.counts":
        abort(401, "Log in at /admin/login first.")
    return redirect(url_for("admin.login_page"), 303)


def password_hash(config: Config) -> str | None:
    """The hash of the researcher's password, or None if it is absent or not a whole one."""
    found = config.admin_password_hash.get_secret_value() if config.admin_password_hash else ""
    return found if _WHOLE_HASH.fullmatch(found) else None


def _is_logged_in(running: Experiment) -> bool:
    token, now = cookie.get("admin"), running.now()
    if not isinstance(token, str):
        return False
    with running.database.read() as session:
        found = session.get(AdminLogin, digest_token(token))
    if found is None or now - found.created_at >= LASTS:
        return False
    if now - found.last_seen_at >= _SIGN_OF_LIFE:
        with running.database.write() as session:
            session.merge(found).last_seen_at = now
    return True


@admin.get("/login")
@limiter.limit("60 per minute", key_func=get_remote_address)
def login_page() -> str:
    """Asks for the password."""
    return render_template("admin_login.html", problem=None)


@admin.post("/login")
@limiter.limit("5 per minute", key_func=get_remote_address)
def login() -> ResponseReturnValue:
    """Lets a browser in for twelve hours."""
    running = experiment()
    now, visitor = running.now(), _visitor(running.config)
    with running.database.read() as session:
        wait_s = delay_s(session, visitor, now)
    if wait_s > 0:
        return _refuse(429, f"Too many wrong passwords. Try again in {wait_s:.0f} seconds.", wait_s)
    expected = password_hash(running.config) or ""
    if not check_password_hash(expected, request.form.get("password", "")):
        with running.database.write() as session:
            record(session, visitor, "login_failed", {}, now)
        return _refuse(403, "That is not the password.")
    token = new_token()
    with running.database.write() as session:
        session.execute(delete(AdminLogin).where(AdminLogin.created_at <= now - LASTS))
        session.add(AdminLogin(token_digest=digest_token(token), created_at=now, last_seen_at=now))
        record(session, visitor, "login", {}, now)
    cookie["admin"] = token
    return redirect(url_for("admin.dashboard_page"), 303)


@admin.post("/logout")
def logout() -> ResponseReturnValue:
    """Ends the session of this browser."""
    running = experiment()
    with running.database.write() as session:
        token = digest_token(str(cookie.pop("admin")))
        session.execute(delete(AdminLogin).where(AdminLogin.token_digest == token))
        record(session, _visitor(running.config), "logout", {}, running.now())
    return redirect(url_for("admin.login_page"), 303)


def delay_s(session: Session, visitor: str, now: datetime) -> float:
    """How long a visitor has to wait before the next try: 2 s after the third failure, doubling."""
    query = select(Audit).where(Audit.actor == visitor).order_by(Audit.id.desc()).limit(20)
    failures: list[Audit] = []
    for entry in session.scalars(query):
        if entry.action != "login_failed":
            break
        failures.append(entry)
    if len(failures) < FREE_FAILURES:
        return 0.0
    delay = min(2.0 ** (len(failures) - FREE_FAILURES + 1), LONGEST_DELAY_S)
    passed_s = abs((now - failures[0].at).total_seconds())  # the clock may have been put back
    return max(0.0, delay - passed_s)


def _visitor(config: Config) -> str:
    """A word for an address that does not tell the address."""
    return "visitor " + keyed(config, "address", get_remote_address())[:8]


def _refuse(status: int, problem: str, wait_s: float = 0.0) -> ResponseReturnValue:
    answer = make_response(render_template("admin_login.html", problem=problem), status)
    if wait_s:
        answer.headers["Retry-After"] = str(int(wait_s) + 1)
    return answer


@click.command("admin-password")
@click.password_option(help="Asked for twice if not given here.")
def admin_password_command(password: str) -> None:
    """Makes the line of the environment that opens the dashboard with a password."""
    if len(password) < PASSWORD_LENGTH:
        raise click.ClickException(f"give it at least {PASSWORD_LENGTH} characters")
    # Quoted: a shell or a compose file would take what follows its dollar signs for variables.
    click.echo(f"ADMIN_PASSWORD_HASH='{generate_password_hash(password, method='scrypt')}'")
