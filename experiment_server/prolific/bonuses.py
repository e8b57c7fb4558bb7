"""The bonus ledger: planned, then marked as being sent, then paid.

Prolific pays again when asked again, so the mark is on disk before the call. Whoever is left as
`sending` by a crash is never sent again until a person has looked on Prolific and says what
happened (`resolve_bonuses`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from experiment_server.audit import record
from experiment_server.experiment import Experiment
from experiment_server.models import Bonus, Identity, Participant
from experiment_server.prolific.api import ProlificError
from experiment_server.prolific.client import LARGEST_BULK, BonusBatch, ProlificClient, decimal

ACTOR = "command line"


@dataclass(frozen=True)
class _Portion:
    """Bonuses of one call. amounts_minor: Prolific id -> amount."""

    study_id: str
    bonus_ids: tuple[int, ...]
    amounts_minor: dict[str, int]


def parse_amount(text: str, limit_minor: int) -> int:
    """'1.50' -> 150. Raises ValueError for what is no amount, or above the limit."""
    match = re.fullmatch(r"([0-9]{1,6})(?:\.([0-9]{1,2}))?", text.strip())
    whole = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else 0
    if whole == 0:
        raise ValueError(f"{text!r} is no amount: write 1.50")
    if whole > limit_minor:
        raise ValueError(f"{text} is above the limit of {decimal(limit_minor)}: see --limit")
    return whole


def read_amounts(path: Path, limit_minor: int) -> dict[str, int]:
    """Participant -> amount, from a CSV with the columns participant and amount (such as 1.50).

    Raises ValueError naming file and line.
    """
    amounts: dict[str, int] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not {"participant", "amount"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path}: the columns are to be participant,amount")
        for row in rows:
            participant, where = (row["participant"] or "").strip(), f"{path}:{rows.line_num}"
            if participant in amounts:
                raise ValueError(f"{where}: {participant} is there twice")
            try:
                amounts[participant] = parse_amount(row["amount"] or "", limit_minor)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
    return amounts


def plan_bonuses(
    session: Session, amounts_minor: Mapping[str, int], reason: str, now: datetime
) -> None:
    """Enters bonuses, by pseudonym; one that is only planned is replaced.

    Raises ValueError for people who are unknown, cannot be paid, or were sent a bonus before.
    """
    for pseudonym, amount in amounts_minor.items():
        participant = _payable(session, pseudonym)
        bonus = session.scalars(
            select(Bonus).where(Bonus.participant_id == participant.id).with_for_update()
        ).one_or_none()
        if bonus is None:
            bonus = Bonus(participant_id=participant.id, state="planned")
            session.add(bonus)
        elif bonus.state != "planned":
            raise ValueError(f"{pseudonym} has a bonus already ({bonus.state}): one for a person")
        bonus.amount_minor, bonus.reason, bonus.planned_at = amount, reason, now
    _note(session, "bonuses planned", now, list(amounts_minor), sum(amounts_minor.values()))


def _payable(session: Session, pseudonym: str) -> Participant:
    participant = session.scalars(
        select(Participant).where(Participant.pseudonym == pseudonym)
    ).one_or_none()
    if participant is None or participant.kind == "preview":
        raise ValueError(f"there is no participant {pseudonym!r} who could be paid")
    if session.get(Identity, participant.id) is None:
        raise ValueError(f"{pseudonym} cannot be paid: the Prolific id was deleted")
    return participant


def send_bonuses(running: Experiment, client: ProlificClient) -> int:
    """Pays all planned bonuses; how many. Raises ProlificError: see `show` for what was done."""
    paid = 0
    while (portion := _mark_sending(running)) is not None:
        _send(running, client, portion)
        paid += len(portion.bonus_ids)
    return paid


def _mark_sending(running: Experiment) -> _Portion | None:
    """Marks at most 200 planned bonuses of one study, on disk."""
    query = (
        select(Bonus, Identity)
        .join(Identity, Identity.participant_id == Bonus.participant_id)
        .where(Bonus.state == "planned")
        .order_by(Identity.prolific_study_id, Bonus.id)
        .with_for_update(of=Bonus)
    )
    with running.database.write() as session:
        rows = session.execute(query).all()
        if not rows:
            return None
        study_id = rows[0].Identity.prolific_study_id
        rows = [row for row in rows if row.Identity.prolific_study_id == study_id][:LARGEST_BULK]
        for row in rows:
            row.Bonus.state, row.Bonus.sent_at = "sending", running.now()
        return _Portion(
            study_id,
            tuple(row.Bonus.id for row in rows),
            {row.Identity.prolific_pid: row.Bonus.amount_minor for row in rows},
        )


def _send(running: Experiment, client: ProlificClient, portion: _Portion) -> None:
    try:
        batch = client.set_up_bonuses(portion.study_id, portion.amounts_minor)
        _check_sum(batch, sum(portion.amounts_minor.values()))
    except ProlificError:  # nothing was paid: that would have been the next call
        _set(running, portion.bonus_ids, "bonuses not sent", state="planned", sent_at=None)
        raise
    _set(running, portion.bonus_ids, "bonuses set up", bulk_id=batch.id)
    client.pay_bonuses(batch.id)
    _set(running, portion.bonus_ids, "bonuses paid", state="paid")


def _check_sum(batch: BonusBatch, planned_minor: int) -> None:
    """Guards against pounds taken for pence, a hundredfold."""
    if batch.amount_minor is not None:
        fits = round(batch.amount_minor) == planned_minor
    else:
        total = batch.total_minor or 0.0
        fits = planned_minor <= total <= 2 * planned_minor  # with fees and tax
    if not fits:
        raise ProlificError(
            f"bonuses of {decimal(planned_minor)} were set up, and Prolific understood"
            f" {batch.amount_minor} (with fees {batch.total_minor}) pence or cents: nothing is paid"
        )


def resolve_bonuses(
    session: Session, pseudonyms: Sequence[str], *, paid: bool, now: datetime
) -> None:
    """Says of bonuses that are left as `sending` what happened: paid, or not (to plan again)."""
    for pseudonym in pseudonyms:
        query = select(Bonus).join(Participant, Participant.id == Bonus.participant_id)
        query = query.where(Participant.pseudonym == pseudonym, Bonus.state == "sending")
        bonus = session.scalars(query.with_for_update(of=Bonus)).one_or_none()
        if bonus is None:
            raise ValueError(f"{pseudonym} has no bonus that is left as sending")
        bonus.state = "paid" if paid else "planned"
        if not paid:
            bonus.sent_at = bonus.bulk_id = None
    action = "bonuses resolved as " + ("paid" if paid else "not paid")
    _note(session, action, now, pseudonyms, None)


def _set(running: Experiment, bonus_ids: Sequence[int], action: str, **values: Any) -> None:
    with running.database.write() as session:
        bonuses = session.scalars(select(Bonus).where(Bonus.id.in_(bonus_ids))).all()
        for bonus in bonuses:
            for name, value in values.items():
                setattr(bonus, name, value)
        people = select(Participant.pseudonym).join(Bonus).where(Bonus.id.in_(bonus_ids))
        total = sum(bonus.amount_minor for bonus in bonuses)
        _note(session, action, running.now(), list(session.scalars(people)), total)


def _note(
    session: Session, action: str, now: datetime, people: Sequence[str], total: int | None
) -> None:
    detail = {"participants": sorted(people), "amount_minor": total}
    record(session, ACTOR, action, detail, now)
