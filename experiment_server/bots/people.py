"""Who a machine participant says it is: a device, an age, a gender, a remark.

Every browser is called "Bot 1", and every remark begins with "I am a bot", so that no row of a
machine participant passes for a person's.
"""

from __future__ import annotations

from random import Random
from typing import Any

from experiment_server.text import QUIZ

SCREENS = {  # width, height, pixel ratio -> how common
    (1920, 1080, 1.0): 45,
    (1440, 900, 2.0): 20,
    (1536, 864, 1.25): 20,
    (1366, 768, 1.0): 15,
}
GENDERS = {"": 3, "female": 20, "Female": 15, "woman": 11, "male": 20, "Male": 16, "man": 12}
GENDERS |= {"non-binary": 2, "prefer not to say": 1}
REMARKS = {
    "": 85,
    "I am a bot. Some pairs were hard, others easy.": 6,
    "I am a bot; my window was small, so I scrolled.": 4,
    'I am a bot.\n\nThe pictures looked "melted", but it was fun!': 3,
    "I am a bot: ça allait, merci 🙂": 2,
}
NO_AGE = 0.03
YOUNGEST, OLDEST = 18, 80


def draw_device(chance: Random, *, small_window: bool) -> dict[str, Any]:
    """A device report, as the page's script makes one. small_window: too small for a study."""
    width, height, ratio = _draw(chance, SCREENS)
    viewport = (800, 500) if small_window else (width, height - 120)  # below the browser's bars
    return {
        "viewport_width_px": viewport[0],
        "viewport_height_px": viewport[1],
        "screen_width_px": width,
        "screen_height_px": height,
        "device_pixel_ratio": ratio,
        "pointer": "mouse",
        "browser": "Bot 1",
        "platform": _draw(chance, {"Windows": 65, "macOS": 28, "Linux": 7}),
        "refresh_hz": _draw(chance, {60.0: 85, 75.0: 5, 120.0: 5, 144.0: 5}),
        "timer_resolution_ms": 0.1,
        "cross_origin_isolated": True,
    }


def draw_timing(chance: Random, device: dict[str, Any]) -> dict[str, Any]:
    """What a browser says of one trial: mostly that nothing went wrong."""
    reported = ("viewport_width_px", "viewport_height_px", "device_pixel_ratio")
    away = int(chance.random() < 0.01)
    return {
        "dropped_frames": chance.randint(1, 4) if chance.random() < 0.05 else 0,
        "hidden_events": away,
        "blur_events": away or int(chance.random() < 0.01),
        **{name: device[name] for name in reported},
    }


def draw_answers(chance: Random) -> dict[str, str]:
    """The last questions: log-normal ages from 18 with median 32, genders in people's words."""
    age_years = min(YOUNGEST + int(chance.lognormvariate(2.64, 0.6)), OLDEST)
    return {
        "age_years": "" if chance.random() < NO_AGE else str(age_years),
        "gender": _draw(chance, GENDERS),
        "comments": _draw(chance, REMARKS),
    }


def fill_quiz(chance: Random, misread: float) -> dict[str, str]:
    """The quiz's form; one answer is wrong with the probability `misread`."""
    form = {f"q_{question.key}": question.right for question in QUIZ}
    if chance.random() < misread:
        question = chance.choice(QUIZ)
        wrong = [key for key, _ in question.options if key != question.right]
        form[f"q_{question.key}"] = chance.choice(wrong)
    return form


def _draw(chance: Random, weights: dict[Any, int]) -> Any:
    return chance.choices(list(weights), list(weights.values()))[0]
