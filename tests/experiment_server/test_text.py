"""The sentences that participants read, and how a study replaces them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bundles import make_bundle
from stories import Person

from experiment_server import text
from experiment_server.text import QUIZ, TEXT, participant_text, unknown_keys
from stimuli.schema import read_study

ROOM = Path(text.__file__).parent
PAGES = [path for path in (ROOM / "templates").glob("*.html") if "admin" not in path.name]
SCRIPTS = list((ROOM / "static").glob("*.js"))


@pytest.fixture
def overriding(tmp_path):
    """`overriding({key: sentence})`: a bundle folder whose study replaces these sentences."""

    def make(changes: dict[str, str]) -> Path:
        folder = make_bundle(tmp_path / "study")
        study = read_study(folder).model_copy(update={"participant_text": changes})
        (folder / "study.json").write_text(study.model_dump_json(), encoding="utf-8")
        return folder

    return make


def test_a_study_replaces_sentences_by_key(overriding):
    study = read_study(overriding({"welcome.lead": "Bienvenue."}))
    assert participant_text(study) == {**TEXT, "welcome.lead": "Bienvenue."}
    assert unknown_keys(study) == []


def test_a_key_that_no_page_uses_is_named(overriding):
    study = read_study(overriding({"welcome.leed": "Hello", "welcome.lead": "Hello"}))
    assert unknown_keys(study) == ["welcome.leed"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_replaced_sentences_are_shown_and_are_no_markup(overriding, make_app, clock):
    folder = overriding(
        {
            "welcome.lead": "Bienvenue <script>alert(1)</script>",
            "quiz.task.question": "Laquelle choisir ?",
            "quiz.task.network": "Celle du réseau",
        }
    )
    someone = Person(make_app(study=folder).test_client(), clock)
    page = someone.arrive().get_data(as_text=True)
    assert "Bienvenue &lt;script&gt;alert(1)&lt;/script&gt;" in page
    someone.agree()
    someone.post("/study/device", report='{"viewport_width_px": 1280, "viewport_height_px": 720}')
    quiz = someone.post("/study/instructions").get_data(as_text=True)
    assert "Laquelle choisir ?" in quiz
    assert "Celle du réseau" in quiz
    assert "The one that the network likes more" not in quiz


def test_each_question_has_one_right_answer_among_several():
    for question in QUIZ:
        keys = [key for key, _ in question.options]
        assert keys.count(question.right) == 1
        assert len(set(keys)) == len(keys) >= 3


def test_the_right_answers_do_not_stand_in_one_place():
    places = {[key for key, _ in one.options].index(one.right) for one in QUIZ}
    assert len(places) > 1


def test_pages_use_only_sentences_that_there_are():
    for page in PAGES:
        for key in re.findall(r"""text\[["']([a-z_.]+)["']\]""", page.read_text(encoding="utf-8")):
            assert key in TEXT, f"{page.name}: {key}"


def test_every_sentence_is_used_somewhere():
    used = "".join(path.read_text(encoding="utf-8") for path in [*PAGES, *SCRIPTS])
    composed = re.compile(
        r"(page\.path|welcome\.(what|time|data|free)|device\.(window|pointer|screen)|quiz\.[a-z]+"
        r"|questions\.problem|end|task\.(practice|main|only|resume)|arrival|error\.[a-z]+)(\.|$)"
    )
    for key in TEXT:
        short = key.removeprefix("task.").removeprefix("device.")
        assert key in used or f'"{short}"' in used or composed.match(key), key


@pytest.mark.parametrize("key", ["task.progress", "device.window.is", "end.redirect"])
def test_placeholders_stay_in_braces(key):
    assert re.search(r"\{[a-z]+\}", TEXT[key])
