"""What every page must be: accessible, silent in the console, and alike in each condition."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

TOLD = ("favored", "correct", "activation")


def serious(page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


def walk(visitor) -> Iterator[str]:
    """Every page and screen of the study, one after the other."""
    visitor.arrive()
    yield "welcome"
    visitor.press("I agree, and want to take part")
    visitor.at_screen("A look at your screen")
    visitor.page.set_viewport_size({"width": 900, "height": 700})
    expect(visitor.page.get_by_text("Please make this window larger")).to_be_visible()
    yield "device, too small"
    visitor.page.set_viewport_size({"width": 1280, "height": 720})
    expect(visitor.page.get_by_role("button", name="Continue")).to_be_enabled()
    yield "device"
    visitor.press("Continue")
    visitor.at_screen("What you will do")
    yield "instructions"
    visitor.press("Continue")
    visitor.at_screen("A few questions")
    yield "quiz"
    for field in visitor.page.locator("fieldset").all():
        field.locator("input").first.check()
    visitor.press("Hand in")
    expect(visitor.page.get_by_text("Not every answer was right")).to_be_visible()
    yield "quiz, again"
    visitor.answer_quiz()
    expect(visitor.page.locator("#begin")).to_be_enabled()
    yield "practice"
    visitor.begin()
    for side in ("left", "right"):
        visitor.see_trial()
        yield "practice trial"
        visitor.choose(side)
        expect(visitor.page.locator("#feedback")).to_contain_text("the network favored")
        yield "feedback"
        visitor.press("Continue")
    visitor.at_screen("The main part")
    visitor.begin()
    visitor.see_trial(0)
    yield "trial"
    visitor.choose("left")
    visitor.press("2")
    visitor.see_trial(1)
    visitor.page.keyboard.press("f")
    expect(visitor.page.get_by_role("group", name="How sure are you?")).to_be_visible()
    yield "confidence"
    visitor.page.evaluate("dispatchEvent(new Event('offline'))")
    expect(visitor.page.get_by_text("There is no connection")).to_be_visible()
    yield "offline"
    visitor.page.keyboard.press("3")
    for number in range(2, 5):
        visitor.see_trial(number)
        visitor.page.keyboard.press("j")
        visitor.page.keyboard.press("1")
    visitor.at_screen("Almost done")
    yield "questions"
    visitor.page.goto(f"{visitor.server.url}/study/withdraw")
    yield "withdraw"
    visitor.page.go_back()
    visitor.press("Continue")
    visitor.at_screen("What this study is about")
    yield "debrief"
    visitor.press("Finish")
    visitor.at_screen("Thank you!")
    yield "end"
    visitor.page.goto(f"{visitor.server.url}/")
    visitor.page.goto(f"{visitor.server.url}/?PROLIFIC_PID=nobody")
    yield "error"


def test_no_page_has_a_serious_fault_of_accessibility(visit, serve):
    visitor = visit(serve({"task": {"confidence_levels": 3}}))
    faults = []
    seen = []
    for name in walk_without_practice_confidence(visitor):
        seen.append(name)
        faults += [f"{name}: {fault}" for fault in serious(visitor.page)]
    assert faults == []
    assert len(seen) == 19
    stored = [response.confidence for response in visitor.server.responses()]
    assert stored == [1, 1, 2, 3, 1, 1, 1]
    visitor.forgive("400")


def walk_without_practice_confidence(visitor) -> Iterator[str]:
    """`walk` where each choice is followed by how sure one is."""
    choose = visitor.choose

    def choose_and_rate(side: str, **options) -> None:
        choose(side, **options)
        if visitor.page.locator("#task").get_attribute("data-stage") == "practice":
            visitor.press("1, not sure")

    visitor.choose = choose_and_rate
    return walk(visitor)


def test_the_axe_check_can_fail(visit):
    visitor = visit()
    visitor.arrive()
    visitor.page.evaluate("document.querySelector('button').innerHTML = ''")
    assert "button-name" in str(serious(visitor.page))


def test_nothing_tells_the_answer_before_it_is_given(visit):
    visitor = visit()
    received: list[tuple[str, str]] = []

    def note(response) -> None:
        kind = response.headers.get("content-type", "")
        if not kind.startswith(("image/", "text/css", "text/javascript")):
            received.append((response.url, response.text() + json.dumps(response.headers)))

    visitor.skip_to_practice()
    visitor.page.on("requestfinished", lambda request: note(request.response()))
    visitor.page.reload()
    visitor.begin()
    visitor.see_trial(0)
    states = [body for url, body in received if url.endswith("/task/state")]
    assert len(states) == 1
    for word in TOLD:
        assert not any(word in body for body in states)
    page = visitor.page.evaluate(
        "() => { const shown = document.documentElement.cloneNode(true);"
        " shown.querySelector('#words').remove(); return shown.outerHTML; }"
    )
    assert "favored" in visitor.page.content()  # among the sentences that are the same for all
    for word in TOLD:
        assert word not in page
    visitor.choose("left")
    expect(visitor.page.locator("#feedback")).to_contain_text("the network favored")
    visitor.press("Continue")
    visitor.practise("left")
    received.clear()
    visitor.begin()
    for number in range(3):
        visitor.see_trial(number)
        visitor.choose("right")
    visitor.see_trial(3)
    answers = [body for url, body in received if url.endswith("/task/responses")]
    assert answers
    assert all('"feedback":null' in body for body in answers)


SIZES = """() => Object.fromEntries(
  [["question", "#question"], ["left", "#left"], ["right", "#right"], ["grid", "#references"],
   ["first place", ".place"], ["base", "#base"]].map(([name, selector]) => {
    const box = document.querySelector(selector).getBoundingClientRect();
    return [name, [box.x, box.y, box.width, box.height].map(Math.round)];
  }))"""


def sizes_in(visitor, condition: str) -> dict[str, list[int]]:
    """The layout of a trial, for a participant who is given this condition."""
    visitor.be_dealt()
    with visitor.server.running.database.write() as session:
        session.merge(visitor.server.people()[-1]).condition = condition
    visitor.page.goto(f"{visitor.server.url}/study")
    visitor.begin()
    visitor.see_trial(0)
    images = visitor.page.locator("#references img").count()
    assert images == (0 if condition == "control" else 4)
    assert visitor.page.locator("#references .place").count() == 4
    return visitor.page.evaluate(SIZES)


@pytest.mark.parametrize(("width", "height"), [(1024, 640), (1440, 900)])
def test_each_condition_has_the_same_layout(visit, width, height):
    found = [
        sizes_in(visit(viewport={"width": width, "height": height}), condition)
        for condition in ("control", "maco")
    ]
    assert found[0] == found[1]
    assert found[0]["left"][2] == found[0]["left"][3] >= 200


@pytest.mark.parametrize(("width", "height"), [(1024, 640), (1920, 1080)])
@pytest.mark.parametrize("base", [False, True])
def test_a_trial_needs_no_scrolling(visit, serve, bundle_with_base, width, height, base):
    server = serve({"task": {"confidence_levels": 3}}, bundle_with_base if base else None)
    visitor = visit(server, viewport={"width": width, "height": height})
    visitor.skip_to_practice()
    visitor.begin()
    visitor.see_trial(0)
    assert visitor.page.locator("#base img").count() == int(base)
    check_all_is_in_view(visitor.page, width, height)
    visitor.choose("left")
    expect(visitor.page.get_by_role("group", name="How sure are you?")).to_be_visible()
    check_all_is_in_view(visitor.page, width, height)


def check_all_is_in_view(page: Page, width: int, height: int) -> None:
    room, needed = page.evaluate("[innerHeight, document.documentElement.scrollHeight]")
    assert needed <= room
    boxes = page.evaluate(SIZES)
    for name in ("left", "right", "grid"):
        x, y, wide, high = boxes[name]
        assert x >= 0
        assert x + wide <= width
        assert y + high <= height


def test_nothing_moves_when_the_answer_is_shown(visit):
    visitor = visit()
    visitor.skip_to_practice()
    visitor.begin()
    visitor.see_trial(0)
    before = visitor.page.evaluate(SIZES)
    visitor.choose("left")
    expect(visitor.page.locator("#feedback")).to_contain_text("the network favored")
    assert visitor.page.evaluate(SIZES) == before


def test_a_query_cannot_be_chosen_before_its_onset(visit, serve):
    visitor = visit(serve({"task": {"gap_ms": 1500}}))
    visitor.skip_to_practice()
    visitor.begin()
    left = visitor.page.locator("#left")
    expect(visitor.page.locator("#trial")).to_be_visible()
    expect(left).to_be_disabled()
    assert visitor.page.locator(".query img").count() == 0
    visitor.page.keyboard.press("f")
    visitor.see_trial(0)
    assert visitor.server.responses() == []


def test_the_right_answer_is_told_in_words_and_signs_not_in_color_alone(visit):
    visitor = visit()
    visitor.skip_to_practice()
    visitor.begin()
    visitor.choose("right")  # of the first practice trial the left one is favored
    page = visitor.page
    expect(page.locator("#left-verdict")).to_have_text("✓ The network favored this one")
    expect(page.locator("#right-verdict")).to_have_text("✗ Your choice")
    expect(page.get_by_role("status").filter(has_text="Not this time")).to_be_visible()
    visitor.press("Continue")
    visitor.choose("right")
    expect(page.locator("#right-verdict")).to_have_text("✓ The network favored this one")
    expect(page.locator("#left-verdict")).to_be_empty()
