"""Whatever is posted, to whatever address: never a 500, always the right status and shape."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nonsense import (
    PAGES,
    check_database,
    check_json,
    check_page,
    content_types,
    dump,
    fuzzed,
    nasty,
    nasty_bytes,
    nasty_number,
    nasty_text,
    rows,
)
from stories import Person


@pytest.fixture
def learner(at_task):
    """Somebody at the first practice trial."""
    return at_task()


RESPONSE_STATUSES = {200, 400, 409, 413, 415, 422}


@fuzzed
@given(body=nasty_bytes, content_type=content_types)
def test_any_bytes_as_a_response(learner, running, body, content_type):
    before = rows(running)
    answer = learner.client.post(
        "/task/responses",
        data=body,
        content_type=content_type,
        headers={"X-CSRFToken": learner.csrf},
    )
    check_json(answer, {400, 413, 415, 422})
    assert rows(running) == before


@fuzzed
@given(body=nasty)
def test_any_json_as_a_response(learner, running, body):
    before = rows(running)
    answer = learner.client.post(
        "/task/responses",
        data=dump(body),
        content_type="application/json",
        headers={"X-CSRFToken": learner.csrf},
    )
    check_json(answer, {400, 413, 422})
    assert rows(running) == before


FIELDS = (
    "trial_index",
    "trial_id",
    "response_side",
    "confidence",
    "rt_ms",
    "shown_at_ms",
    "responded_at_ms",
    "sent_at_ms",
    "timing",
)


plausible = st.fixed_dictionaries(
    {},
    optional={
        "trial_index": st.integers(-1, 8) | st.sampled_from([0.0, 1.5, "0", True]),
        "response_side": st.sampled_from(["left", "right", "Left", "both"]),
        "confidence": st.none() | st.integers(-1, 8),
        "rt_ms": st.floats(0, 1e9),
        "shown_at_ms": st.floats(0, 9e15),
        "responded_at_ms": st.floats(0, 9e15),
        "sent_at_ms": st.floats(0, 9e15),
    },
)


@settings(fuzzed, max_examples=120)
@given(changes=plausible | st.dictionaries(st.sampled_from(FIELDS), nasty, min_size=1, max_size=2))
def test_a_response_with_nasty_values(learner, running, changes):
    state = learner.state()
    if not state.get("trials"):
        return
    body = {**learner.response(state["trials"][0]), **changes}
    stored = len(rows(running)["responses"])
    answer = learner.client.post(
        "/task/responses",
        data=dump(body),
        content_type="application/json",
        headers={"X-CSRFToken": learner.csrf},
    )
    check_json(answer, RESPONSE_STATUSES)
    new = answer.status_code == 200 and not answer.get_json()["duplicate"]
    assert len(rows(running)["responses"]) == stored + new
    check_database(running)


@fuzzed
@given(timing=st.dictionaries(nasty_text, nasty_text | nasty_number, max_size=60))
def test_a_response_with_nasty_timings(learner, running, timing):
    state = learner.state()
    if not state.get("trials"):
        return
    body = learner.response(state["trials"][0], timing=timing)
    answer = learner.client.post(
        "/task/responses",
        data=dump(body),
        content_type="application/json",
        headers={"X-CSRFToken": learner.csrf},
    )
    check_json(answer, RESPONSE_STATUSES)
    check_database(running)


@fuzzed
@given(body=nasty | st.fixed_dictionaries({"report": nasty}))
def test_any_report_of_the_images(learner, running, body):
    answer = learner.client.post(
        "/task/preload",
        data=dump(body),
        content_type="application/json",
        headers={"X-CSRFToken": learner.csrf},
    )
    check_json(answer, {204, 400, 413, 422})
    check_database(running)


FORM_KEYS = ("report", "choice", "again", "give_up", "age_years", "gender", "comments", "delete")


forms = st.dictionaries(
    st.sampled_from([*FORM_KEYS, "q_task"]) | nasty_text, nasty_text, max_size=5
)


def encodable(form: dict[str, str]) -> dict[str, str]:
    """Forms are sent as UTF-8: no lone surrogates."""
    return {
        key.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace").decode()
        for key, value in form.items()
    }


@settings(fuzzed, max_examples=120)
@given(page=st.sampled_from(PAGES) | nasty_text, form=forms)
def test_any_form_at_any_stage(person, app, running, page, form):
    one = person()
    one.arrive()
    one.agree()
    wanted = encodable({"page": page})["page"]
    answer = one.client.post(f"/study/{wanted}", data={**encodable(form), "csrf_token": one.csrf})
    check_page(answer)
    check_page(one.client.get("/study"))
    check_database(running)


@fuzzed
@given(
    answers=st.fixed_dictionaries(
        {},
        optional={
            "age_years": nasty_text,
            "gender": nasty_text,
            "comments": nasty_text,
        },
    )
)
def test_any_answers_to_the_last_questions(running, at_task, answers):
    one = at_task()
    while trials := one.state().get("trials"):
        one.answer(trials[0])
    check_page(
        one.client.post("/study/questions", data={**encodable(answers), "csrf_token": one.csrf})
    )
    check_page(one.client.get("/study"))
    check_database(running)


@settings(fuzzed, max_examples=60)
@given(
    report=st.dictionaries(
        st.sampled_from(
            [
                "viewport_width_px",
                "viewport_height_px",
                "pointer",
                "browser",
                "platform",
                "refresh_hz",
                "device_pixel_ratio",
                "cross_origin_isolated",
            ]
        ),
        nasty,
        max_size=8,
    )
    | nasty
)
def test_any_report_of_the_device(person, running, report):
    one = person()
    one.arrive()
    one.agree()
    check_page(
        one.client.post(
            "/study/device",
            data={"report": dump(report).decode("utf-8", "replace"), "csrf_token": one.csrf},
        )
    )
    check_page(one.client.get("/study"))
    check_database(running)


@settings(fuzzed, max_examples=120)
@given(
    parameters=st.dictionaries(
        st.sampled_from(["PROLIFIC_PID", "STUDY_ID", "SESSION_ID", "prolific_token"]) | nasty_text,
        nasty_text,
        max_size=5,
    )
)
def test_any_parameters_of_the_link(app, clock, running, parameters):
    before = rows(running)
    person = Person(app.test_client(), clock)
    answer = person.client.get("/", query_string=encodable({**person.parameters, **parameters}))
    check_page(answer)
    assert rows(running) == before


ADDRESSES = (
    "/consent",
    *(f"/study/{page}" for page in PAGES),
    "/task/responses",
    "/task/preload",
    "/prolific/webhook",
    "/admin/login",
)


header_text = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60)


@settings(fuzzed, max_examples=150)
@given(
    address=st.sampled_from(ADDRESSES),
    body=nasty_bytes,
    content_type=content_types,
    cookie=header_text,
    token=header_text,
    forwarded=header_text,
)
def test_any_post_of_a_stranger(
    app, running, address, body, content_type, cookie, token, forwarded
):
    before = rows(running)
    client = app.test_client()
    answer = client.post(
        address,
        data=body,
        content_type=content_type,
        headers={"Cookie": f"study={cookie}", "X-CSRFToken": token, "X-Forwarded-For": forwarded},
    )
    if address.startswith(("/task/", "/prolific/")):
        check_json(answer, {400, 401, 403, 404, 413, 415, 422})
    else:
        check_page(answer)
    assert rows(running) == before


@pytest.mark.parametrize("address", ["/task/responses", "/task/preload"])
@pytest.mark.parametrize("body", [b"[" * 50_000, b'{"a":' * 20_000, b"[" * 200_000])
def test_deep_json_is_refused_as_any_other_nonsense(learner, address, body):
    answer = learner.client.post(
        address, data=body, content_type="application/json", headers={"X-CSRFToken": learner.csrf}
    )
    check_json(answer, {400, 422})


@pytest.mark.parametrize("address", ["/task/responses", "/task/preload", "/study/device"])
def test_too_large_a_body_is_refused_as_such(learner, address):
    answer = learner.client.post(
        address,
        data=b"x" * (2 * 1024 * 1024),
        content_type="application/json",
        headers={"X-CSRFToken": learner.csrf},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
@pytest.mark.parametrize("address", ["/task/responses", "/study", "/consent"])
def test_other_methods_are_not_allowed(learner, method, address):
    answer = getattr(learner.client, method)(address, headers={"X-CSRFToken": learner.csrf})
    assert answer.status_code == 405
