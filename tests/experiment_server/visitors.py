"""A real browser at a running server: visitors who see pages, click and press keys."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)
from pydantic import SecretStr
from sqlalchemy import select
from stories import DEVICE, prolific_id
from werkzeug.serving import make_server

from experiment_server import create_app
from experiment_server.config import Config, Settings
from experiment_server.experiment import KEY, Experiment
from experiment_server.models import Login, Participant, Response
from experiment_server.text import QUIZ

BROWSERS = ("chromium", "google-chrome", "chromium-browser")
CODE = "C0MPL3TE"
SETTINGS = {
    "task": {"gap_ms": 60},
    "practice": {"correct_needed": 0},
    "prolific": {"codes": {"completed": CODE}},
}
_NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(event.violatedDirective + " " + event.blockedURI);
  console.error("CSP: " + event.violatedDirective + " " + event.blockedURI);
});
"""


@dataclass
class Server:
    """A running server: its address, and what is behind it."""

    url: str
    running: Experiment

    def people(self) -> list[Participant]:
        with self.running.database.read() as session:
            return list(session.scalars(select(Participant).order_by(Participant.id)))

    def responses(self) -> list[Response]:
        with self.running.database.read() as session:
            query = select(Response).order_by(Response.participant_id, Response.trial_index)
            return list(session.scalars(query))

    def logins(self) -> list[Login]:
        with self.running.database.read() as session:
            return list(session.scalars(select(Login)))


@dataclass
class Visitor:
    """A participant with a browser of their own."""

    context: BrowserContext
    server: Server
    page: Page = field(init=False)
    console: list[str] = field(default_factory=list)
    parameters: str = ""

    def listen(self, page: Page) -> None:
        """Notes what goes wrong in a page."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.console.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console.append(message.text)

    def arrive(self, parameters: str = "") -> None:
        names = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
        fresh = "&".join(f"{name}={prolific_id()}" for name in names)
        self.parameters = parameters or fresh
        self.page.goto(f"{self.server.url}/?{self.parameters}")

    def open_tab(self, path: str = "/study") -> Page:
        """A new tab, which is the one that is used from now on."""
        self.page = self.context.new_page()
        self.page.goto(self.server.url + path)
        return self.page

    def forgive(self, *expected: str) -> None:
        """Takes from the console the errors that a test has brought about."""
        self.console[:] = [
            line for line in self.console if not any(word in line for word in expected)
        ]

    def press(self, name: str) -> None:
        """Clicks the button of this name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def answer_quiz(self) -> None:
        for question in QUIZ:
            right = dict(question.options)[question.right]
            self.page.get_by_label(right).check()
        self.press("Hand in")

    def be_dealt(self) -> None:
        """Arrives, and hands in the pages before practice without showing them."""
        self.arrive()
        self._post("/consent", form={"choice": "agree"})
        self._post("/study/device", form={"report": DEVICE})
        self._post("/study/instructions", form={})
        self._post("/study/quiz", form={f"q_{one.key}": one.right for one in QUIZ})

    def skip_to_practice(self) -> None:
        """The same, and is shown practice."""
        self.be_dealt()
        self.page.goto(f"{self.server.url}/study")

    def skip_to_main(self) -> None:
        """The same, and answers the practice trials with "left"."""
        self.be_dealt()
        state = self.context.request.get(f"{self.server.url}/task/state").json()
        times = dict.fromkeys(("rt_ms", "shown_at_ms", "responded_at_ms", "sent_at_ms"), 0.0)
        for trial in state["trials"]:
            names = {name: trial[name] for name in ("trial_index", "trial_id")}
            self._post("/task/responses", data={**names, "response_side": "left", **times})
        self.page.goto(f"{self.server.url}/study")
        self.at_screen("The main part")

    def _post(self, path: str, **body: object) -> None:
        token = self.page.locator("meta[name=csrf-token]").get_attribute("content")
        answer = self.context.request.post(
            self.server.url + path, headers={"X-CSRFToken": str(token)}, **body
        )
        assert answer.ok, answer.text()

    def at_screen(self, heading: str) -> None:
        """Waits for the page, or screen of the task, with this heading."""
        expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_visible()

    def begin(self) -> None:
        expect(self.page.locator("#begin")).to_be_enabled()
        self.page.locator("#begin").click()

    def see_trial(self, number: int | None = None) -> None:
        """Waits until a trial can be answered; `number`: how many were answered before it."""
        if number is not None:
            expect(self.page.locator("#progress-text")).to_have_text(re.compile(rf"^{number} of "))
        expect(self.page.locator("#left")).to_be_enabled()

    def choose(self, side: str, *, key: str | None = None) -> None:
        """Answers a trial, by mouse or with a key."""
        self.see_trial()
        if key:
            self.page.keyboard.press(key)
        else:
            self.page.get_by_role("button", name=f"{side.capitalize()} picture").click()

    def practise(self, side: str, *, key: str | None = None, onward: str | None = None) -> None:
        """A practice trial, until the feedback has been left."""
        self.choose(side, key=key)
        expect(self.page.locator("#feedback")).to_contain_text("the network favored")
        if onward:
            self.page.keyboard.press(onward)
        else:
            self.press("Continue")


def find_browser() -> str | None:
    """Path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def launched_browser(untested: str) -> Iterator[Browser]:
    """A Chromium; without one the test fails where tests must run, and is skipped elsewhere."""
    path = find_browser()
    if path is None:
        problem = f"NO BROWSER: {untested} is not tested; install {BROWSERS[0]}"
        if os.environ.get("CI") or os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(problem)
        pytest.skip(problem)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


@contextmanager
def running_server(study: Path, data: Path, url: str, settings: dict) -> Iterator[Server]:
    """A server on a free port, with the real clock."""
    tables = {name: {**SETTINGS.get(name, {}), **table} for name, table in settings.items()}
    config = Config(
        study=study,
        data=data,
        database_url=url,
        secret_key=SecretStr(secrets.token_hex(32)),
        settings=Settings.model_validate({**SETTINGS, **tables}),
    )
    app = create_app(config)
    app.config["RATELIMIT_ENABLED"] = False
    running = app.extensions[KEY]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", running)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        running.database.engine.dispose()


def new_visitor(browser: Browser, server: Server, **options: object) -> Visitor:
    """Somebody new, in a window of 1280 x 720 unless `options` say otherwise."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 720}, **options})
    context.set_default_timeout(10_000)
    context.add_init_script(_NOTE_VIOLATIONS)
    visitor = Visitor(context, server)
    context.on("page", visitor.listen)
    visitor.page = context.new_page()
    return visitor
