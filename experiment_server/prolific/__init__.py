"""Everything of Prolific: signed entry, completion codes, webhooks, API client, bonuses."""

from __future__ import annotations

from experiment_server.prolific.api import ProlificError
from experiment_server.prolific.client import ProlificClient, Submission
from experiment_server.prolific.codes import Completion, completion, paid_as
from experiment_server.prolific.entry import Arrival, ArrivalError, read_arrival
from experiment_server.prolific.webhooks import prolific

__all__ = [
    "Arrival",
    "ArrivalError",
    "Completion",
    "ProlificClient",
    "ProlificError",
    "Submission",
    "completion",
    "paid_as",
    "prolific",
    "read_arrival",
]
