"""Events that Prolific posts to us: verified, taken once, and mirrored into places.

Documented: X-Prolific-Request-Signature is the base64 of HMAC-SHA256, with the workspace's secret,
over X-Prolific-Request-Timestamp followed by the raw body; X-Event-ID is the same when an event is
delivered again; the body of submission.status.change has resource_id (the submission),
participant_id and status. Our reading: a request more than five minutes old, or from the future,
is refused; and since X-Event-ID is not signed, nothing may depend on its truth: an event taken
twice under two ids changes nothing the second time (see `statuses`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, request
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from experiment_server.audit import record
from experiment_server.experiment import Experiment, experiment
from experiment_server.models import Participant, ProlificEvent
from experiment_server.prolific.statuses import RANK, find_participant, mirror, normal_status
from experiment_server.security import csrf, keyed, limiter

OLDEST_S = 300
ID_LIMIT = 200  # characters
STATUS_CHANGE = "submission.status.change"

prolific = Blueprint("prolific", __name__, url_prefix="/prolific")


@prolific.post("/webhook")
@csrf.exempt  # type: ignore[untyped-decorator]
@limiter.limit("1200 per minute")
def webhook() -> Response | tuple[Response, int]:
    """Takes one event; 200 says that it is on disk, or was before."""
    running = experiment()
    secret = running.config.prolific_webhook_secret
    if secret is None:
        abort(404)
    body = request.get_data()
    stamp = request.headers.get("X-Prolific-Request-Timestamp", "")
    signature = request.headers.get("X-Prolific-Request-Signature", "")
    fault = find_fault(body, stamp, signature, secret.get_secret_value(), _now_s(running))
    if fault:
        current_app.logger.warning("webhook refused: %s", fault)
        return jsonify(error="unverified", message=fault), 401
    event = _read(body)
    if event is None:
        return jsonify(error="invalid", message="the body is no event of Prolific's"), 400
    event_id = request.headers.get("X-Event-ID", "") or hashlib.sha256(body).hexdigest()
    with running.database.write() as session:
        taken = take(session, running, event_id[:ID_LIMIT], event)
    return jsonify(taken=taken)


def find_fault(body: bytes, stamp: str, signature: str, secret: str, now_s: float) -> str | None:
    """Why a request is not Prolific's, or None if it is. stamp: UNIX time, in s."""
    try:
        sent_s = float(stamp)
    except ValueError:
        return "no timestamp"
    right = base64.b64encode(sign(body, stamp, secret))
    if not hmac.compare_digest(right, signature.encode("utf-8", "replace")):
        return "the signature is not of the webhook secret"
    if not abs(now_s - sent_s) <= OLDEST_S:
        return f"sent {now_s - sent_s:.0f} s ago, or the clocks differ"
    return None


def sign(body: bytes, stamp: str, secret: str) -> bytes:
    """The digest that Prolific's signature is the base64 of."""
    message = stamp.encode("utf-8", "replace") + body
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def take(session: Session, running: Experiment, event_id: str, event: dict[str, str]) -> bool:
    """Enters an event and does what it asks; False if it was taken before."""
    status = normal_status(event.get("status", "")) or None
    submission = event["resource_id"] if event["event_type"] == STATUS_CHANGE else None
    # The participant's row is locked first: two events of one submission wait for each other.
    participant = find_participant(session, running, submission) if submission else None
    key = keyed(running.config, "event of submission", submission) if submission else None
    newest = _highest_rank(session, key)
    row = ProlificEvent(
        event_id=event_id,
        received_at=running.now(),
        type=event["event_type"],
        submission_key=key,
        status=status,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    detail: dict[str, Any] = {"event": event_id, "type": event["event_type"], "status": status}
    if submission and status:
        detail["participant"] = participant.pseudonym if participant else None
        detail["effect"] = _apply(participant, status, newest, running)
    record(session, "prolific", "webhook", detail, running.now())
    return True


def _apply(participant: Participant | None, status: str, newest: int, running: Experiment) -> str:
    """Mirrors a status; what to note of it in the audit."""
    if participant is None:
        return "no participant of ours"
    if RANK.get(status, newest) < newest:
        return "older than what is known"
    return "place freed" if mirror(participant, status, running.now()) else "none"


def _highest_rank(session: Session, key: str | None) -> int:
    query = select(ProlificEvent.status).where(ProlificEvent.submission_key == key)
    known = session.scalars(query) if key else ()
    return max((RANK.get(status or "", -1) for status in known), default=-1)


def _read(body: bytes) -> dict[str, str] | None:
    """The fields of an event that are text, or None for what is no event."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    fields = {
        name: event[name][:ID_LIMIT]
        for name in ("event_type", "resource_id", "status")
        if isinstance(event.get(name), str) and event[name].isprintable()
    }
    has_type = bool(fields.get("event_type"))
    is_whole = fields.get("event_type") != STATUS_CHANGE or len(fields) == 3
    return fields if has_type and is_whole else None


def _now_s(running: Experiment) -> float:
    return running.now().timestamp()
