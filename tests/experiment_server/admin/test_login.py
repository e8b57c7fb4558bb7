"""Who gets to the researcher's pages, and how."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from researchers import Researcher, actions
from sqlalchemy import select

from experiment_server.models import AdminLogin


@pytest.mark.parametrize("given", [None, SecretStr("hunter2"), SecretStr("scrypt:32768:8:1")])
def test_without_a_scrypt_hash_nobody_gets_in_and_the_page_says_how(make_app, given):
    visitor = Researcher(make_app(admin_password_hash=given))
    for answer in (visitor.get("/admin/"), visitor.get("/admin/login"), visitor.log_in("hunter2")):
        assert answer.status_code == 503
        assert "flask --app experiment_server admin-password" in answer.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/admin/", "/admin/audit"])
def test_strangers_are_sent_to_the_login(visitor, path):
    answer = visitor.get(path)
    assert (answer.status_code, answer.location) == (303, "/admin/login")


def test_strangers_can_do_nothing(visitor, running):
    visitor.get("/admin/login")
    for what in ("recruitment", "preview", "backup", "export", "payments", "accuracy", "logout"):
        answer = visitor.post(f"/admin/{what}", choice="pause", condition="maco")
        assert (answer.status_code, answer.location) == (303, "/admin/login")
    assert visitor.get("/admin/counts").status_code == 401
    assert actions(running) == []


def test_every_post_needs_its_csrf_token(researcher, running):
    before = actions(running)
    researcher.csrf = "forged"
    for what in ("recruitment", "preview", "backup", "export", "payments", "accuracy", "logout"):
        answer = researcher.post(f"/admin/{what}", choice="pause", condition="maco")
        assert answer.status_code == 400
        assert "Prolific" not in answer.get_data(as_text=True)
    assert actions(running) == before


def test_the_right_password_opens_and_leaves_no_trace_of_the_token(researcher, running):
    assert researcher.get("/admin/").status_code == 200
    with researcher.client.session_transaction() as cookie:
        token = cookie["admin"]
    with running.database.read() as session:
        [kept] = session.scalars(select(AdminLogin.token_digest))
    assert len(token) >= 22  # 128 bits in base64
    assert token not in kept
    assert actions(running) == ["login"]


def test_a_login_ends_after_twelve_hours_or_by_logging_out(researcher, clock, running):
    clock.advance(hours=11, minutes=59)
    assert researcher.get("/admin/").status_code == 200
    clock.advance(minutes=1)
    assert researcher.get("/admin/").status_code == 303
    researcher.log_in()
    with researcher.client.session_transaction() as cookie:
        stolen = cookie["admin"]
    researcher.get("/admin/")
    researcher.post("/admin/logout")
    with researcher.client.session_transaction() as cookie:
        cookie["admin"] = stolen
    assert researcher.get("/admin/").status_code == 303
    assert actions(running) == ["login", "login", "logout"]


def test_wrong_passwords_cost_more_and_more_time(visitor, clock, running):
    for _ in range(3):
        answer = visitor.log_in("guess")
        assert answer.status_code == 403
        assert "not the password" in answer.get_data(as_text=True)
    answer = visitor.log_in()  # the right one, too early
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    clock.advance(seconds=2)
    assert visitor.log_in("guess").status_code == 403
    clock.advance(seconds=3.9)
    assert visitor.log_in().status_code == 429
    clock.advance(seconds=0.1)
    assert visitor.log_in().status_code == 303
    assert actions(running) == ["login_failed"] * 4 + ["login"]
    assert visitor.log_in("guess").status_code == 403  # counted anew
    assert visitor.log_in().status_code == 303


def test_a_clock_put_back_locks_nobody_out(visitor, clock):
    for _ in range(3):
        visitor.log_in("guess")
    clock.advance(hours=-1)
    assert visitor.log_in().status_code == 303
    assert visitor.get("/admin/").status_code == 200


def test_somebody_elses_guesses_do_not_lock_the_researcher_out(app, visitor):
    for _ in range(6):
        stranger = Researcher(app)
        stranger.client.environ_base["REMOTE_ADDR"] = "203.0.113.9"
        stranger.log_in("guess")
    assert visitor.log_in().status_code == 303
