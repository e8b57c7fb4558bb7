"""A test double of Prolific: answers as its API is documented to, and refuses what that refuses.

It signs entry tokens and webhooks with keys of its own, and counts what is paid: a second `pay` of
the same bonuses pays again, as the real one would.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections import Counter, deque
from functools import cache
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from experiment_server.experiment import Experiment
from experiment_server.models import Identity, Kind, Participant
from experiment_server.participants import enrol
from experiment_server.security import keyed

TOKEN = "a token of tests"
WEBHOOK_SECRET = "a webhook secret of tests"
STUDY = "5f0000000000000000000001"
AUDIENCE = "https://study.example.org"
KID = "key-1"
PAGE = 20
CATEGORIES = {
    *("TOO_QUICKLY", "TOO_SLOWLY", "FAILED_INSTRUCTIONS", "INCOMP_LONGITUDINAL", "FAILED_CHECK"),
    *("LOW_EFFORT", "MALINGERING", "NO_CODE", "BAD_CODE", "NO_DATA", "UNSUPP_DEVICE", "OTHER"),
}


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """A key pair, the same for the same name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FakeProlific:
    """Studies' submissions, bonuses and keys. `requests`: every call, as (method, path)."""

    def __init__(self) -> None:
        self.submissions: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, list[tuple[str, int]]] = {}
        self.paid_minor: Counter[str] = Counter()
        self.return_requests: dict[str, list[str]] = {}
        self.kids = [KID]
        self.requests: list[tuple[str, str]] = []
        self.faults: deque[httpx.Response | Exception] = deque()
        self.transport = httpx.MockTransport(self._answer)

    # What happens on Prolific's side

    def submit(
        self,
        submission_id: str | None = None,
        participant: str | None = None,
        status: str = "AWAITING REVIEW",
        code: str | None = "DONE",
        study: str = STUDY,
    ) -> str:
        """A submission in some status; its id."""
        name = submission_id or secrets.token_hex(12)
        self.submissions[name] = {
            "id": name,
            "participant_id": participant or secrets.token_hex(12),
            "study_id": study,
            "status": status,
            "study_code": code,
        }
        return name

    def entry_token(
        self, key: str = KID, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A signed `prolific_token`; a claim that is given as None is left out."""
        body = {"iss": "https://www.prolific.com", "aud": f"{AUDIENCE}/", **claims}
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, private_key(key), "RS256", headers={"kid": KID, **(header or {})})

    def event(
        self,
        now_s: float,
        body: dict[str, Any] | bytes,
        event_id: str,
        secret: str = WEBHOOK_SECRET,
    ) -> dict[str, Any]:
        """What a webhook is posted with: keyword arguments of a test client's `post`."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        stamp = str(int(now_s))
        digest = hmac.new(secret.encode(), stamp.encode() + raw, hashlib.sha256).digest()
        return {
            "data": raw,
            "content_type": "application/json",
            "headers": {
                "X-Prolific-Request-Timestamp": stamp,
                "X-Prolific-Request-Signature": base64.b64encode(digest).decode(),
                "X-Event-ID": event_id,
            },
        }

    def take_part(
        self,
        running: Experiment,
        outcome: str = "in_progress",
        status: str = "ACTIVE",
        code: str | None = None,
        kind: Kind = "real",
    ) -> Participant:
        """Somebody who is on Prolific and here, in a condition, with some outcome."""
        person = secrets.token_hex(12)
        submission = self.submit(participant=person, status=status, code=code)
        now = running.now()
        with running.database.write() as session:
            participant = enrol(
                session,
                person_key=person,
                submission_key=keyed(running.config, "submission", STUDY, submission),
                kind=kind,
                now=now,
            )
            participant.condition, participant.list_index, participant.dealt_at = "maco", 0, now
            participant.outcome = outcome
            if outcome == "completed":
                participant.finished_at = now
            session.add(
                Identity(
                    participant_id=participant.id,
                    prolific_pid=person,
                    prolific_study_id=STUDY,
                    submission_id=submission,
                )
            )
        return participant

    def submission_of(self, running: Experiment, participant: Participant) -> str:
        """The id of a participant's submission."""
        with running.database.read() as session:
            return session.get_one(Identity, participant.id).submission_id

    # The API

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        self.requests.append((request.method, path))
        if self.faults:
            fault = self.faults.popleft()
            if isinstance(fault, Exception):
                raise fault
            return fault
        if path == "/.well-known/study/jwks.json":
            return httpx.Response(200, json={"keys": [self._public(kid) for kid in self.kids]})
        if request.headers.get("Authorization") != f"Token {TOKEN}":
            return _refusal(401, "Authentication credentials were not provided.")
        body = json.loads(request.content) if request.content else {}
        for method, pattern, handler in self._routes():
            match = re.fullmatch(f"/api/v1/{pattern}/", path)
            if match and method == request.method:
                return handler(*match.groups(), body=body, query=request.url.params)
        return _refusal(404, f"no such path: {request.method} {path}")

    def _routes(self) -> list[tuple[str, str, Any]]:
        return [
            ("GET", "submissions", self._list),
            ("POST", "submissions/bulk-approve", self._bulk_approve),
            ("POST", "submissions/bonus-payments", self._set_up),
            ("POST", "bulk-bonus-payments/([^/]+)/pay", self._pay),
            ("GET", "submissions/([^/]+)", self._one),
            ("POST", "submissions/([^/]+)/transition", self._transition),
            ("POST", "submissions/([^/]+)/request-return", self._request_return),
        ]

    def _public(self, kid: str) -> dict[str, Any]:
        public = private_key(kid).public_key()
        jwk: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
        return {**jwk, "kid": kid, "alg": "RS256", "use": "sig", "key_ops": ["verify"]}

    def _list(self, body: Any, query: httpx.QueryParams) -> httpx.Response:
        page, size = int(query.get("page", 1)), min(int(query.get("page_size", PAGE)), PAGE)
        rows = [row for row in self.submissions.values() if row["study_id"] == query["study"]]
        shown = rows[(page - 1) * size : page * size]
        more = page * size < len(rows)
        link = f"https://api.prolific.com/api/v1/submissions/?page={page + 1}" if more else None
        links = {"next": {"href": link, "title": "Next"}}
        return httpx.Response(
            200, json={"results": shown, "_links": links, "meta": {"count": len(rows)}}
        )

    def _one(self, name: str, body: Any, query: Any) -> httpx.Response:
        row = self.submissions.get(name)
        if row is None:
            return _refusal(404, "Not found.")
        single = {
            "id": name,
            "participant": row["participant_id"],
            "study_id": row["study_id"],
            "status": row["status"],
            "entered_code": row["study_code"],
        }
        return httpx.Response(200, json=single)

    def _transition(self, name: str, body: Any, query: Any) -> httpx.Response:
        row = self.submissions.get(name)
        if row is None:
            return _refusal(404, "Not found.")
        action = body.get("action")
        if action == "REJECT":
            if len(body.get("message", "")) < 100:
                return _refusal(400, "message: at least 100 characters")
            if body.get("rejection_category") not in CATEGORIES:
                return _refusal(400, "rejection_category: not a valid choice")
        if action == "COMPLETE" and not body.get("completion_code"):
            return _refusal(400, "completion_code: required")
        after = {"APPROVE": "APPROVED", "REJECT": "REJECTED", "COMPLETE": "AWAITING REVIEW"}
        if action not in after:
            return _refusal(400, "action: not a valid choice")
        row["status"] = after[action]
        row["study_code"] = body.get("completion_code", row["study_code"])
        return httpx.Response(200, json={"id": name, "status": row["status"]})

    def _request_return(self, name: str, body: Any, query: Any) -> httpx.Response:
        reasons = body.get("request_return_reasons")
        if not reasons or not all(isinstance(one, str) for one in reasons):
            return _refusal(400, "request_return_reasons: a list of strings")
        self.return_requests[name] = reasons
        return httpx.Response(200, json={"id": name})

    def _bulk_approve(self, body: Any, query: Any) -> httpx.Response:
        names = body.get("submission_ids") or []
        if not names or any(name not in self.submissions for name in names):
            return _refusal(400, "submission_ids: unknown")
        for name in names:
            self.submissions[name]["status"] = "APPROVED"
        return httpx.Response(202, json={"message": "in progress"})

    def _set_up(self, body: Any, query: Any) -> httpx.Response:
        lines = [line.split(",") for line in body.get("csv_bonuses", "").splitlines()]
        known = {
            row["participant_id"]
            for row in self.submissions.values()
            if row["study_id"] == body.get("study_id")
        }
        unknown = [person for person, _ in lines if person not in known]
        if not 0 < len(lines) <= 200 or len({person for person, _ in lines}) < len(lines):
            return _refusal(400, "csv_bonuses: 1 to 200 different people")
        if unknown:
            return _refusal(400, f"not in this study: {', '.join(unknown)}")
        name = secrets.token_hex(12)
        self.batches[name] = [(person, round(float(amount) * 100)) for person, amount in lines]
        amount = sum(minor for _, minor in self.batches[name])
        total = amount * 1.4
        return httpx.Response(201, json={"id": name, "amount": amount, "total_amount": total})

    def _pay(self, name: str, body: Any, query: Any) -> httpx.Response:
        if name not in self.batches:
            return _refusal(404, "Not found.")
        for person, minor in self.batches[name]:
            self.paid_minor[person] += minor
        return httpx.Response(202, json={})


def _refusal(status: int, detail: str) -> httpx.Response:
    error = {"status": status, "title": "Error", "detail": detail}
    return httpx.Response(status, json={"error": error})
