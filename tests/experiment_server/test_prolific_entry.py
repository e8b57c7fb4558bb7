"""Arrival from Prolific: what is let in, what is refused, and what is given back at the end."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_prolific import AUDIENCE, KID, STUDY, FakeProlific, private_key
from pydantic import SecretStr
from stories import prolific_id

from experiment_server.config import Config, Settings
from experiment_server.experiment import Experiment
from experiment_server.prolific import ArrivalError, completion, keys, read_arrival
from experiment_server.prolific.keys import Keys

PID = "5e00000000000000000000aa"
SESSION = "6a00000000000000000000bb"
QUERY = {"PROLIFIC_PID": PID, "STUDY_ID": STUDY, "SESSION_ID": SESSION}


@pytest.fixture
def fake() -> FakeProlific:
    return FakeProlific()


@pytest.fixture
def instance(clock):
    """`instance(signed_entry=..., ...)`: what runs with these settings, without a database."""

    def make(**prolific) -> Experiment:
        config = Config(
            study=Path("study"),
            data=Path("data"),
            database_url="sqlite://",
            secret_key=SecretStr("a secret"),
            settings=Settings.model_validate({"prolific": prolific}),
        )
        return Experiment(config, bundle=None, database=None, now=clock)

    return make


@pytest.fixture
def arrive(instance, fake):
    """`arrive(query, signed_entry=..., ...)` -> the Arrival; all with one cache of keys."""
    cache = Keys(transport=fake.transport)

    def read(query, **settings):
        return read_arrival(query, instance(**{"audience": AUDIENCE, **settings}), cache)

    return read


@pytest.fixture
def token(fake, clock):
    """`token(sub=..., ...)`: valid but for what is changed."""

    def sign(**changes):
        claims = {
            "sub": SESSION,
            "exp": int(clock().timestamp()) + 120,
            "prolific": {**QUERY, "workspace_id": "w"},
        }
        return fake.entry_token(**{**claims, **changes})

    return sign


def refusal(call, *args, **settings) -> str:
    with pytest.raises(ArrivalError) as caught:
        call(*args, **settings)
    assert str(caught.value).endswith(".")
    return caught.value.reason


def test_parameters_are_read(arrive):
    arrival = arrive(QUERY)
    assert (arrival.prolific_pid, arrival.study_id, arrival.submission_id) == (PID, STUDY, SESSION)
    assert not arrival.signed


def test_ids_in_capitals_are_the_same_person(arrive):
    assert arrive({**QUERY, "PROLIFIC_PID": PID.upper()}).prolific_pid == PID


def test_other_forms_of_submission_ids_are_let_in(arrive):
    assert arrive({**QUERY, "SESSION_ID": "Test_session-1"}).submission_id == "Test_session-1"


@pytest.mark.parametrize("name", QUERY)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "missing"),
        (None, "missing"),
        ("  ", "missing"),
        ("{{%PROLIFIC_PID%}}", "placeholder"),
        ("%7B%7B%25STUDY_ID", "placeholder"),
        ("a b", "malformed"),
        ("../../etc/passwd", "malformed"),
        ("<script>", "malformed"),
        ("a" * 65, "malformed"),
        ("5e00000000000000000000aá", "malformed"),
        ("5e0000000000000000\0", "malformed"),
    ],
)
def test_bad_parameters_are_refused(arrive, name, value, reason):
    query = {key: kept for key, kept in {**QUERY, name: value}.items() if kept is not None}
    assert refusal(arrive, query) == reason


def test_another_study_is_refused(arrive):
    assert refusal(arrive, QUERY, study_ids=["5f0000000000000000000002"]) == "other_study"
    assert arrive(QUERY, study_ids=[STUDY.upper()]).study_id == STUDY


@pytest.mark.parametrize("signed_entry", ["checked", "required"])
def test_a_valid_token_signs_the_arrival(arrive, token, signed_entry):
    query = {**QUERY, "prolific_token": token()}
    assert arrive(query, signed_entry=signed_entry).signed


def test_without_a_token_only_required_refuses(arrive):
    assert not arrive(QUERY, signed_entry="checked").signed
    assert refusal(arrive, QUERY, signed_entry="required") == "unsigned"


def test_off_does_not_look_at_the_token(arrive, fake):
    assert not arrive({**QUERY, "prolific_token": "nonsense"}, signed_entry="off").signed
    assert fake.requests == []


def test_without_an_audience_nothing_counts_as_signed(arrive, token):
    query = {**QUERY, "prolific_token": token()}
    assert not arrive(query, audience=None).signed
    with pytest.raises(ValueError, match="needs audience"):
        arrive(query, audience=None, signed_entry="required")


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "a key that Prolific does not have"},  # forged signature
        {"sub": "6a00000000000000000000cc"},
        {"aud": "https://other.example.org/"},
        {"aud": "http://study.example.org/"},
        {"aud": "https://study.example.org.evil.example/"},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"sub": None},
        {"iss": "https://prolific.example"},
        {"prolific": {**QUERY, "PROLIFIC_PID": "5e00000000000000000000ab"}},
        {"header": {"kid": "key-9"}},
    ],
)
def test_forged_tokens_are_refused(arrive, token, changes):
    assert refusal(arrive, {**QUERY, "prolific_token": token(**changes)}) == "forged"


def test_a_token_of_someone_else_is_refused(arrive, token):
    query = {**QUERY, "SESSION_ID": prolific_id(), "prolific_token": token()}
    assert refusal(arrive, query) == "forged"


def test_the_algorithm_is_ours_to_choose(arrive, fake, clock):
    claims = {
        "iss": "https://www.prolific.com",
        "aud": AUDIENCE,
        "sub": SESSION,
        "exp": int(clock().timestamp()) + 60,
    }
    public = private_key(KID).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    unsigned = jwt.encode(claims, None, "none", headers={"kid": KID})
    # HS256 with the public key as its secret; the library refuses to make one, an attacker does not
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": KID}, claims)
    )
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = base64.urlsafe_b64encode(mac.sign(head + b"." + body, pem)).rstrip(b"=")
    confused = b".".join((head, body, signature)).decode()
    for bad in (unsigned, confused, "a.b.c", "", "é", "." * 9000):
        assert refusal(arrive, {**QUERY, "prolific_token": bad}, signed_entry="required") in {
            "forged",
            "unsigned",
        }


def test_an_expired_token_says_so(arrive, token, clock):
    query = {**QUERY, "prolific_token": token()}
    clock.advance(seconds=149)
    assert arrive(query).signed  # half a minute for clocks that differ
    clock.advance(seconds=2)
    assert refusal(arrive, query) == "expired"


def test_keys_are_fetched_once_a_day(arrive, token, fake, clock):
    for _ in range(3):
        arrive({**QUERY, "prolific_token": token()})
    assert len(fake.requests) == 1
    clock.advance(days=1, seconds=1)
    arrive({**QUERY, "prolific_token": token()})
    assert len(fake.requests) == 2


def test_a_new_key_is_looked_up_but_not_more_than_once_a_minute(arrive, token, fake, clock):
    arrive({**QUERY, "prolific_token": token()})
    fake.kids = [KID, "key-2"]
    rotated = {"key": "key-2", "header": {"kid": "key-2"}}
    for _ in range(5):  # five forged ones, and the new key just as unknown: no more requests yet
        assert refusal(arrive, {**QUERY, "prolific_token": token(header={"kid": "x"})}) == "forged"
    assert len(fake.requests) == 1
    clock.advance(minutes=1)
    assert arrive({**QUERY, "prolific_token": token(**rotated)}).signed
    assert len(fake.requests) == 2


def test_without_prolific_the_keys_serve_a_second_day(arrive, token, fake, clock):
    arrive({**QUERY, "prolific_token": token()})
    clock.advance(days=1, hours=1)
    fake.faults.append(httpx.ConnectError("no route"))
    assert arrive({**QUERY, "prolific_token": token()}).signed
    clock.advance(days=1)
    fake.faults.append(httpx.Response(200, text="<html>"))
    assert refusal(arrive, {**QUERY, "prolific_token": token()}) == "keys_unavailable"
    clock.advance(minutes=1)
    assert arrive({**QUERY, "prolific_token": token()}).signed


def test_over_http(make_app, person, token, fake, monkeypatch, clock):
    monkeypatch.setattr(keys, "PROLIFIC_KEYS", Keys(transport=fake.transport))
    app = make_app({"prolific": {"audience": AUDIENCE, "signed_entry": "required"}})
    someone = person(app_=app)
    refused = someone.arrive()
    assert refused.status_code == 400
    assert "from its page on Prolific" in refused.get_data(as_text=True)
    ids = someone.parameters
    someone.parameters = {
        **ids,
        "prolific_token": token(sub=ids["SESSION_ID"], prolific={**ids, "workspace_id": "w"}),
    }
    assert someone.arrive().status_code == 200


CODES = {
    "completed": "DONE",
    "declined_consent": "NOCONSENT",
    "unsuitable_device": "DEVICE",
    "screened_out": "SCREEN",
}


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("completed", "DONE"),
        ("declined_consent", "NOCONSENT"),
        ("unsuitable_device", "DEVICE"),
        ("failed_quiz", "SCREEN"),
        ("failed_practice", "SCREEN"),
        ("in_progress", None),
        ("withdrew", None),
        ("timed_out", None),
        ("returned", None),
        ("nonsense", None),
    ],
)
def test_each_outcome_has_its_code(instance, outcome, code):
    found = completion(outcome, instance(codes=CODES))
    url = f"https://app.prolific.com/submissions/complete?cc={code}" if code else None
    assert (found.code, found.url) == (code, url)


def test_a_code_that_is_not_configured_is_none(instance):
    assert completion("completed", instance()).code is None
