"""Who gets which condition: balanced whatever people do."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from experiment_server import participants
from experiment_server.assignment import (
    complete,
    deal,
    free_slot,
    is_open,
    places_held,
    take_back,
)
from experiment_server.experiment import KEY
from experiment_server.models import Participant
from experiment_server.security import new_token

TARGET = 8


@pytest.fixture
def study(make_app, clock):
    return Study(make_app({"recruitment": {"target_per_condition": TARGET}}).extensions[KEY], clock)


class Study:
    """People who come, go, fall silent and finish, without pages."""

    def __init__(self, running, clock) -> None:
        self.running = running
        self.clock = clock

    def is_open(self) -> bool:
        with self.running.database.read() as session:
            return is_open(session, self.running)

    def arrive(self, kind: str = "real") -> int:
        """Enters and passes the quiz; the participant's number."""
        with self.running.database.write() as session:
            someone = participants.enrol(
                session,
                person_key=new_token(),
                submission_key=new_token(),
                kind=kind,
                now=self.clock(),
            )
            deal(session, self.running, someone)
            return someone.id

    def change(self, number: int, how) -> None:
        with self.running.database.write() as session:
            how(session, session.get(Participant, number))

    def finish(self, number: int) -> None:
        self.change(number, lambda session, one: complete(session, self.running, one))

    def leave(self, number: int, outcome: str = "returned") -> None:
        self.change(number, lambda session, one: free_slot(one, outcome, self.clock()))

    def give_a_sign(self, number: int) -> None:
        self.change(number, lambda session, one: participants.touch(one, self.clock()))

    def answer(self, number: int) -> None:
        """What a response does to a place."""
        self.give_a_sign(number)
        self.change(number, lambda session, one: take_back(session, self.running, one))

    def everyone(self) -> list[Participant]:
        with self.running.database.read() as session:
            return list(session.scalars(select(Participant).order_by(Participant.id)))

    def counted(self) -> Counter[str]:
        """Condition -> participants who completed and count, recounted from the rows."""
        return Counter(
            str(one.condition)
            for one in self.everyone()
            if one.kind == "real" and one.outcome == "completed" and not one.late
        )

    def held(self) -> Counter[str]:
        with self.running.database.read() as session:
            return places_held(session, self.running, "real")


def test_conditions_and_lists_fill_evenly(study):
    for _ in range(TARGET * 3):
        study.arrive()
    everyone = study.everyone()
    conditions = Counter(one.condition for one in everyone)
    assert set(conditions.values()) == {TARGET}
    for condition in conditions:
        lists = Counter(one.list_index for one in everyone if one.condition == condition)
        assert set(lists.values()) == {TARGET // 4}


def test_a_place_given_up_is_dealt_again(study):
    numbers = [study.arrive() for _ in range(3 * 3)]
    gone = numbers[4]
    before = study.everyone()[4]
    study.leave(gone)
    assert study.held()[before.condition] == 2
    study.arrive()
    assert study.everyone()[-1].condition == before.condition


def test_the_silent_lose_their_place_and_get_it_back_if_it_is_free(study):
    first = study.arrive()
    study.clock.advance(minutes=30)
    assert study.held().total() == 0
    study.arrive()
    study.finish(first)
    [one, _] = study.everyone()
    assert (one.outcome, one.late) == ("completed", False)


def test_who_finishes_after_the_place_was_dealt_anew_is_late_and_not_counted(study):
    late = [study.arrive() for _ in range(TARGET * 3)]
    study.clock.advance(minutes=30)
    punctual = [study.arrive() for _ in range(TARGET * 3)]
    for number in punctual:
        study.finish(number)
    for number in late:
        study.finish(number)
    assert set(study.counted().values()) == {TARGET}
    assert sum(one.late for one in study.everyone()) == TARGET * 3
    assert all(one.outcome == "completed" for one in study.everyone())


def test_a_clock_put_forward_by_an_hour_costs_nobody_the_place(make_app, clock):
    study = Study(make_app().extensions[KEY], clock)
    there = [study.arrive() for _ in range(10 * 3)]
    clock.advance(hours=1)
    newcomers = [study.arrive() for _ in range(2 * 3)]
    assert study.held().total() == len(newcomers)
    random.Random(0).shuffle(there)
    for _ in range(len(there)):
        for number in there:
            study.answer(number)
    assert set(study.held().values()) == {12}
    for number in [*there, *newcomers]:
        study.finish(number)
    assert not any(one.late for one in study.everyone())
    assert set(study.counted().values()) == {12}


def test_a_clock_put_back_by_an_hour_makes_no_time_negative_and_keeps_places(study):
    first = study.arrive()
    study.clock.advance(hours=-1)
    study.arrive()
    study.give_a_sign(first)
    assert study.held().total() == 2
    study.finish(first)
    [one, _] = study.everyone()
    assert one.finished_at >= one.started_at
    assert not one.late
    study.clock.advance(minutes=30)
    assert study.held().total() == 1  # silence counts by the new time, not an hour later


def test_pilots_and_previews_never_count(study):
    for kind in ("pilot", "preview"):
        for _ in range(TARGET * 3):
            study.finish(study.arrive(kind))
    assert study.counted().total() == study.held().total() == 0
    assert study.is_open()


def test_a_full_study_lets_nobody_in_until_a_place_is_free(study):
    numbers = [study.arrive() for _ in range(TARGET * 3)]
    assert not study.is_open()
    study.leave(numbers[0], "timed_out")
    assert study.is_open()


def test_returning_after_completion_frees_the_place_and_other_endings_stand(study):
    done, gone = study.arrive(), study.arrive()
    study.finish(done)
    study.leave(done, "timed_out")
    assert study.everyone()[0].outcome == "completed"
    study.leave(done, "returned")
    assert study.everyone()[0].outcome == "returned"
    study.change(gone, lambda session, one: participants.end(one, "withdrew", study.clock()))
    study.leave(gone, "returned")
    assert study.everyone()[1].outcome == "withdrew"


def test_a_paused_study_lets_nobody_in(study):
    def pause(session):
        from experiment_server.assignment import lock

        lock(session).recruiting = False

    with study.running.database.write() as session:
        pause(session)
    assert not study.is_open()


@given(seed=st.integers(0, 2**32 - 1), drop_out=st.sampled_from([0.05, 0.3, 0.6]))
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_any_interleaving_of_three_hundred(study, seed, drop_out):
    """No condition exceeds its target by more than those in flight; the end is even."""
    chance = random.Random(seed)
    with study.running.database.write() as session:
        session.execute(delete(Participant))
    taking_part: list[int] = []
    for _ in range(300):
        study.clock.advance(seconds=chance.uniform(0, 120))
        what = chance.random()
        if what < 0.55 and study.is_open():
            taking_part.append(study.arrive())
        elif taking_part:
            number = taking_part.pop(chance.randrange(len(taking_part)))
            if chance.random() < drop_out:
                if chance.random() < 0.5:
                    study.leave(number, chance.choice(["returned", "timed_out"]))
            elif chance.random() < 0.2:
                taking_part.append(number)
                study.give_a_sign(number)
            else:
                study.finish(number)
        excess = {name: count - TARGET for name, count in study.counted().items()}
        assert all(more <= len(taking_part) for more in excess.values())
    for number in taking_part:
        study.finish(number)
    study.clock.advance(hours=1)
    while study.is_open():
        study.finish(study.arrive())
    assert max(study.counted().values()) - min(study.counted().values()) <= 1
    assert min(study.counted()[name] for name in study.running.conditions) == TARGET
