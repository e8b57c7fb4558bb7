"""Nonsense to send to the server, and what must hold of its answers and its database."""

from __future__ import annotations

import json
import math

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from sqlalchemy import inspect, select

from experiment_server.models import Row
from stimuli.rows import Outcome

PAGES = ("device", "instructions", "quiz", "questions", "debrief", "withdraw")


fuzzed = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


# What has broken servers: NUL, lone surrogates, other scripts, formulas, paths, huge numbers.
nasty_text = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.sampled_from(
        [
            "\0",
            "a\0b",
            "\ud800",
            "=1+1",
            "../../etc/passwd",
            "%00",
            "{{7*7}}",
            "' OR 1=1 --",
            "\u0663",  # a digit, of another script
            "\uff11\uff12",  # digits, of another width
            "1e400",
            "-0",
            "9" * 400,
            "x" * 5000,
        ]
    ),
)


nasty_number = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from(
        [2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -1e308, math.nan, math.inf, 5e-324]
    ),
)


nasty = st.recursive(
    st.none() | st.booleans() | nasty_number | nasty_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(nasty_text, inner, max_size=4),
    max_leaves=12,
)


nasty_bytes = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"",
            b"null",
            b"[]",
            b"{",
            b'"' + b"a" * 1000,
            b"[" * 50_000,
            b'{"a":' * 20_000,
            b"\xff\xfe{}",
            b"NaN",
            b"1" * 5000,
            b'{"trial_index": 0, "trial_index": 1}',
            b"x" * (300 * 1024),
        ]
    ),
)


content_types = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=" + "b" * 80,
        "text/plain",
        "",
        "é",
    ]
)


def dump(value) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def rows(running) -> dict[str, list]:
    """Every row of every table."""
    with running.database.read() as session:
        return {
            name: [tuple(row) for row in session.execute(select(table)).all()]
            for name, table in Row.metadata.tables.items()
        }


def check_json(answer, allowed):
    """A JSON answer of the contract in docs/server.md."""
    assert answer.status_code in allowed, (answer.status_code, answer.text[:300])
    if answer.status_code == 204:
        return
    body = answer.get_json()
    assert body is not None, answer.text[:300]
    assert ("error" in body) == (answer.status_code != 200)
    if answer.status_code == 409:
        assert body["error"] in {"out_of_order", "not_dealt"}
        assert isinstance(body["next"], int)
    if answer.status_code in {400, 413, 415, 422}:
        assert body["error"] in {"invalid", "csrf"}
        assert body["message"]
    if answer.status_code == 401:
        assert body["error"] == "no_session"
    if answer.status_code == 410:
        assert body["error"] == "ended"


def check_page(answer, allowed=frozenset({200, 302, 303, 400, 401, 403, 404, 405, 413, 415})):
    """A page, not a stack trace."""
    assert answer.status_code in allowed, (answer.status_code, answer.text[:300])
    assert "Traceback" not in answer.text


def check_database(running):
    """Nothing in it that the export could not say."""
    with running.database.read() as session:
        for mapper in Row.registry.mappers:
            for row in session.scalars(select(mapper.class_)):
                assert inspect(row).persistent
                if hasattr(row, "outcome"):
                    assert row.outcome in Outcome.__args__
                if hasattr(row, "rt_ms"):
                    assert math.isfinite(row.rt_ms)
                    assert row.rt_ms >= 0
