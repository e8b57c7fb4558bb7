"""Machine participants over HTTP, against the server in a process of its own."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from dataclasses import replace

import httpx
import pytest
from click.testing import CliRunner
from servers import serving, stored_outcomes, stored_responses

from experiment_server.bots import (
    LIKE_PEOPLE,
    PLAIN,
    Habits,
    bots_command,
    new_report,
    run_bots,
)
from experiment_server.bots.browser import Browser, NoAnswerError, Traffic
from stimuli.schema import read_study

HURRY = 300.0


@pytest.fixture
def server(bundle_folder, database_url, tmp_path):
    with serving(bundle_folder, database_url, tmp_path) as started:
        yield started


def test_a_crowd_that_misbehaves_is_recorded_exactly_as_it_was_told(server, database_url):
    habits = Habits(
        pace=HURRY, drop_out=0.2, withdraw=0.2, come_back_late=0.2, refresh=0.2, two_tabs=0.5
    )
    report = run_bots(server.url, 16, habits=habits, seed="crowd")
    assert report.errors == []
    told = {outcome: counts.total() for outcome, counts in report.outcomes.items()}
    assert sum(told.values()) == 16
    in_progress = {"in_progress": told.pop("dropped_out")}
    assert stored_outcomes(database_url) == Counter({**told, **in_progress})
    assert {"completed", "withdrew"} <= set(told)
    stored = stored_responses(database_url)
    assert set(stored.values()) == {1}
    gone = set(report.acknowledged) - set(stored)  # by those who wanted their data deleted
    assert set(stored) <= set(report.acknowledged)
    assert not {one.prolific_pid for one in gone} & {one.prolific_pid for one in stored}
    assert len({one.prolific_pid for one in gone}) <= told["withdrew"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_with_the_study_at_hand_bots_are_as_accurate_as_they_are_told(
    server, bundle_folder, database_url
):
    study = read_study(bundle_folder)
    accuracy = {"olah": 0.0, "maco": 1.0, "control": 1.0}
    habits = Habits(pace=HURRY, accuracy=accuracy, images=False)
    report = run_bots(server.url, 9, habits=habits, study=study, seed="accurate")
    assert report.errors == []
    assert report.outcomes["completed"] == {"olah": 3, "maco": 3, "control": 3}
    favored = {one.id: one.favored_side for one in study.trials if one.kind == "main"}
    right = Counter(
        favored[one.trial_id] == one.response_side
        for one in stored_responses(database_url)
        if one.trial_id in favored
    )
    assert right == {True: 6 * 4, False: 3 * 4}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_command_prints_and_keeps_a_report(server, tmp_path):
    out = tmp_path / "report.json"
    options = ["--participants", "2", "--pace", "300", "--seed", "s", "--out", str(out)]
    said = CliRunner().invoke(bots_command, ["--url", server.url, *options])
    assert said.exit_code == 0, said.output
    assert "completed: 2" in said.output
    report = json.loads(out.read_text())
    assert report["seed"] == "s"
    assert report["errors"] == []
    assert len(report["acknowledged"]) >= 14
    assert report["latency_ms"]["POST /task/responses"]["count"] == len(report["acknowledged"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[half"])
def test_bots_say_at_once_that_there_is_no_server(url):
    said = CliRunner().invoke(bots_command, ["--url", url])
    assert said.exit_code == 1
    assert said.output.startswith(f"Error: no server answers at {url} (")
    assert said.output.endswith("start one, or give its --url\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--study", "nowhere"], "nowhere/study.json: cannot be read"),
        (["--study", "BUNDLE", "--accuracy", "mako=.8"], "--accuracy mako: the study's conditions"),
        (["--study", "BUNDLE", "--accuracy", "maco=8"], "8.0 is not in the range 0<=x<=1"),
        (["--study", "BUNDLE", "--accuracy", "maco"], "CONDITION=SHARE, such as maco=.8"),
        (["--study", "BUNDLE", "--observer", "clip"], "--observer and --observations are given"),
        (["--pace", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_bots_say_what_they_cannot_be_told(bundle_folder, options, sentence):
    given = [str(bundle_folder) if one == "BUNDLE" else one for one in options]
    said = CliRunner().invoke(bots_command, ["--url", "http://127.0.0.1:1", *given])
    assert said.exit_code == 2
    assert sentence in said.output.splitlines()[-1]


@pytest.mark.parametrize("option", ["--accuracy=maco=.8", "--observer=clip"])
def test_right_answers_without_the_study_are_refused(option):
    said = CliRunner().invoke(bots_command, [option])
    assert said.exit_code == 2
    assert f"{option.split('=')[0]} needs --study" in said.output


def test_bots_like_people_have_the_presets_habits_where_none_is_given(monkeypatch):
    sent = []

    def send(url, participants, *, habits, **options):
        sent.append(habits)
        return new_report(participants)

    monkeypatch.setattr("experiment_server.bots.run.run_bots", send)
    monkeypatch.setattr("experiment_server.bots.run._require_server", lambda url: None)
    CliRunner().invoke(bots_command, ["--like-people", "--drop-out", ".5"], catch_exceptions=False)
    CliRunner().invoke(bots_command, [], catch_exceptions=False)
    assert sent == [replace(LIKE_PEOPLE, drop_out=0.5, pace=10), replace(PLAIN, pace=10)]


def ask(answers, monkeypatch, patience_s=60.0):
    """What a browser makes of a server that gives these answers, one after the other."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    def answer(request):
        one = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(one, Exception):
            raise one
        return one

    async def go():
        browser = Browser("http://server", traffic, ssl.create_default_context(), "10.0.0.1")
        await browser.client.aclose()
        browser.client = httpx.AsyncClient(
            base_url="http://server", transport=httpx.MockTransport(answer)
        )
        try:
            return await browser.send("GET", "/task/state")
        finally:
            await browser.close()

    traffic = Traffic()
    monkeypatch.setattr("experiment_server.bots.browser.asyncio.sleep", sleep)
    monkeypatch.setattr("experiment_server.bots.browser.PATIENCE_S", patience_s)
    return asyncio.run(go()), waits, traffic


def test_a_bot_waits_as_long_as_a_busy_server_asks(monkeypatch):
    busy = httpx.Response(503, headers={"Retry-After": "2"})
    answer, waits, traffic = ask([busy, httpx.Response(200)], monkeypatch)
    assert answer.status_code == 200
    assert waits == [2.0]
    assert traffic.busy == {"503 GET /task/state": 1}


def test_a_bot_tries_again_after_a_broken_connection(monkeypatch):
    broken = httpx.ConnectError("refused")
    answer, waits, traffic = ask([broken, broken, httpx.Response(200)], monkeypatch)
    assert answer.status_code == 200
    assert waits == [0.1, 0.2]
    assert traffic.broken_connections == 2


def test_a_bot_gives_up_in_the_end(monkeypatch):
    with pytest.raises(NoAnswerError, match="GET /task/state: no answer within 1 s"):
        ask([httpx.ConnectError("refused")], monkeypatch, patience_s=1.0)
