"""Trials out, responses in: what is stored, what is said, what never leaves the server."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from stories import RIGHT

from experiment_server.models import Participant, Response


@pytest.fixture
def stored(running):
    def rows():
        with running.database.read() as session:
            return session.scalars(select(Response).order_by(Response.trial_index)).all()

    return rows


def favored(running, trial):
    return running.bundle.trials[trial["trial_id"]].favored_side


def practise(someone, running):
    """Answers the practice rightly; gives the main block's state."""
    for trial in someone.state()["trials"]:
        assert someone.answer(trial, favored(running, trial)).status_code == 200
    state = someone.state()
    assert state["stage"] == "main"
    return state


def test_a_block_says_what_to_show_and_nothing_of_the_answer(at_task, running):
    someone = at_task()
    answer = someone.get("/task/state")
    state = answer.get_json()
    assert (state["stage"], state["first"], state["total"], state["next"]) == ("practice", 0, 2, 0)
    assert [trial["trial_index"] for trial in state["trials"]] == [0, 1]
    assert set(state["trials"][0]) == {"trial_index", "trial_id", "references", "base", "queries"}
    for secret in ("favored", "correct", "activation", "kind", "network", "label", "condition"):
        assert secret not in answer.get_data(as_text=True)
    assert someone.get("/study").status_code == 200


def test_a_response_is_stored_before_it_is_acknowledged(at_task, running, stored, clock):
    someone = at_task()
    [first, _] = someone.state()["trials"]
    answer = someone.answer(first, "right", rt_ms=812.5)
    assert answer.status_code == 200
    assert answer.get_json()["next"] == 1
    [row] = stored()
    assert (row.trial_index, row.trial_id, row.response_side) == (0, first["trial_id"], "right")
    assert row.rt_ms == 812.5
    assert row.correct == (favored(running, first) == "right")
    assert row.received_at == clock()
    assert (row.responded_at - row.shown_at).total_seconds() == pytest.approx(0.8125)
    assert row.timing["device_pixel_ratio"] == 2


def test_a_browser_with_a_wrong_clock_gets_our_time(at_task, stored, clock):
    someone = at_task()
    body = someone.response(someone.state()["trials"][0])
    hour_ms = 3_600_000
    for key in ("shown_at_ms", "responded_at_ms", "sent_at_ms"):
        body[key] -= hour_ms
    assert someone.send("/task/responses", body).status_code == 200
    [row] = stored()
    assert abs((clock() - row.responded_at).total_seconds()) < 1
    assert row.timing["clock_offset_ms"] == pytest.approx(hour_ms)


def test_a_response_takes_back_a_place_that_silence_had_freed(at_task, running, clock):
    def places():
        with running.database.read() as session:
            return [one.slot_freed_at is None for one in session.scalars(select(Participant))]

    someone = at_task()
    [first, _] = someone.state()["trials"]
    clock.advance(hours=1)
    at_task()
    assert places() == [False, True]
    someone.answer(first)
    assert places() == [True, True]


def test_sent_twice_is_stored_once_and_the_first_stands(at_task, stored):
    someone = at_task()
    [first, _] = someone.state()["trials"]
    assert someone.answer(first, "left").get_json()["duplicate"] is False
    again = someone.answer(first, "right")
    assert again.status_code == 200
    assert again.get_json()["duplicate"] is True
    assert [row.response_side for row in stored()] == ["left"]


def test_gaps_and_trials_not_dealt_are_said_and_not_stored(at_task, stored, running):
    someone = at_task()
    [first, second] = someone.state()["trials"]
    early = someone.answer(second)
    assert (early.status_code, early.get_json()) == (409, {"error": "out_of_order", "next": 0})
    wrong = someone.answer({**first, "trial_id": second["trial_id"]})
    assert (wrong.status_code, wrong.get_json()) == (409, {"error": "not_dealt", "next": 0})
    assert someone.answer({**first, "trial_id": "t0000000000"}).status_code == 409
    assert stored() == []


@pytest.mark.parametrize(
    "change",
    [
        {"rt_ms": -1},
        {"rt_ms": 1e9},
        {"rt_ms": 5000.0},
        {"rt_ms": "fast"},
        {"response_side": "up"},
        {"trial_index": -1},
        {"trial_index": 10**30},
        {"trial_id": None},
        {"confidence": 3},
        {"shown_at_ms": 1e300},
        {"sent_at_ms": 0},
        {"timing": {"dropped_frames": -3}},
        {"timing": {"deep": {"er": 1}}},
        {"timing": {f"key_{at}": at for at in range(100)}},
    ],
)
def test_impossible_responses_are_refused_with_a_reason(at_task, stored, change):
    someone = at_task()
    answer = someone.answer(someone.state()["trials"][0], **change)
    assert answer.status_code == 422
    assert answer.get_json()["error"] == "invalid"
    assert answer.get_json()["message"]
    assert stored() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b'{"trial_index": NaN}'])
def test_bodies_that_are_no_response(at_task, body):
    someone = at_task()
    answer = someone.client.post(
        "/task/responses",
        data=body,
        headers={"X-CSRFToken": someone.csrf, "Content-Type": "application/json"},
    )
    assert answer.status_code in {400, 422}
    assert answer.get_json()["error"] == "invalid"


def test_too_long_a_body_and_no_json(at_task):
    someone = at_task()
    headers = {"X-CSRFToken": someone.csrf}
    long = someone.client.post("/task/responses", data=b" " * 300_000, headers=headers)
    assert long.status_code in {413, 415}
    assert someone.client.post("/task/responses", data="x", headers=headers).status_code == 415
    body = json.dumps({"a": "x" * 300_000})
    answer = someone.client.post(
        "/task/responses", data=body, headers={**headers, "Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert answer.get_json()["error"] == "invalid"


def test_strangers_and_forged_posts(at_task, app, person):
    stranger = person()
    stranger.arrive()
    assert stranger.get("/task/state").status_code == 401
    assert stranger.send("/task/responses", {}).status_code == 422
    someone = at_task()
    trial = someone.state()["trials"][0]
    forged = someone.client.post("/task/responses", json=someone.response(trial))
    assert forged.status_code == 400
    assert forged.get_json()["error"] == "csrf"
    assert stranger.answer(trial).status_code == 401


def test_practice_tells_the_answer_and_main_trials_do_not(at_task, running):
    someone = at_task()
    first = someone.state()["trials"][0]
    feedback = someone.answer(first, favored(running, first)).get_json()["feedback"]
    assert feedback == {"correct": True, "favored_side": favored(running, first)}
    second = someone.state()["trials"][0]
    other = {"left": "right", "right": "left"}[favored(running, second)]
    assert someone.answer(second, other).get_json()["feedback"]["correct"] is False
    someone_else = at_task()
    main = practise(someone_else, running)
    body = someone_else.answer(main["trials"][0]).get_json()
    assert (body["stored"], body["next"], body["stage"]) == (True, 3, "main")
    assert body["feedback"] is None


def in_condition(running, someone, condition):
    with running.database.write() as session:
        found = session.scalars(select(Participant).where(Participant.outcome == "in_progress"))
        for one in found:
            one.condition = condition


def test_practice_goes_on_until_it_is_understood(at_task, running):
    someone = at_task()
    in_condition(running, someone, "maco")
    for trial in someone.state()["trials"]:
        wrong = {"left": "right", "right": "left"}[favored(running, trial)]
        last = someone.answer(trial, wrong).get_json()
    assert last["stage"] == "practice"
    again = someone.state()
    assert (again["round"], again["first"], again["next"], again["total"]) == (2, 2, 2, 2)
    assert [trial["trial_index"] for trial in again["trials"]] == [2, 3]
    assert practise(someone, running)["first"] == 4


def test_practice_that_is_never_understood_ends_politely(at_task, running, make_app, person):
    someone = at_task()
    in_condition(running, someone, "maco")
    for _ in range(running.settings.practice.rounds):
        for trial in someone.state()["trials"]:
            wrong = {"left": "right", "right": "left"}[favored(running, trial)]
            assert someone.answer(trial, wrong).status_code == 200
    assert someone.get("/task/state").status_code == 410
    with running.database.read() as session:
        [found] = session.scalars(select(Participant))
    assert (found.outcome, found.practice_attempts) == ("failed_practice", 4)
    assert someone.get("/study").status_code == 200


def test_without_references_one_round_is_enough(at_task, running):
    someone = at_task()
    in_condition(running, someone, "control")
    for trial in someone.state()["trials"]:
        assert trial["references"] == []
        wrong = {"left": "right", "right": "left"}[favored(running, trial)]
        someone.answer(trial, wrong)
    state = someone.state()
    assert (state["stage"], state["grid"]) == ("main", 4)


def test_confidence_is_asked_or_not(make_app, person):
    app = make_app({"task": {"confidence_levels": 3}})
    someone = person(app_=app)
    someone.pass_quiz(RIGHT)
    trial = someone.state()["trials"][0]
    assert someone.answer(trial).status_code == 422
    assert someone.answer(trial, confidence=4).status_code == 422
    assert someone.answer(trial, confidence=3).status_code == 200


def test_images_are_those_of_the_participants_own_trials(at_task, running, person):
    someone = at_task()
    state = someone.state()
    own = state["trials"][0]
    for name in [*own["references"], *own["queries"]]:
        answer = someone.get(f"/images/{name}")
        assert answer.status_code == 200
        assert answer.mimetype == "image/png"
        assert "immutable" in answer.headers["Cache-Control"]
        assert "Last-Modified" not in answer.headers
        assert answer.data == running.bundle.image_path(name).read_bytes()
    with running.database.read() as session:
        condition = session.scalars(select(Participant.condition)).one()
    other = next(name for name in ("maco", "olah") if name != condition)
    theirs = running.bundle.trials[own["trial_id"]].references[other][0]
    for name in (theirs, "study.json", "..%2Fstudy.json", "%2e%2e/study.json", "x" * 300):
        assert someone.get(f"/images/{name}").status_code in {404, 308}
    stranger = person()
    stranger.arrive()
    assert stranger.get(f"/images/{own['queries'][0]}").status_code == 401


def test_a_full_disk_is_said_and_nothing_is_acknowledged(at_task, running, monkeypatch, stored):
    someone = at_task()
    trial = someone.state()["trials"][0]

    def full(*arguments, **options):
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr("sqlalchemy.orm.Session.flush", full)
        answer = someone.answer(trial)
    assert answer.status_code == 503
    assert answer.get_json()["error"] == "busy"
    assert int(answer.headers["Retry-After"]) >= 1
    assert stored() == []
    assert someone.answer(trial).status_code == 200


def test_what_a_browser_says_of_loading_is_kept(at_task, running):
    someone = at_task()
    assert someone.send("/task/preload", {"report": {"files": 3}}).status_code == 204
    assert someone.send("/task/preload", {"report": [1]}).status_code == 422
    assert someone.send("/task/preload", {"report": {"a": "\0"}}).status_code == 422
    assert someone.send("/task/preload", {"report": {"a": float("nan")}}).status_code == 422
    assert someone.send("/task/preload", [1]).status_code == 422


def test_images_carry_the_headers_of_every_answer_and_are_kept(at_task):
    someone = at_task()
    [first, _] = someone.state()["trials"]
    answer = someone.client.get(f"/images/{first['queries'][0]}")
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    page = someone.get("/study")
    for name in (
        "Content-Security-Policy",
        "X-Content-Type-Options",
        "Cross-Origin-Resource-Policy",
    ):
        assert answer.headers[name] == page.headers[name]
    assert "immutable" in answer.headers["Cache-Control"]
    assert "private" in answer.headers["Cache-Control"]


def test_a_cookie_that_we_did_not_sign_opens_no_image(at_task, app):
    someone = at_task()
    [first, _] = someone.state()["trials"]
    path = f"/images/{first['queries'][0]}"
    signed = someone.client.get_cookie("study").value
    payload, _, rest = signed.partition(".")
    stranger = app.test_client()
    for forged in (f"{payload}.{rest[:-4]}AAAA", payload, "", "x.y.z"):
        stranger.set_cookie("study", forged)
        assert stranger.get(path).status_code == 401
    stranger.set_cookie("study", signed)
    assert stranger.get(path).status_code == 200
