"""One machine participant: what it does on each page, and how it answers."""

from __future__ import annotations

import asyncio
import html
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from experiment_server.bots.browser import Browser, NoAnswerError
from experiment_server.bots.report import Acknowledged, Report
from experiment_server.text import QUIZ, TEXT
from stimuli.schema import Study, Trial

# Human seconds: medians of log-normal times, and the SD of their logarithm.
READING_S = {"consent": 20.0, "device": 3.0, "instructions": 40.0, "quiz": 25.0}
READING_S |= {"questions": 15.0, "debrief": 10.0, "withdraw": 5.0}
REACTION_S = 2.5
SPREAD = 0.5
AWAY_S = 60.0
EASY = 0.97  # share right in practice and catch trials, for who has an accuracy at all
LEAVES_WITHIN = 12  # pages and trials: who leaves does so early
_ACTION = re.compile(r'<form[^>]*\baction="/study/(?!withdraw)(\w+)"')
_TASK = re.compile(r"<script[^>]*\btask\.js")
_LEAD = re.compile(r'<p class="lead">(.*?)</p>', re.DOTALL)
_CODE = re.compile(r'id="code">([^<]+)<')
DEVICE = {
    "viewport_width_px": 1280,
    "viewport_height_px": 720,
    "screen_width_px": 1440,
    "screen_height_px": 900,
    "device_pixel_ratio": 2,
    "pointer": "mouse",
    "browser": "Bot 1",
    "platform": "Linux",
    "refresh_hz": 60.0,
    "timer_resolution_ms": 0.1,
    "cross_origin_isolated": True,
}
FORMS: dict[str, dict[str, str]] = {
    "device": {"report": json.dumps(DEVICE)},
    "instructions": {},
    "quiz": {f"q_{question.key}": question.right for question in QUIZ},
    "questions": {"age_years": "30", "gender": "", "comments": "I am a bot."},
    "debrief": {},
}
TIMING = {
    "dropped_frames": 0,
    "hidden_events": 0,
    "blur_events": 0,
    **{key: DEVICE[key] for key in ("viewport_width_px", "viewport_height_px")},
    "device_pixel_ratio": DEVICE["device_pixel_ratio"],
}


@dataclass(frozen=True)
class Habits:
    """How bots behave. accuracy: condition -> share right, needs the study.

    spread: how far their log-odds of being right differ, between bots, between classes and between
    networks (standard deviations), so that an analysis finds what it finds in people.
    drop_out, withdraw, come_back_late: of participants. refresh, two_tabs: of trials.
    images: whether they load the images, as a browser would.
    """

    pace: float = 1.0
    accuracy: Mapping[str, float] = field(default_factory=dict)
    spread: float = 0.0
    drop_out: float = 0.0
    withdraw: float = 0.0
    come_back_late: float = 0.0
    refresh: float = 0.0
    two_tabs: float = 0.0
    images: bool = True


class LeftError(Exception):
    """A bot leaves for good; the word is its outcome."""


class Bot:
    """One machine participant."""

    def __init__(
        self, number: int, browser: Browser, habits: Habits, report: Report, study: Study | None
    ) -> None:
        self.chance = Random(f"{report.seed}/{number}")
        self.pid = f"{self.chance.getrandbits(96):024x}"
        self.link = {
            "PROLIFIC_PID": self.pid,
            "STUDY_ID": "5f0000000000000000000001",
            "SESSION_ID": f"{self.chance.getrandbits(96):024x}",
        }
        self.browser = browser
        self.habits = habits
        self.report = report
        self.trials = {trial.id: trial for trial in study.trials} if study else {}
        self.condition = "unknown"
        self.seed = report.seed
        self.ability = self._differing(f"bot {number}")
        self.ease = self._eases()
        self.learned: dict[str, str] = {}  # trial id -> favored side, from feedback
        self.seen: set[str] = set()  # images
        self.answered = -1  # the last trial index that was acknowledged
        self.confidence_levels = 0
        self.acts = 0
        self.clock_ms = time.time() * 1000  # the browser's: it runs at the bot's pace
        self.plan = self._plan()
        self.leaves_at = self.chance.randint(1, LEAVES_WITHIN)

    def _plan(self) -> str:
        draw = self.chance.random()
        for plan in ("drop_out", "withdraw", "come_back_late"):
            draw -= getattr(self.habits, plan)
            if draw < 0:
                return plan
        return "stay"

    async def take_part(self) -> None:
        """From the link to the last page; notes the outcome in the report."""
        try:
            outcome = await self._go_through()
        except LeftError as left:
            outcome = str(left)
        except NoAnswerError as error:
            outcome = "no_answer"
            self._complain(str(error))
        self.report.outcomes[outcome][self.condition] += 1

    async def _go_through(self) -> str:
        page = await self._arrive()
        for _ in range(200):
            if page.status_code == 401:  # the login is gone: open the link again
                page = await self._arrive()
            elif page.status_code == 403:
                return "turned_away"
            elif page.status_code != 200:
                self._complain(f"{page.request.method} {page.request.url.path}", page)
                page = await self.browser.page("GET", "/study")
            elif action := _ACTION.search(page.text):
                page = await self._hand_in(action.group(1))
            elif _TASK.search(page.text):
                page = await self._do_block()
            else:
                return await self._finish(page)
        self._complain("went round in circles")
        return "stuck"

    async def _arrive(self) -> httpx.Response:
        page = await self.browser.page("GET", "/", params=self.link)
        if page.status_code != 200 or 'action="/consent"' not in page.text:
            return page
        await self._spend(READING_S["consent"])
        return await self.browser.hand_in("/consent", choice="agree")

    async def _hand_in(self, stage: str) -> httpx.Response:
        await self._spend(READING_S[stage])
        if stage != "debrief" and await self._leaves():  # all has been done by then
            return await self._arrive()
        return await self.browser.hand_in(f"/study/{stage}", **FORMS[stage])

    async def _finish(self, page: httpx.Response) -> str:
        """The outcome that the last page tells, which stays the same when it is loaded again."""
        again = await self.browser.page("GET", "/study")
        if _ending(again) != _ending(page):
            self._complain("the last page is another when loaded again")
        outcome, code = _ending(page)
        if code:
            self.report.codes[code] += 1
        return outcome

    async def _do_block(self) -> httpx.Response:
        """Answers the trials of a round of practice, or of the main block, as far as it goes."""
        state = await self._state()
        if state is not None and "trials" in state:
            await self._load_images(state)
            for trial in state["trials"]:
                self._recognize(trial)
                if await self._leaves():
                    return await self._arrive()
                stage = await self._respond(trial)
                if stage != state["stage"] or self.chance.random() < self.habits.refresh:
                    break
        return await self.browser.page("GET", "/study")

    async def _state(self) -> dict[str, Any] | None:
        answer = await self.browser.send("GET", "/task/state")
        if answer.status_code in {401, 410}:
            return None
        if answer.status_code != 200:
            self._complain("GET /task/state", answer)
            return None
        state: dict[str, Any] = answer.json()
        self.confidence_levels = state.get("confidence_levels", 0)
        if state.get("next", self.answered + 1) <= self.answered:
            self._complain(f"response {self.answered} was acknowledged and is lost")
        return state

    async def _load_images(self, state: dict[str, Any]) -> None:
        wanted = {
            name
            for trial in state["trials"]
            for name in (*trial["references"], *trial["queries"], trial["base"])
            if name
        } - self.seen
        if not (self.habits.images and wanted):
            return

        async def load(name: str) -> None:
            answer = await self.browser.send("GET", f"/images/{name}")
            if answer.status_code != 200:
                self._complain(f"GET /images/{name}", answer)

        await asyncio.gather(*(load(name) for name in sorted(wanted)))
        self.seen |= wanted
        report = {"files": len(wanted), "failed": 0}
        answer = await self.browser.post_json("/task/preload", {"report": report})
        if answer.status_code not in {200, 204, 401, 410}:
            self._complain("POST /task/preload", answer)

    def _recognize(self, trial: dict[str, Any]) -> None:
        """Which condition this is, from the references."""
        known = self.trials.get(trial["trial_id"])
        for condition, names in known.references.items() if known else ():
            if names == trial["references"]:
                self.condition = condition

    async def _respond(self, trial: dict[str, Any]) -> str | None:
        """Answers one trial; the stage the server is at then, None where it must be asked."""
        rt_ms = 1000 * await self._spend(REACTION_S)
        body = {
            "trial_index": trial["trial_index"],
            "trial_id": trial["trial_id"],
            "response_side": self._choose(trial["trial_id"]),
            "confidence": self._rate(),
            "rt_ms": rt_ms,
            "shown_at_ms": self.clock_ms - rt_ms,
            "responded_at_ms": self.clock_ms,
            "sent_at_ms": self.clock_ms,
            "timing": TIMING,
        }
        tabs = 2 if self.chance.random() < self.habits.two_tabs else 1
        sent = (self.browser.post_json("/task/responses", body) for _ in range(tabs))
        answers = await asyncio.gather(*sent)
        if sum(_is_new(answer) for answer in answers) > 1:
            self._complain(f"response {trial['trial_index']} was stored twice")
        return self._take(answers[0], body)

    def _take(self, answer: httpx.Response, body: dict[str, Any]) -> str | None:
        if answer.status_code == 200:
            said = answer.json()
            self.answered = max(self.answered, body["trial_index"])
            stored = (body[key] for key in ("trial_index", "trial_id", "response_side"))
            self.report.acknowledged.append(Acknowledged(self.pid, *stored))
            if said["feedback"]:
                self.learned[body["trial_id"]] = said["feedback"]["favored_side"]
            stage: str = said["stage"]
            return stage
        if answer.status_code not in {401, 410}:
            self._complain("POST /task/responses", answer)
        return None

    def _choose(self, trial_id: str) -> str:
        if trial_id in self.learned:
            return self.learned[trial_id]
        known = self.trials.get(trial_id)
        accuracy = self.habits.accuracy.get(self.condition)
        if known is None or accuracy is None:
            return self.chance.choice(("left", "right"))
        right = self.chance.random() < (
            self.share_right(accuracy, known) if known.kind == "main" else EASY
        )
        other = {"left": "right", "right": "left"}[known.favored_side]
        return known.favored_side if right else other

    def share_right(self, accuracy: float, trial: Trial) -> float:
        """The share right of this bot with this class and network."""
        if not 0 < accuracy < 1:
            return accuracy
        odds = math.log(accuracy / (1 - accuracy)) + self.ability
        odds += self.ease[trial.unit.label] + self.ease[trial.network]
        return 1 / (1 + math.exp(-odds))

    def _eases(self) -> dict[str, float]:
        """Class or network -> what it adds to the log-odds of all bots of a seed, 0 on average."""
        trials = self.trials.values()
        found: dict[str, float] = {}
        for names in ({trial.unit.label for trial in trials}, {one.network for one in trials}):
            drawn = {name: self._differing(name) for name in sorted(names)}
            centre = sum(drawn.values()) / len(drawn) if drawn else 0.0
            found |= {name: value - centre for name, value in drawn.items()}
        return found

    def _differing(self, name: str) -> float:
        return Random(f"{self.seed}/{name}").gauss(0, 1) * self.habits.spread

    def _rate(self) -> int | None:
        levels = self.confidence_levels
        return self.chance.randint(1, levels) if levels else None

    async def _leaves(self) -> bool:
        """Carries out the plan when its time has come; True if the bot is back after a while."""
        self.acts += 1
        if self.plan == "stay" or self.acts != self.leaves_at:
            return False
        if self.plan == "drop_out":
            raise LeftError("dropped_out")
        if self.plan == "withdraw":
            await self._withdraw()
        await self._spend(AWAY_S)
        await self.browser.replace()
        return True

    async def _withdraw(self) -> None:
        await self.browser.page("GET", "/study/withdraw")
        await self._spend(READING_S["withdraw"])
        page = await self.browser.hand_in(
            "/study/withdraw", delete=self.chance.choice(("yes", "no"))
        )
        if page.status_code != 200:
            self._complain("POST /study/withdraw", page)
        raise LeftError("withdrew")

    async def _spend(self, median_s: float) -> float:
        """Waits as a person would, at the bot's pace; human seconds."""
        human_s = median_s * self.chance.lognormvariate(0.0, SPREAD)
        self.clock_ms += 1000 * human_s
        await asyncio.sleep(human_s / self.habits.pace)
        return human_s

    def _complain(self, what: str, answer: httpx.Response | None = None) -> None:
        said = f": {answer.status_code} {answer.text[:200]}" if answer is not None else ""
        self.report.errors.append(f"{self.pid} {what}{said}")


def _is_new(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and not answer.json()["duplicate"]


def _ending(page: httpx.Response) -> tuple[str, str | None]:
    """Outcome and completion code of the last page."""
    lead = _LEAD.search(page.text)
    sentence = html.unescape(lead.group(1)).strip() if lead else ""
    known = {text: key.removeprefix("end.") for key, text in TEXT.items() if key.startswith("end.")}
    code = _CODE.search(page.text)
    return known.get(sentence, "ended"), code.group(1) if code else None
