"""What came of a run of bots."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from experiment_server.bots.browser import Traffic


class Acknowledged(NamedTuple):
    """A response that the server said is stored."""

    prolific_pid: str
    trial_index: int
    trial_id: str
    response_side: str


@dataclass
class Report:
    """What came of it. outcomes: outcome -> condition -> participants."""

    participants: int
    seed: str
    seconds: float = 0.0
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    codes: Counter[str] = field(default_factory=Counter)  # completion code -> participants
    errors: list[str] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def requests(self) -> int:
        """How many were answered."""
        return sum(len(times) for times in self.traffic.times_ms.values())

    def as_json(self) -> dict[str, Any]:
        """The report for a file."""
        plain = {key: getattr(self, key) for key in ("participants", "seed", "seconds", "requests")}
        return {
            **plain,
            "outcomes": {outcome: dict(counts) for outcome, counts in self.outcomes.items()},
            "codes": dict(self.codes),
            "errors": self.errors,
            "busy": dict(self.traffic.busy),
            "broken_connections": self.traffic.broken_connections,
            "latency_ms": self.traffic.summary(),
            "acknowledged": [one._asdict() for one in self.acknowledged],
        }


def new_report(participants: int, seed: str | None = None) -> Report:
    """A report with nothing in it yet."""
    return Report(participants, seed or secrets.token_hex(4))


def outcome_lines(report: Report) -> list[str]:
    """How many came to which end, by condition."""
    said = []
    for outcome, counts in sorted(report.outcomes.items()):
        by_condition = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        said.append(f"{outcome}: {counts.total()} ({by_condition})")
    return said


def lines(report: Report) -> list[str]:
    """A report for the eye."""
    said = [f"seed {report.seed}: {report.requests} requests in {report.seconds:.1f} s"]
    said += [f"  {line}" for line in outcome_lines(report)]
    said.append(f"  {'ms':32s} {'count':>7s} {'median':>8s} {'p95':>8s} {'p99':>8s} {'max':>8s}")
    for address, one in report.traffic.summary().items():
        figures = " ".join(f"{one[name]:8.1f}" for name in ("median", "p95", "p99", "max"))
        said.append(f"  {address:32s} {one['count']:7.0f} {figures}")
    if report.traffic.busy:
        said.append(f"  asked to wait: {dict(report.traffic.busy)}")
    if report.traffic.broken_connections:
        said.append(f"  broken connections: {report.traffic.broken_connections}")
    return said
