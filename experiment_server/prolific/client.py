"""What a running study asks of Prolific. For commands: the token stays out of the web server.

Documented: the paths and bodies; pages of 20 submissions by default; transitions are idempotent; a
rejection needs a category and at least 100 characters; bonuses are set up in one call, as lines
`participant,amount` with decimal amounts in the study's currency, and paid by a second, which is
not idempotent; at most 200 in a call. Our reading: the list's `results`, `meta.count` and
`_links.next`; `participant_id` and `study_code` in a list where a single submission has
`participant` and `entered_code`; and that approving many at once is as repeatable as approving one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import quote

from experiment_server.prolific.api import Api, ProlificError
from experiment_server.prolific.statuses import normal_status

PAGE = 100
LARGEST_BULK = 200
SHORTEST_REASON = 100  # characters

RejectionCategory = Literal[
    "TOO_QUICKLY",
    "TOO_SLOWLY",
    "FAILED_INSTRUCTIONS",
    "INCOMP_LONGITUDINAL",
    "FAILED_CHECK",
    "LOW_EFFORT",
    "MALINGERING",
    "NO_CODE",
    "BAD_CODE",
    "NO_DATA",
    "UNSUPP_DEVICE",
    "OTHER",
]


@dataclass(frozen=True)
class Submission:
    """A person's submission. status: upper case with spaces; code: what was entered."""

    id: str
    participant: str
    study_id: str
    status: str
    code: str | None


@dataclass(frozen=True)
class BonusBatch:
    """Bonuses that are set up and not paid. amount_minor: their sum without fees, in cents."""

    id: str
    amount_minor: float | None
    total_minor: float | None


class ProlificClient(Api):
    """What is asked, each question a method."""

    def submissions(self, study_id: str) -> list[Submission]:
        """All submissions of a study, page after page. ProlificError if one is missing."""
        found: dict[str, Submission] = {}
        page, more, count = 1, True, None
        while more:
            params = {"study": study_id, "page": page, "page_size": PAGE}
            answer = self.call("GET", "/api/v1/submissions/", "always", params=params)
            results = answer.get("results") or []
            found |= {row["id"]: _submission(row, study_id) for row in results}
            count = (answer.get("meta") or {}).get("count")
            link = ((answer.get("_links") or {}).get("next") or {}).get("href")
            more = bool(results) and (bool(link) or len(found) < (count or 0))
            page += 1
        if count is not None and len(found) < count:
            raise ProlificError(f"study {study_id}: {len(found)} of {count} submissions were read")
        return list(found.values())

    def submission(self, submission_id: str) -> Submission:
        """One submission."""
        return _submission(self.call("GET", _path(submission_id), "always"), "")

    def approve(self, submission_id: str) -> None:
        """Approves a submission, and so pays it."""
        self._transition(submission_id, {"action": "APPROVE"})

    def complete(self, submission_id: str, code: str) -> None:
        """Completes a submission for its participant: for codes whose actor is the researcher."""
        self._transition(submission_id, {"action": "COMPLETE", "completion_code": code})

    def reject(self, submission_id: str, category: RejectionCategory, message: str) -> None:
        """Rejects a submission. ValueError for another category or a message that is too short."""
        if category not in get_args(RejectionCategory):
            allowed = ", ".join(get_args(RejectionCategory))
            raise ValueError(f"{category!r} is no category of rejections: {allowed}")
        if len(message.strip()) < SHORTEST_REASON:
            raise ValueError(
                f"the message has {len(message.strip())} characters: a rejection is explained to"
                f" the participant in at least {SHORTEST_REASON}"
            )
        self._transition(
            submission_id,
            {"action": "REJECT", "rejection_category": category, "message": message.strip()},
        )

    def request_return(self, submission_id: str, reasons: Sequence[str]) -> None:
        """Asks a participant to return the submission."""
        body = {"request_return_reasons": list(reasons)}
        self.call("POST", _path(submission_id, "request-return/"), "refused", json=body)

    def approve_all(self, submission_ids: Sequence[str]) -> None:
        """Approves many submissions; Prolific does so in the minutes that follow."""
        for chunk in chunks(submission_ids):
            body = {"submission_ids": list(chunk)}
            self.call("POST", "/api/v1/submissions/bulk-approve/", "always", json=body)

    def set_up_bonuses(self, study_id: str, amounts_minor: Mapping[str, int]) -> BonusBatch:
        """Prepares bonuses, and pays none. amounts_minor: participant id -> pence or cents."""
        if not 0 < len(amounts_minor) <= LARGEST_BULK:
            raise ValueError(f"{len(amounts_minor)} bonuses in a call: 1 to {LARGEST_BULK}")
        lines = [f"{person},{decimal(amount)}" for person, amount in amounts_minor.items()]
        body = {"study_id": study_id, "csv_bonuses": "\n".join(lines)}
        answer = self.call("POST", "/api/v1/submissions/bonus-payments/", "refused", json=body)
        if not answer.get("id"):
            raise ProlificError("the bonuses were set up, but Prolific names no id to pay them by")
        return BonusBatch(str(answer["id"]), answer.get("amount"), answer.get("total_amount"))

    def pay_bonuses(self, batch_id: str) -> None:
        """Pays what was set up. Never sent again, whatever the answer: it would pay twice."""
        path = f"/api/v1/bulk-bonus-payments/{quote(batch_id, safe='')}/pay/"
        self.call("POST", path, "never")

    def _transition(self, submission_id: str, body: dict[str, str]) -> None:
        self.call("POST", _path(submission_id, "transition/"), "always", json=body)


def chunks(values: Sequence[str]) -> list[Sequence[str]]:
    """Portions of at most 200."""
    return [values[at : at + LARGEST_BULK] for at in range(0, len(values), LARGEST_BULK)]


def decimal(amount_minor: int) -> str:
    """150 -> 1.50: pence or cents in the form the API wants, where 150 would mean 150.00."""
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def _path(submission_id: str, action: str = "") -> str:
    return f"/api/v1/submissions/{quote(submission_id, safe='')}/{action}"


def _submission(row: Mapping[str, Any], study_id: str) -> Submission:
    return Submission(
        id=str(row["id"]),
        participant=str(row.get("participant_id") or row.get("participant") or ""),
        study_id=str(row.get("study_id") or study_id),
        status=normal_status(str(row.get("status", ""))),
        code=row.get("study_code") or row.get("entered_code"),
    )
