"""Completion codes: what a participant brings back to Prolific, decided by the server alone."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from experiment_server.config import CodeFor
from experiment_server.experiment import Experiment
from experiment_server.models import Participant

COMPLETION_URL = "https://app.prolific.com/submissions/complete?cc="

CODE_FOR: dict[str, CodeFor] = {
    "completed": "completed",
    "declined_consent": "declined_consent",
    "unsuitable_device": "unsuitable_device",
    "failed_quiz": "screened_out",
    "failed_practice": "screened_out",
}


@dataclass(frozen=True)
class Completion:
    """What the last page offers: a code and the address that enters it, or neither."""

    code: str | None
    url: str | None


def completion(outcome: str, experiment: Experiment) -> Completion:
    """The code that is configured for an outcome (`stimuli.rows.Outcome`), and its address.

    Who withdrew, timed out or returned gets none, and so does an outcome without a configured code:
    these participants are asked to return their submission on Prolific.
    """
    key = CODE_FOR.get(outcome)
    code = experiment.settings.prolific.codes.get(key) if key else None
    if not code:
        return Completion(None, None)
    return Completion(code, COMPLETION_URL + quote(code, safe=""))


def paid_as(participant: Participant) -> str:
    """The outcome that decides the code: whoever withdraws after the last trial did the work."""
    worked = participant.outcome == "withdrew" and participant.finished_at is not None
    return "completed" if worked else participant.outcome
