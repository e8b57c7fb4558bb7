"""A server with a researcher's pages, a visitor to them, and the researcher."""

from __future__ import annotations

import pytest
from researchers import HASH, Researcher


@pytest.fixture
def app(make_app):
    return make_app({"prolific": {"reward_minor": 300}}, admin_password_hash=HASH)


@pytest.fixture
def visitor(app) -> Researcher:
    return Researcher(app)


@pytest.fixture
def researcher(visitor) -> Researcher:
    assert visitor.log_in().status_code == 303
    visitor.get("/admin/")
    return visitor
