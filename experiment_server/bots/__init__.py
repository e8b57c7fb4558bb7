"""Machine participants: they take part over HTTP, from the link to the completion code.

They know the contract of docs/server.md and nothing else of the server. With the study bundle at
hand they answer as accurately as they are told; without it they guess, and learn in the practice.
"""

from experiment_server.bots.clock import SharedClock
from experiment_server.bots.habits import LIKE_PEOPLE, PLAIN, Habits
from experiment_server.bots.report import Acknowledged, Report, new_report
from experiment_server.bots.run import bots_command, run_bots

__all__ = [
    "LIKE_PEOPLE",
    "PLAIN",
    "Acknowledged",
    "Habits",
    "Report",
    "SharedClock",
    "bots_command",
    "new_report",
    "run_bots",
]
