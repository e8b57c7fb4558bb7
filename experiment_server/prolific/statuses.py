"""What a submission's status on Prolific means for the place its participant holds here.

Documented: the statuses (RESERVED, ACTIVE, TIMED-OUT, AWAITING REVIEW, APPROVED, RETURNED,
REJECTED, SCREENED OUT), and that webhooks arrive at least once and in any order.

The rule, by which every order of arrival ends the same (but for a TIMED-OUT that is followed by
AWAITING REVIEW: whether the place was freed in between depends on which is heard of first):

1. Only RETURNED, TIMED-OUT, REJECTED and SCREENED OUT do anything: the place is freed, once.
2. No status takes a place back. It may be somebody else's by then.
3. A status that comes before one already known (in the order of `RANK`) is old news and does
   nothing: a TIMED-OUT that is delivered after AWAITING REVIEW sends nobody away.
4. Who has completed the study here stays completed, unless the submission was returned.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from experiment_server.assignment import free_slot
from experiment_server.experiment import Experiment
from experiment_server.models import Identity, Participant
from experiment_server.prolific.entry import normal_id
from experiment_server.security import keyed
from stimuli.rows import Outcome

RANK = {
    "RESERVED": 0,
    "ACTIVE": 1,
    "TIMED OUT": 2,
    "AWAITING REVIEW": 3,
    "APPROVED": 4,
    "PARTIALLY APPROVED": 4,
    "SCREENED OUT": 4,
    "REJECTED": 4,
    "RETURNED": 4,
}
FREEING: dict[str, Outcome] = {
    "TIMED OUT": "timed_out",
    "RETURNED": "returned",
    "REJECTED": "returned",
    "SCREENED OUT": "returned",
}
SUBMITTED = {"AWAITING REVIEW", "APPROVED", "PARTIALLY APPROVED"}


def normal_status(status: str) -> str:
    """TIMED-OUT, TIMED_OUT and timed out are one status: upper case, with spaces."""
    return status.upper().replace("-", " ").replace("_", " ").strip()


def mirror(participant: Participant, status: str, now: datetime) -> bool:
    """Frees the participant's place if the status says so; whether that changed anything."""
    status = normal_status(status)
    before = participant.outcome
    if status == "RETURNED" or (status in FREEING and before == "in_progress"):
        free_slot(participant, FREEING[status], now)
    return participant.outcome != before


def find_participant(
    session: Session, running: Experiment, submission_id: str, study_id: str | None = None
) -> Participant | None:
    """Whose submission it is, locked until the transaction ends.

    A webhook names no study, so all studies that are known here are tried.
    """
    studies = [study_id] if study_id else known_studies(session, running)
    keys = [submission_key(running, study, submission_id) for study in studies]
    query = select(Participant).where(Participant.submission_key.in_(keys)).with_for_update()
    return session.scalars(query).first()


def known_studies(session: Session, running: Experiment) -> list[str]:
    """Prolific's ids of this study: those of the settings, and those participants came with."""
    met = session.scalars(select(Identity.prolific_study_id).distinct())
    return sorted({*map(normal_id, running.settings.prolific.study_ids), *met})


def submission_key(running: Experiment, study_id: str, submission_id: str) -> str:
    """What `Participant.submission_key` is for a submission."""
    return keyed(running.config, "submission", normal_id(study_id), normal_id(submission_id))
