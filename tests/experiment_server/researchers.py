"""Somebody with a browser at /admin."""

from __future__ import annotations

import re

from pydantic import SecretStr
from sqlalchemy import select
from werkzeug.security import generate_password_hash

from experiment_server.models import Audit

PASSWORD = "correct horse battery"


HASH = SecretStr(generate_password_hash(PASSWORD, method="scrypt:1024:8:1"))  # quick, for tests


class Researcher:
    """Somebody with a browser at /admin."""

    def __init__(self, app) -> None:
        self.client = app.test_client()
        self.csrf = ""

    def get(self, path: str):
        answer = self.client.get(path)
        found = re.search(r'name="csrf-token" content="([^"]+)"', answer.get_data(as_text=True))
        self.csrf = found.group(1) if found else self.csrf
        return answer

    def post(self, path: str, **form: str):
        return self.client.post(path, data={"csrf_token": self.csrf, **form})

    def log_in(self, password: str = PASSWORD):
        self.get("/admin/login")
        return self.post("/admin/login", password=password)


def actions(running) -> list[str]:
    with running.database.read() as session:
        return list(session.scalars(select(Audit.action).order_by(Audit.id)))
