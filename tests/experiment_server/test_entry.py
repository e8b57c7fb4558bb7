"""From the Prolific link to the completion code, as participants live it."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import func, select
from stories import DEVICE, RIGHT

from experiment_server.assignment import free_slot
from experiment_server.experiment import KEY
from experiment_server.models import Identity, Login, Participant, Response
from experiment_server.text import QUIZ

WRONG = {f"q_{one.key}": "none of these" for one in QUIZ}
CODES = {"completed": "C0MPLETE", "declined_consent": "N0CONSENT", "screened_out": "SCREENED"}


@pytest.fixture
def one_participant(running):
    def found() -> Participant:
        with running.database.read() as session:
            return session.scalars(select(Participant)).one()

    return found


def running_of(app):
    return app.extensions[KEY]


def take_the_study(someone) -> None:
    """Everything from the quiz to the last page."""
    someone.pass_quiz(RIGHT)
    while (state := someone.state())["stage"] in {"practice", "main"}:
        trial = state["trials"][0]
        answer = someone.answer(trial, "left").get_json()
        if answer["feedback"] and not answer["feedback"]["correct"]:
            continue
    someone.get("/study")
    someone.post("/study/questions", age_years="31", gender=" woman ", comments="=nice")


def test_a_whole_study(make_app, person):
    app = make_app({"prolific": {"codes": CODES}, "practice": {"correct_needed": 0}})
    someone = person(app_=app)
    take_the_study(someone)
    last = someone.post("/study/debrief")
    assert "C0MPLETE" in last.get_data(as_text=True)
    assert "https://app.prolific.com/submissions/complete?cc=C0MPLETE" in last.get_data(
        as_text=True
    )
    with running_of(app).database.read() as session:
        found = session.scalars(select(Participant)).one()
        responses = session.scalars(select(Response.trial_index)).all()
    assert sorted(responses) == list(range(7))
    assert (found.outcome, found.late, found.kind) == ("completed", False, "real")
    assert found.instruction_s == 40
    assert found.answers == {"age_years": 31, "gender": "woman", "comments": "=nice"}
    assert found.device["browser"] == "Chromium 150"
    assert found.finished_at is not None


def test_the_code_is_nowhere_before_the_end(make_app, person):
    app = make_app({"prolific": {"codes": CODES}, "practice": {"correct_needed": 0}})
    someone = person(app_=app)
    take_the_study(someone)
    assert "C0MPLETE" not in someone.get("/study").get_data(as_text=True)
    someone.post("/study/debrief")
    assert "C0MPLETE" in someone.get("/study").get_data(as_text=True)


def test_arriving_allocates_nothing(person, running):
    for _ in range(3):
        assert person().arrive().status_code == 200
    with running.database.read() as session:
        for table in (Participant, Login, Identity):
            assert session.execute(select(func.count()).select_from(table)).scalar_one() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"PROLIFIC_PID": None},
        {"PROLIFIC_PID": "{{%PROLIFIC_PID%}}"},
        {"PROLIFIC_PID": "../../etc/passwd"},
        {"SESSION_ID": None},
        {"SESSION_ID": ""},
        {"STUDY_ID": "x" * 5000},
        {"SESSION_ID": "a b"},
    ],
)
def test_links_that_do_not_come_from_prolific(person, change):
    someone = person()
    for key, value in change.items():
        someone.parameters.pop(key)
        if value is not None:
            someone.parameters[key] = value
    answer = someone.arrive()
    assert answer.status_code == 400
    assert "Prolific" in answer.get_data(as_text=True)


def test_who_declines_gets_the_code_for_it_and_may_think_again(make_app, person):
    app = make_app({"prolific": {"codes": CODES}})
    someone = person(app_=app)
    someone.arrive()
    assert "N0CONSENT" in someone.post("/consent", choice="decline").get_data(as_text=True)
    again = person(pid=someone.pid, app_=app)
    again.arrive()
    again.agree()
    with running_of(app).database.read() as session:
        found = session.scalars(select(Participant)).one()
    assert (found.stage, found.outcome) == ("device", "in_progress")


def test_consent_without_an_arrival(app):
    client = app.test_client()
    assert client.get("/study").status_code == 401
    assert client.post("/consent", data={"choice": "agree"}).status_code == 400


def test_a_small_window_is_told_and_may_be_mended(person, one_participant):
    someone = person()
    someone.arrive()
    someone.agree()
    small = json.dumps({**json.loads(DEVICE), "viewport_width_px": 700})
    assert someone.post("/study/device", report=small).status_code == 200
    assert one_participant().stage == "device"
    someone.post("/study/device", report="no json")
    assert one_participant().stage == "device"
    someone.post("/study/device", report=DEVICE)
    assert one_participant().stage == "instructions"


def test_a_device_that_cannot_be_mended(person, one_participant):
    someone = person()
    someone.arrive()
    someone.agree()
    someone.post("/study/device", report=DEVICE, give_up="yes")
    assert one_participant().outcome == "unsuitable_device"


def test_the_quiz_gives_a_second_chance_and_then_a_polite_end(person, one_participant):
    someone = person()
    someone.arrive()
    someone.agree()
    someone.post("/study/device", report=DEVICE)
    someone.post("/study/instructions")
    someone.post("/study/quiz", **WRONG)
    assert (one_participant().stage, one_participant().quiz_attempts) == ("quiz", 1)
    someone.post("/study/quiz", again="yes")
    assert (one_participant().stage, one_participant().quiz_attempts) == ("instructions", 1)
    someone.post("/study/instructions")
    someone.post("/study/quiz", **WRONG)
    assert one_participant().outcome == "failed_quiz"
    assert one_participant().condition is None
    someone.post("/study/quiz", **{f"q_{key}": value for key, value in RIGHT.items()})
    assert one_participant().outcome == "failed_quiz"


def test_a_quiz_that_a_proxy_hands_in_twice_costs_one_attempt(person, one_participant):
    someone = person()
    someone.arrive()
    someone.agree()
    someone.post("/study/device", report=DEVICE)
    page = someone.post("/study/instructions").get_data(as_text=True)
    [attempt] = re.findall(r'name="attempt" value="(\d+)"', page)
    for _ in range(3):
        someone.post("/study/quiz", attempt=attempt, **WRONG)
    assert (one_participant().outcome, one_participant().quiz_attempts) == ("in_progress", 1)
    right = {f"q_{key}": value for key, value in RIGHT.items()}
    someone.post("/study/quiz", attempt=str(int(attempt) + 1), **right)
    assert one_participant().stage == "practice"


def test_nothing_is_dealt_before_the_quiz_and_nothing_is_dealt_twice(person, one_participant):
    someone = person()
    someone.pass_quiz(RIGHT)
    dealt = (one_participant().condition, one_participant().list_index)
    assert None not in dealt
    someone.post("/study/quiz", **{f"q_{key}": value for key, value in RIGHT.items()})
    assert (one_participant().condition, one_participant().list_index) == dealt
    assert one_participant().quiz_attempts == 1


def test_stale_pages_do_no_harm(person, one_participant):
    someone = person()
    someone.pass_quiz(RIGHT)
    for stage in ("device", "instructions", "quiz", "questions", "debrief"):
        assert someone.post(f"/study/{stage}", report=DEVICE).status_code == 200
    assert one_participant().stage == "practice"
    assert someone.client.post("/study/nothing", data={}).status_code in {400, 404}


def test_the_same_link_in_another_browser_goes_on_there(person, running, one_participant):
    someone = person()
    someone.pass_quiz(RIGHT)
    someone.answer(someone.state()["trials"][0])
    other = person(pid=someone.pid)
    other.parameters = someone.parameters
    other.arrive()
    other.agree()
    assert other.state()["next"] == 1
    assert one_participant().quiz_attempts == 1


def test_one_person_takes_part_once(person):
    someone = person()
    someone.pass_quiz(RIGHT)
    again = person(pid=someone.pid)
    answer = again.arrive()
    assert answer.status_code == 403
    assert "before" in answer.get_data(as_text=True)
    again.agree()
    assert again.get("/study").status_code == 401


def test_who_comes_with_another_submission_is_known_by_the_last(person, running):
    someone = person()
    someone.arrive()
    someone.post("/consent", choice="decline")
    again = person(pid=someone.pid)
    again.arrive()
    again.agree()
    with running.database.read() as session:
        [identity] = session.scalars(select(Identity))
        [participant] = session.scalars(select(Participant))
    assert identity.submission_id == again.parameters["SESSION_ID"]
    assert participant.stage == "device"


def test_who_was_sent_away_may_still_have_the_data_deleted(person, running, one_participant):
    someone = person()
    someone.pass_quiz(RIGHT)
    someone.answer(someone.state()["trials"][0])
    with running.database.write() as session:
        free_slot(session.scalars(select(Participant)).one(), "returned", running.now())
    someone.get("/study")
    someone.post("/study/withdraw", delete="yes")
    assert (one_participant().outcome, one_participant().delete_requested) == ("returned", True)
    with running.database.read() as session:
        assert session.scalars(select(Response)).all() == []


def test_people_of_an_earlier_study_are_refused(make_app, person, running, tmp_path):
    someone = person()
    someone.pass_quiz(RIGHT)
    with running.database.read() as session:
        key = session.scalars(select(Participant.person_key)).one()
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{key}\n")
    settings = {"recruitment": {"other_studies": [str(keys)]}}
    later = make_app(settings, database_url=f"sqlite:///{tmp_path / 'later.sqlite'}")
    assert person(pid=someone.pid, app_=later).arrive().status_code == 403
    assert person(app_=later).arrive().status_code == 200


def test_withdrawing_with_the_data(person, running, one_participant):
    someone = person()
    someone.pass_quiz(RIGHT)
    someone.answer(someone.state()["trials"][0])
    assert someone.get("/study/withdraw").status_code == 200
    someone.post("/study/withdraw", delete="yes")
    found = one_participant()
    assert (found.outcome, found.answers, found.device) == ("withdrew", {}, {})
    with running.database.read() as session:
        assert session.scalars(select(Response)).all() == []
    assert someone.get("/task/state").status_code == 410


def test_withdrawing_and_leaving_the_data(person, running, one_participant):
    someone = person()
    someone.pass_quiz(RIGHT)
    someone.answer(someone.state()["trials"][0])
    someone.post("/study/withdraw", delete="no")
    assert one_participant().outcome == "withdrew"
    with running.database.read() as session:
        assert len(session.scalars(select(Response)).all()) == 1


def test_who_withdraws_after_the_work_still_gets_the_code(make_app, person):
    app = make_app({"prolific": {"codes": CODES}, "practice": {"correct_needed": 0}})
    someone = person(app_=app)
    take_the_study(someone)
    assert "C0MPLETE" in someone.post("/study/withdraw", delete="yes").get_data(as_text=True)


@pytest.mark.parametrize("age", ["-3", "7", "1000", "old", "3.5"])
def test_an_impossible_age_is_asked_again(make_app, person, age):
    app = make_app({"practice": {"correct_needed": 0}})
    someone = person(app_=app)
    someone.pass_quiz(RIGHT)
    while someone.state()["stage"] in {"practice", "main"}:
        someone.answer(someone.state()["trials"][0])
    assert someone.post("/study/questions", age_years=age).status_code == 200
    with running_of(app).database.read() as session:
        assert session.scalars(select(Participant.stage)).one() == "questions"


def test_questions_may_be_left_empty(make_app, person):
    app = make_app({"practice": {"correct_needed": 0}, "questions": {"gender": False}})
    someone = person(app_=app)
    someone.pass_quiz(RIGHT)
    while someone.state()["stage"] in {"practice", "main"}:
        someone.answer(someone.state()["trials"][0])
    someone.post("/study/questions", age_years="", gender="unasked", comments=" ")
    with running_of(app).database.read() as session:
        found = session.scalars(select(Participant)).one()
    assert (found.stage, found.outcome, found.answers) == ("debrief", "completed", {})


def test_posts_need_the_pages_token(person):
    someone = person()
    someone.arrive()
    forged = someone.client.post("/consent", data={"choice": "agree"})
    assert forged.status_code == 400


def test_every_page_is_closed_to_scripts_and_frames_of_others(person, make_app):
    someone = person(app_=make_app(live=True))
    someone.client.environ_base["wsgi.url_scheme"] = "https"
    answer = someone.arrive()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Strict-Transport-Security"]
    assert answer.headers["Cache-Control"] == "no-store"
    cookie = answer.headers["Set-Cookie"]
    for word in ("Secure", "HttpOnly", "SameSite=Lax"):
        assert word in cookie


def test_nothing_else_is_served(person):
    someone = person()
    someone.arrive()
    for path in (
        "/nothing",
        "/static/../config.py",
        "/images/",
        "/static/",
        "/.env",
        "/study.json",
    ):
        assert someone.client.get(path).status_code in {404, 401, 405}
