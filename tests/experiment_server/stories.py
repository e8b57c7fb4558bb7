"""A participant as a test sees one: arrive, agree, answer, over Flask's test client."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from experiment_server.text import QUIZ

RIGHT = {question.key: question.right for question in QUIZ}  # answers to the quiz
DEVICE = (
    '{"viewport_width_px": 1280, "viewport_height_px": 720, "screen_width_px": 1440,'
    ' "screen_height_px": 900, "device_pixel_ratio": 2, "pointer": "mouse",'
    ' "browser": "Chromium 150", "platform": "Linux", "refresh_hz": 60.0,'
    ' "timer_resolution_ms": 0.1, "cross_origin_isolated": true}'
)


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **duration: float) -> None:
        self.time += timedelta(**duration)


def prolific_id() -> str:
    """24 hexadecimal digits."""
    return secrets.token_hex(12)


class Person:
    """Someone with a browser, at a running application."""

    def __init__(self, client: FlaskClient, clock: Clock, pid: str | None = None) -> None:
        self.client = client
        self.clock = clock
        self.pid = pid or prolific_id()
        self.parameters = {
            "PROLIFIC_PID": self.pid,
            "STUDY_ID": "5f0000000000000000000001",
            "SESSION_ID": prolific_id(),
        }
        self.csrf = ""

    def move_to(self, client: FlaskClient) -> None:
        """The same browser, with the same cookies, at another server."""
        cookie = self.client.get_cookie("study")
        if cookie is not None:
            client.set_cookie("study", cookie.value)
        self.client = client

    def get(self, path: str, **options: Any) -> TestResponse:
        answer = self.client.get(path, **options)
        if answer.mimetype == "text/html":
            page = answer.get_data(as_text=True)
            self.csrf = re.findall(r'name="csrf-token" content="([^"]+)"', page)[0]
        return answer

    def post(self, path: str, **form: str) -> TestResponse:
        """Posts a form, and follows to the page it leads to."""
        answer = self.client.post(path, data={"csrf_token": self.csrf, **form})
        return self.get(answer.location) if answer.status_code in {302, 303} else answer

    def send(self, path: str, body: Any) -> TestResponse:
        return self.client.post(path, json=body, headers={"X-CSRFToken": self.csrf})

    def arrive(self) -> TestResponse:
        return self.get("/", query_string=self.parameters)

    def agree(self) -> TestResponse:
        return self.post("/consent", choice="agree")

    def pass_quiz(self, answers: dict[str, str]) -> TestResponse:
        """From consent to the first practice trial; `answers`: question key -> right option."""
        self.arrive()
        self.agree()
        self.post("/study/device", report=DEVICE)
        self.clock.advance(seconds=40)
        self.post("/study/instructions")
        return self.post("/study/quiz", **{f"q_{key}": option for key, option in answers.items()})

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/task/state").get_json()
        return found

    def response(self, trial: dict[str, Any], side: str = "left", **changes: Any) -> dict[str, Any]:
        """What the page would send of a trial of `state`."""
        self.clock.advance(seconds=2)
        now_ms = self.clock().timestamp() * 1000
        body = {
            "trial_index": trial["trial_index"],
            "trial_id": trial["trial_id"],
            "response_side": side,
            "confidence": None,
            "rt_ms": 812.5,
            "shown_at_ms": now_ms - 900,
            "responded_at_ms": now_ms - 87.5,
            "sent_at_ms": now_ms,
            "timing": {
                "dropped_frames": 0,
                "hidden_events": 0,
                "blur_events": 0,
                "viewport_width_px": 1280,
                "viewport_height_px": 720,
                "device_pixel_ratio": 2,
            },
        }
        return {**body, **changes}

    def answer(self, trial: dict[str, Any], side: str = "left", **changes: Any) -> TestResponse:
        return self.send("/task/responses", self.response(trial, side, **changes))
