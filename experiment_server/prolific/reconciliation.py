"""Prolific's list of submissions beside our participants: what is missing on either side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from experiment_server.experiment import Experiment
from experiment_server.models import Participant
from experiment_server.prolific.client import Submission
from experiment_server.prolific.codes import completion, paid_as
from experiment_server.prolific.statuses import SUBMITTED, mirror, submission_key


@dataclass(frozen=True)
class Reconciliation:
    """What differs.

    freed: participants whose place was freed now. without_data: submitted on Prolific by people who
    never came or did not finish here. unsubmitted: completed here, and on Prolific without a
    submission or with one of that status. other_code: participants who entered another code than
    they were given.
    """

    freed: tuple[str, ...]
    without_data: tuple[Submission, ...]
    unsubmitted: tuple[tuple[str, str], ...]
    other_code: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Due:
    """A submission that waits for the researcher: whose, and the completion code it gets."""

    submission_id: str
    pseudonym: str
    code: str = ""


def reconcile(
    session: Session, running: Experiment, submissions: Iterable[Submission]
) -> Reconciliation:
    """Mirrors all statuses, and compares. The list is Prolific's present state: nothing is old."""
    people = _people(session, lock=True)
    matched = [(one, people.get(_key(running, one))) for one in submissions]
    freed = [
        person.pseudonym
        for one, person in matched
        if person is not None and mirror(person, one.status, running.now())
    ]
    return Reconciliation(
        freed=tuple(freed),
        without_data=tuple(
            one
            for one, person in matched
            if one.status in SUBMITTED
            and (person is None or person.outcome in {"in_progress", "timed_out"})
        ),
        unsubmitted=tuple(_unsubmitted(running, people, [one for one, _ in matched])),
        other_code=tuple(
            (person.pseudonym, one.code or "none")
            for one, person in matched
            if person is not None and one.status in SUBMITTED and _is_other(running, person, one)
        ),
    )


def payable(session: Session, running: Experiment, submissions: Iterable[Submission]) -> list[Due]:
    """Submissions of those who did the whole study and wait for their pay."""
    people = _people(session)
    found = [(one, people.get(_key(running, one))) for one in submissions if _waits(one)]
    return [
        Due(one.id, person.pseudonym)
        for one, person in found
        if person is not None and person.finished_at is not None and person.outcome in _WORKED
    ]


def completable(
    session: Session, running: Experiment, submissions: Iterable[Submission]
) -> list[Due]:
    """Submissions, still active, of those who are at an end here, each with its code."""
    people = _people(session)
    found = []
    for one in submissions:
        person = people.get(_key(running, one))
        code = completion(paid_as(person), running).code if person is not None else None
        if person is not None and one.status == "ACTIVE" and code is not None:
            found.append(Due(one.id, person.pseudonym, code))
    return found


_WORKED = {"completed", "withdrew"}


def _waits(submission: Submission) -> bool:
    return submission.status == "AWAITING REVIEW"


def _people(session: Session, *, lock: bool = False) -> dict[str, Participant]:
    query = select(Participant).where(Participant.kind != "preview")
    query = query.with_for_update() if lock else query
    return {one.submission_key: one for one in session.scalars(query)}


def _key(running: Experiment, submission: Submission) -> str:
    return submission_key(running, submission.study_id, submission.id)


def _unsubmitted(
    running: Experiment, people: Mapping[str, Participant], submissions: Iterable[Submission]
) -> Iterable[tuple[str, str]]:
    statuses = {_key(running, one): one.status for one in submissions}
    for key, person in people.items():
        status = statuses.get(key, "no submission")
        if person.outcome == "completed" and status not in SUBMITTED | {"REJECTED"}:
            yield person.pseudonym, status


def _is_other(running: Experiment, person: Participant, submission: Submission) -> bool:
    given = completion(paid_as(person), running).code
    return given is not None and submission.code != given
