"""300 people arrive, leave, fall silent and finish, in threads: places are dealt out fairly."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

import pytest
from bundles import CONDITIONS, make_bundle
from sqlalchemy import select, update
from stories import DEVICE, Person

from experiment_server.assignment import lock
from experiment_server.experiment import KEY
from experiment_server.models import Participant
from experiment_server.text import QUIZ

PEOPLE = 300
THREADS = 8
TARGET = 60
RIGHT = {f"q_{question.key}": question.right for question in QUIZ}
WRONG = {f"q_{question.key}": "" for question in QUIZ}


@pytest.fixture
def app(make_app, tmp_path):
    """One main trial and no practice: a short study, so that many can take it."""
    study = make_bundle(tmp_path / "short", main=1, practice=0, catch=0)
    app = make_app({"recruitment": {"target_per_condition": TARGET}}, study=study)
    app.config["WTF_CSRF_ENABLED"] = False
    return app


@dataclass
class Storm:
    """What people did, and what was seen of the database meanwhile."""

    app: object
    clock: object
    outcomes: Counter = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def send(self, number: int) -> str:
        """One person from arrival to an end of some kind, and a look at the counts."""
        chance = Random(number)
        person = Person(self.app.test_client(), self.clock, f"{number:024x}")
        outcome = self._take_part(person, chance)
        self.look()
        with self.guard:
            self.outcomes[outcome] += 1
        return outcome

    def _take_part(self, person: Person, chance: Random) -> str:
        fate = chance.choices(
            ["finish", "silent", "withdraw", "quiz", "late"], [60, 10, 10, 10, 10]
        )[0]
        if self._ask(person.arrive()) == 403:
            return "closed"
        if self._post(person, "/consent", choice="agree") == 403:
            return "closed"
        self._post(person, "/study/device", report=DEVICE)
        self._post(person, "/study/instructions")
        if fate == "quiz":
            self._post(person, "/study/quiz", **WRONG)
            self._post(person, "/study/quiz", **WRONG)
            return "failed_quiz"
        self._post(person, "/study/quiz", **RIGHT)
        if fate == "silent":
            return "silent"
        if fate == "withdraw":
            self._post(person, "/study/withdraw", delete=chance.choice(["yes", "no"]))
            return "withdrew"
        if fate == "late":
            self.clock.advance(minutes=chance.choice([1, 8]))
        for trial in person.state().get("trials", []):
            self._ask(person.answer(trial))
        self._post(person, "/study/questions")
        return "finished"

    def _post(self, person: Person, path: str, **form: str) -> int:
        return self._ask(person.client.post(path, data=form))

    def _ask(self, answer) -> int:
        if answer.status_code not in {200, 302, 303, 403}:
            self.broken.append(f"{answer.status_code} {answer.request.path} {answer.text[:200]}")
        return answer.status_code

    def look(self) -> None:
        """No condition has more than its target and those in flight."""
        running = self.app.extensions[KEY]
        with running.database.read() as session:
            rows = session.execute(
                select(Participant.condition, Participant.outcome, Participant.late)
            ).all()
        counted = Counter(
            one.condition for one in rows if one.outcome == "completed" and not one.late
        )
        in_flight = Counter(one.condition for one in rows if one.outcome == "in_progress")
        for condition in CONDITIONS:
            if counted[condition] > TARGET + in_flight[condition]:
                self.broken.append(f"{condition}: {counted[condition]} of {TARGET} completed")

    def counted(self) -> Counter:
        """Condition -> those who count."""
        with self.app.extensions[KEY].database.read() as session:
            return Counter(
                session.scalars(
                    select(Participant.condition).where(
                        Participant.outcome == "completed", Participant.late.is_(False)
                    )
                )
            )


def test_whoever_comes_and_goes_conditions_end_equal(app, clock):
    storm = Storm(app, clock)
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(storm.send, range(PEOPLE)))
    assert storm.broken == []
    assert storm.outcomes["finished"] > 100
    clock.advance(hours=1)  # who is silent is so for good
    for number in range(PEOPLE, 2 * PEOPLE):
        if storm.send(number) == "closed":
            break
    assert storm.outcomes["closed"] > 0
    assert storm.broken == []
    counted = storm.counted()
    # A finisher who had fallen silent may come when the place is taken: counted once, or late.
    assert max(counted.values()) - min(counted.values()) <= 1, counted
    assert min(counted.values()) == TARGET


def people_at_quiz(app, clock, count):
    people = [Person(app.test_client(), clock) for _ in range(count)]
    for person in people:
        person.arrive()
        person.client.post("/consent", data={"choice": "agree"})
        person.client.post("/study/device", data={"report": DEVICE})
        person.client.post("/study/instructions")
    return people


def at_once(actions):
    """Calls all, at the same moment."""
    gate = threading.Barrier(len(actions))

    def act(action):
        gate.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(act, actions))


def test_all_who_pass_the_quiz_at_once_are_spread_evenly(app, clock):
    people = people_at_quiz(app, clock, 12)
    answers = at_once(
        [lambda one=one: one.client.post("/study/quiz", data=RIGHT) for one in people]
    )
    assert {answer.status_code for answer in answers} == {303}
    with app.extensions[KEY].database.read() as session:
        dealt = Counter(session.scalars(select(Participant.condition)))
        lists = Counter(
            session.execute(select(Participant.condition, Participant.list_index)).all()
        )
    assert dealt == dict.fromkeys(CONDITIONS, 4)
    assert set(lists.values()) == {1}


def test_the_last_place_goes_to_one(make_app, clock):
    app = make_app({"recruitment": {"target_per_condition": 1, "conditions": ["maco"]}})
    app.config["WTF_CSRF_ENABLED"] = False
    people = [Person(app.test_client(), clock) for _ in range(8)]
    assert {person.arrive().status_code for person in people} == {200}
    agree = {"choice": "agree"}
    answers = at_once([lambda one=one: one.client.post("/consent", data=agree) for one in people])
    assert sorted(answer.status_code for answer in answers) == [303] + [403] * 7


def test_two_clicks_on_agree_make_one_participant(app, clock):
    person = Person(app.test_client(), clock)
    tabs = [Person(app.test_client(), clock, person.pid) for _ in range(6)]
    for tab in tabs:
        tab.parameters = person.parameters
        tab.arrive()
    agree = {"choice": "agree"}
    answers = at_once([lambda one=one: one.client.post("/consent", data=agree) for one in tabs])
    assert {answer.status_code for answer in answers} == {303}
    with app.extensions[KEY].database.read() as session:
        assert len(session.scalars(select(Participant)).all()) == 1


def test_finishing_after_a_silence_while_others_are_dealt_waits_for_nobody(app, clock):
    """Each in turn holds what the other waits for, unless places are locked in one order."""
    running = app.extensions[KEY]
    for _ in range(5):
        silent = people_at_quiz(app, clock, 4)
        for person in silent:
            person.client.post("/study/quiz", data=RIGHT)
            for trial in person.state()["trials"]:
                person.answer(trial)
        with running.database.write() as session:
            lock(session)
            session.execute(
                update(Participant)
                .where(Participant.outcome == "in_progress")
                .values(last_seen_at=clock())
            )
        clock.advance(hours=1)
        fresh = people_at_quiz(app, clock, 4)
        finish = [lambda one=one: one.client.post("/study/questions") for one in silent]
        deal = [lambda one=one: one.client.post("/study/quiz", data=RIGHT) for one in fresh]
        answers = at_once([*finish, *deal])
        assert {answer.status_code for answer in answers} == {303}
