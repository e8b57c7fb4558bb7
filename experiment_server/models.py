"""The tables. What a participant is, has been dealt and has answered; nothing is ever overwritten.

Times are UTC. Changing a table here needs a migration (migrations/versions).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import JSON, DateTime, ForeignKey, Index, String, TypeDecorator, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

Kind = Literal["real", "pilot", "preview", "machine"]
Stage = Literal["device", "instructions", "quiz", "practice", "main", "questions", "debrief", "end"]


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware in Python, UTC in the database (SQLite keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(DeclarativeBase):
    """A row of a table."""

    type_annotation_map = {datetime: UtcTime(), str: String(), dict[str, Any]: JSON()}  # noqa: RUF012


class StudyState(Row):
    """One row: which study the database belongs to, and whether people are let in.

    Assignment locks this row: all dealing happens one after the other.
    key_check: a keyed digest, by which another SECRET_KEY is noticed.
    """

    __tablename__ = "study_state"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    digest: Mapped[str]  # of study.json
    recruiting: Mapped[bool] = mapped_column(default=True)
    key_check: Mapped[str | None]


class Compatibility(Row):
    """One row, written by each migration: the oldest program that can work with the tables."""

    __tablename__ = "compatibility"
    id: Mapped[int] = mapped_column(primary_key=True)
    oldest_program: Mapped[str]  # the newest revision it knows


class Participant(Row):
    """A person who agreed or declined. `pseudonym` is what every export says.

    person_key, submission_key: keyed digests (HMAC) of the Prolific id and of the submission; they
    recognise a person who comes again, and tell nobody else who it is.
    outcome: a word of `stimuli.rows.Outcome`. late: finished after the place was dealt anew;
    such data are kept and not counted. slot_freed_at: when the place was given up.
    """

    __tablename__ = "participants"
    id: Mapped[int] = mapped_column(primary_key=True)
    pseudonym: Mapped[str] = mapped_column(unique=True)
    person_key: Mapped[str] = mapped_column(unique=True)
    submission_key: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]  # Kind
    signed_entry: Mapped[bool] = mapped_column(default=False)
    stage: Mapped[str]  # Stage
    stage_since: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(default="in_progress")
    condition: Mapped[str | None]
    list_index: Mapped[int | None]
    dealt_at: Mapped[datetime | None]
    slot_freed_at: Mapped[datetime | None]
    late: Mapped[bool] = mapped_column(default=False)
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    instruction_s: Mapped[float] = mapped_column(default=0.0)
    quiz_attempts: Mapped[int] = mapped_column(default=0)
    practice_attempts: Mapped[int] = mapped_column(default=0)
    device: Mapped[dict[str, Any]] = mapped_column(default=dict)
    answers: Mapped[dict[str, Any]] = mapped_column(default=dict)  # age_years, gender, comments
    delete_requested: Mapped[bool] = mapped_column(default=False)
    responses: Mapped[list[Response]] = relationship(
        back_populates="participant",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="Response.trial_index",
    )

    __table_args__ = (Index("participants_by_slot", "condition", "outcome"),)


class Identity(Row):
    """The raw Prolific ids, apart from all data: this table alone can be emptied."""

    __tablename__ = "identities"
    participant_id: Mapped[int] = mapped_column(
        ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True
    )
    prolific_pid: Mapped[str]
    prolific_study_id: Mapped[str]
    submission_id: Mapped[str]


class Login(Row):
    """A browser of a participant: only the digest of its token is kept.

    preload: what the browser said of loading the images.
    """

    __tablename__ = "logins"
    token_digest: Mapped[str] = mapped_column(primary_key=True)
    participant_id: Mapped[int] = mapped_column(
        ForeignKey("participants.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime]
    preload: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Response(Row):
    """One answered trial. `trial_index` counts all trials a participant was shown, from 0."""

    __tablename__ = "responses"
    id: Mapped[int] = mapped_column(primary_key=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id", ondelete="CASCADE"))
    trial_index: Mapped[int]
    trial_id: Mapped[str]
    response_side: Mapped[str]  # left, right
    correct: Mapped[bool]
    rt_ms: Mapped[float]
    confidence: Mapped[int | None]
    shown_at: Mapped[datetime]
    responded_at: Mapped[datetime]
    received_at: Mapped[datetime]
    timing: Mapped[dict[str, Any]] = mapped_column(default=dict)
    participant: Mapped[Participant] = relationship(back_populates="responses")

    __table_args__ = (UniqueConstraint("participant_id", "trial_index"),)


class Audit(Row):
    """What the researcher and Prolific did, each entry chained to the one before by its digest."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    previous_digest: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)


class AdminLogin(Row):
    """A researcher's browser, by the digest of its token."""

    __tablename__ = "admin_logins"
    token_digest: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class ProlificEvent(Row):
    """A webhook event that was taken; its id is taken once."""

    __tablename__ = "prolific_events"
    event_id: Mapped[str] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]
    type: Mapped[str]
    submission_key: Mapped[str | None] = mapped_column(index=True)
    status: Mapped[str | None]


class Bonus(Row):
    """The bonus ledger: planned, then sent. Prolific's own call is not idempotent."""

    __tablename__ = "bonuses"
    id: Mapped[int] = mapped_column(primary_key=True)
    participant_id: Mapped[int] = mapped_column(
        ForeignKey("participants.id", ondelete="CASCADE"), unique=True
    )
    amount_minor: Mapped[int]
    reason: Mapped[str]
    state: Mapped[str]  # planned, sending, paid
    planned_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    bulk_id: Mapped[str | None]


class Backup(Row):
    """A backup that was made, for the dashboard."""

    __tablename__ = "backups"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    path: Mapped[str]
    digest: Mapped[str]


class RequestCount(Row):
    """How often somebody asked for something lately (PostgreSQL alone; see `rate_limits.py`).

    key: a keyed digest of who and what; no address and no token stands here.
    """

    __tablename__ = "request_counts"
    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    expires_at: Mapped[datetime]
