"""The API client against the documented contract: pages, rejections, bonuses, waiting."""

from __future__ import annotations

import httpx
import pytest
from fake_prolific import STUDY, TOKEN, FakeProlific

from experiment_server.prolific import ProlificClient, ProlificError

WHY = (
    "The answers on all of the attention checks were wrong, and "
    + "so the data cannot be used. " * 3
)


@pytest.fixture
def fake() -> FakeProlific:
    return FakeProlific()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(fake, waits):
    with ProlificClient(TOKEN, transport=fake.transport, sleep=waits.append) as one:
        yield one


@pytest.mark.parametrize("count", [0, 1, 20, 21, 40, 61])
def test_no_submission_is_lost_between_pages(fake, client, count):
    ids = [fake.submit() for _ in range(count)]
    fake.submit(study="5f0000000000000000000002")
    found = client.submissions(STUDY)
    assert [one.id for one in found] == ids
    assert {one.status for one in found} <= {"AWAITING REVIEW"}


def test_a_list_that_ends_too_early_is_an_error(fake, client):
    rows = [{"id": str(at), "status": "ACTIVE"} for at in range(20)]
    page = {"results": rows, "meta": {"count": 21}, "_links": {"next": {"href": None}}}
    fake.faults.extend([httpx.Response(200, json=page)] * 2)
    fake.faults.append(httpx.Response(200, json={"results": [], "meta": {"count": 21}}))
    with pytest.raises(ProlificError, match="20 of 21 submissions"):
        client.submissions(STUDY)


def test_the_link_to_the_next_page_is_never_followed_elsewhere(fake, client):
    page = {
        "results": [{"id": "a", "status": "ACTIVE"}],
        "_links": {"next": {"href": "https://evil.example/?page=2"}},
        "meta": {"count": 1},
    }
    fake.faults.append(httpx.Response(200, json=page))
    client.submissions(STUDY)
    assert {path for _, path in fake.requests} == {"/api/v1/submissions/"}


def test_one_submission(fake, client):
    name = fake.submit(participant="5e00000000000000000000aa", status="TIMED-OUT", code="NOCODE")
    found = client.submission(name)
    assert (found.participant, found.study_id) == ("5e00000000000000000000aa", STUDY)
    assert (found.status, found.code) == ("TIMED OUT", "NOCODE")


def test_transitions(fake, client):
    approved, rejected, completed = (fake.submit(status="ACTIVE") for _ in range(3))
    client.approve(approved)
    client.reject(rejected, "FAILED_CHECK", WHY)
    client.complete(completed, "DONE")
    statuses = [fake.submissions[name]["status"] for name in (approved, rejected, completed)]
    assert statuses == ["APPROVED", "REJECTED", "AWAITING REVIEW"]


def test_a_rejection_needs_a_category_and_a_reason(fake, client):
    name = fake.submit()
    with pytest.raises(ValueError, match="at least 100"):
        client.reject(name, "FAILED_CHECK", "No." + " " * 200)
    with pytest.raises(ValueError, match="LOW_EFFORT"):
        client.reject(name, "BORING", WHY)
    assert fake.requests == []


def test_asking_for_a_return(fake, client):
    name = fake.submit()
    client.request_return(name, ["Didn't finish the study"])
    assert fake.return_requests == {name: ["Didn't finish the study"]}


def test_many_are_approved_in_portions(fake, client):
    names = [fake.submit() for _ in range(201)]
    client.approve_all(names)
    assert {row["status"] for row in fake.submissions.values()} == {"APPROVED"}
    assert len(fake.requests) == 2


def test_bonuses_are_set_up_in_pounds_and_paid_by_a_second_call(fake, client):
    people = ["5e00000000000000000000aa", "5e00000000000000000000bb"]
    for person in people:
        fake.submit(participant=person)
    batch = client.set_up_bonuses(STUDY, {people[0]: 150, people[1]: 5})
    assert batch.amount_minor == 155
    assert not fake.paid_minor
    client.pay_bonuses(batch.id)
    assert dict(fake.paid_minor) == {people[0]: 150, people[1]: 5}


@pytest.mark.parametrize("count", [0, 201])
def test_more_than_200_bonuses_are_not_sent(client, count):
    with pytest.raises(ValueError, match="1 to 200"):
        client.set_up_bonuses(STUDY, {str(at): 100 for at in range(count)})


def test_prolific_is_waited_for_as_it_says(fake, client, waits):
    name = fake.submit()
    fake.faults.append(httpx.Response(429, headers={"Retry-After": "7"}))
    fake.faults.append(httpx.Response(429))
    client.approve(name)
    assert waits == [7.0, 4.0]
    assert fake.submissions[name]["status"] == "APPROVED"


def test_it_is_not_waited_for_without_end(fake, client, waits):
    fake.faults.extend([httpx.Response(429)] * 9)
    with pytest.raises(ProlificError, match="429"):
        client.approve(fake.submit())
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0]


@pytest.mark.parametrize("fault", [httpx.Response(502), httpx.ReadTimeout("slow")])
def test_what_can_be_repeated_is_after_a_failure(fake, client, waits, fault):
    fake.submit()
    fake.faults.append(fault)
    assert len(client.submissions(STUDY)) == 1
    assert waits == [2.0]


@pytest.mark.parametrize(
    "fault", [httpx.Response(429), httpx.Response(500), httpx.ReadTimeout("slow")]
)
def test_paying_is_never_repeated(fake, client, waits, fault):
    fake.faults.append(fault)
    with pytest.raises(ProlificError, match="/pay/"):
        client.pay_bonuses("batch")
    assert len(fake.requests) == 1
    assert waits == []


@pytest.mark.parametrize("fault", [httpx.Response(500), httpx.ReadTimeout("slow")])
def test_setting_up_bonuses_is_not_repeated_when_it_may_have_been_taken(fake, client, fault):
    fake.faults.append(fault)
    with pytest.raises(ProlificError):
        client.set_up_bonuses(STUDY, {"a": 100})
    assert len(fake.requests) == 1


def test_errors_are_one_line_without_the_token(fake):
    with (
        ProlificClient("wrong\ttoken", transport=fake.transport) as client,
        pytest.raises(ProlificError) as caught,
    ):
        client.approve("../../users/me")
    message = str(caught.value)
    assert "401" in message
    assert "credentials" in message
    assert "\n" not in message
    assert "wrong" not in message
    assert fake.requests == [("POST", "/api/v1/submissions/..%2F..%2Fusers%2Fme/transition/")]


def test_an_answer_that_is_no_json_is_an_error_of_one_line(fake, client):
    fake.faults.append(httpx.Response(400, text="<html>\n<b>no</b>\n</html>"))
    with pytest.raises(ProlificError, match=r"400, <html> <b>no</b> </html>$"):
        client.approve("a")
