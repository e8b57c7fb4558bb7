"""One machine participant: what it does on each page."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections import Counter
from random import Random
from typing import Any

from experiment_server.bots.browser import AnyAnswer, Browser, NoAnswerError
from experiment_server.bots.clock import Clock
from experiment_server.bots.habits import Habits
from experiment_server.bots.judgment import Judge
from experiment_server.bots.people import draw_answers, draw_device, draw_timing, fill_quiz
from experiment_server.bots.report import Acknowledged, Report
from experiment_server.text import TEXT
from stimuli.schema import Study

# Human seconds: medians of log-normal times, and the SD of their logarithm.
READING_S = {"consent": 20.0, "device": 3.0, "instructions": 40.0, "quiz": 25.0}
READING_S |= {"questions": 15.0, "debrief": 10.0, "withdraw": 5.0}
SPREAD = 0.5
IMAGES_AT_ONCE = 4  # as static/images.js
LEAVES_WITHIN = 12  # pages and trials: who leaves does so early
CARELESS_MISREADS = 4  # times as often as others
_ACTION = re.compile(r'<form[^>]*\baction="/study/(?!withdraw)(\w+)"')
_TASK = re.compile(r"<script[^>]*\btask\.js")
_LEAD = re.compile(r'<p class="lead">(.*?)</p>', re.DOTALL)
_CODE = re.compile(r'id="code">([^<]+)<')


class LeftError(Exception):
    """A bot leaves for good; the word is its outcome."""


class Bot:
    """One machine participant. seen: names of images that need not be loaded again."""

    def __init__(
        self,
        number: int,
        browser: Browser,
        habits: Habits,
        report: Report,
        study: Study | None,
        clock: Clock,
        seen: set[str],
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
        self.clock = clock
        self.trials = {trial.id: trial for trial in study.trials} if study else {}
        self.judge = Judge(report.seed, number, habits, self.trials)
        self.condition = "unknown"
        self.device = draw_device(
            self.chance, small_window=self.chance.random() < habits.small_window
        )
        self.handed_in: Counter[str] = Counter()  # stage -> how often
        self.seen = seen
        self.answered = -1  # the last trial index that was acknowledged
        self.acts = 0
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
                self._complain(self.browser.visited, page)
                page = await self.browser.page("GET", "/study")
            elif action := _ACTION.search(page.text):
                page = await self._hand_in(action.group(1))
            elif _TASK.search(page.text):
                page = await self._do_block()
            else:
                return await self._finish(page)
        self._complain("went round in circles")
        return "stuck"

    async def _arrive(self) -> AnyAnswer:
        page = await self.browser.page("GET", "/", params=self.link)
        if page.status_code != 200 or 'action="/consent"' not in page.text:
            return page
        await self._spend(READING_S["consent"])
        return await self.browser.hand_in("/consent", choice="agree")

    async def _hand_in(self, stage: str) -> AnyAnswer:
        await self._spend(READING_S[stage])
        if stage != "debrief" and await self._leaves():  # all has been done by then
            return await self._arrive()
        self.handed_in[stage] += 1
        return await self.browser.hand_in(f"/study/{stage}", **self._fill(stage))

    def _fill(self, stage: str) -> dict[str, str]:
        """What this participant puts into a page's form."""
        if stage == "device":
            report = {"report": json.dumps(self.device)}
            return report if self.handed_in[stage] == 1 else {**report, "give_up": "yes"}
        if stage == "quiz":
            factor = CARELESS_MISREADS if self.judge.is_careless else 1
            return fill_quiz(self.chance, self.habits.misread * factor)
        return draw_answers(self.chance) if stage == "questions" else {}

    async def _finish(self, page: AnyAnswer) -> str:
        """The outcome that the last page tells, which stays the same when it is loaded again."""
        again = await self.browser.page("GET", "/study")
        if _ending(again) != _ending(page):
            self._complain("the last page is another when loaded again")
        outcome, code = _ending(page)
        if code:
            self.report.codes[code] += 1
        return outcome

    async def _do_block(self) -> AnyAnswer:
        """Answers the trials of a round of practice, or of the main block, as far as it goes."""
        state = await self._state()
        if state is not None and "trials" in state:
            await self._load_images(state)
            for trial in state["trials"]:
                self._recognize(trial)
                if await self._leaves():
                    return await self._arrive()
                stage = await self._respond(trial, state)
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

        waiting = sorted(wanted)

        async def load() -> None:
            while waiting:
                name = waiting.pop()
                answer = await self.browser.send("GET", f"/images/{name}")
                if answer.status_code != 200:
                    self._complain(f"GET /images/{name}", answer)

        await asyncio.gather(*(load() for _ in range(IMAGES_AT_ONCE)))
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

    async def _respond(self, trial: dict[str, Any], state: dict[str, Any]) -> str | None:
        """Answers one trial; the stage the server is at then, None where it must be asked."""
        judgment = self.judge.judge(
            trial["trial_id"], self.condition, trial["trial_index"], state["confidence_levels"]
        )
        rt_ms = round(1000 * judgment.rt_s, 1)
        await self.clock.wait((state["gap_ms"] + rt_ms) / 1000)
        now_ms = self.clock.now_ms
        body = {
            "trial_index": trial["trial_index"],
            "trial_id": trial["trial_id"],
            "response_side": judgment.side,
            "confidence": judgment.confidence,
            "rt_ms": rt_ms,
            "shown_at_ms": now_ms - rt_ms,
            "responded_at_ms": now_ms,
            "sent_at_ms": now_ms,
            "timing": draw_timing(self.chance, self.device),
        }
        tabs = 2 if self.chance.random() < self.habits.two_tabs else 1
        sent = (self.browser.post_json("/task/responses", body) for _ in range(tabs))
        answers = await asyncio.gather(*sent)
        if sum(_is_new(answer) for answer in answers) > 1:
            self._complain(f"response {trial['trial_index']} was stored twice")
        return self._take(answers[0], body)

    def _take(self, answer: AnyAnswer, body: dict[str, Any]) -> str | None:
        if answer.status_code == 200:
            said = answer.json()
            self.answered = max(self.answered, body["trial_index"])
            stored = (body[key] for key in ("trial_index", "trial_id", "response_side"))
            self.report.acknowledged.append(Acknowledged(self.pid, *stored))
            if said["feedback"]:
                self.judge.learned[body["trial_id"]] = said["feedback"]["favored_side"]
            stage: str = said["stage"]
            return stage
        if answer.status_code not in {401, 410}:
            self._complain("POST /task/responses", answer)
        return None

    async def _leaves(self) -> bool:
        """Carries out the plan when its time has come; True if the bot is back after a while."""
        self.acts += 1
        if self.plan == "stay" or self.acts != self.leaves_at:
            return False
        if self.plan == "drop_out":
            raise LeftError("dropped_out")
        if self.plan == "withdraw":
            await self._withdraw()
        await self._spend(self.habits.away_s)
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

    async def _spend(self, median_s: float) -> None:
        """Waits as a person would."""
        await self.clock.wait(median_s * self.chance.lognormvariate(0.0, SPREAD))

    def _complain(self, what: str, answer: AnyAnswer | None = None) -> None:
        said = f": {answer.status_code} {answer.text[:200]}" if answer is not None else ""
        self.report.errors.append(f"{self.pid} {what}{said}")


def _is_new(answer: AnyAnswer) -> bool:
    return answer.status_code == 200 and not answer.json()["duplicate"]


def _ending(page: AnyAnswer) -> tuple[str, str | None]:
    """Outcome and completion code of the last page."""
    lead = _LEAD.search(page.text)
    sentence = html.unescape(lead.group(1)).strip() if lead else ""
    known = {text: key.removeprefix("end.") for key, text in TEXT.items() if key.startswith("end.")}
    code = _CODE.search(page.text)
    return known.get(sentence, "ended"), code.group(1) if code else None
