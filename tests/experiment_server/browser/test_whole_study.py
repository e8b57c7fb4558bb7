"""A participant takes the whole study in a browser."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from experiment_server.text import QUIZ


def test_by_mouse_from_the_link_to_the_code(visit, server):
    visitor = visit()
    page = visitor.page
    visitor.arrive()
    visitor.at_screen("Welcome")
    visitor.press("I agree, and want to take part")
    visitor.at_screen("A look at your screen")
    visitor.press("Continue")
    visitor.at_screen("What you will do")
    visitor.press("Continue")
    visitor.answer_quiz()
    visitor.at_screen("Practice")
    visitor.begin()
    visitor.practise("left")
    visitor.practise("right")
    visitor.at_screen("The main part")
    visitor.begin()
    for number, side in enumerate(["left", "right", "right", "left", "right"]):
        visitor.see_trial(number)
        visitor.choose(side)
    visitor.at_screen("Almost done")
    page.get_by_label("How old are you").fill("41")
    visitor.press("Continue")
    visitor.press("Finish")
    visitor.at_screen("Thank you!")
    expect(page.locator("#code")).to_have_text("C0MPL3TE")
    back = page.get_by_role("link", name="Return to Prolific")
    assert back.get_attribute("href") == (
        "https://app.prolific.com/submissions/complete?cc=C0MPL3TE"
    )
    expect(page.get_by_text("We take you back to Prolific")).to_be_visible()
    visitor.press("Stay on this page")
    expect(page.get_by_text("You stay on this page")).to_be_visible()

    [person] = server.people()
    assert (person.outcome, person.answers) == ("completed", {"age_years": 41})
    assert person.device["refresh_hz"] > 20
    assert person.device["viewport_width_px"] == 1280
    sides = [one.response_side for one in server.responses()]
    assert sides == ["left", "right", "left", "right", "right", "left", "right"]
    for response in server.responses():
        assert response.timing["input"] == "mouse"
        assert response.timing["is_trusted"] is True
        assert response.timing["query_side_px"] > 200
        assert response.timing["natural_side_px"] == 24
        assert response.timing["decode_ms"] >= 0
        since_onset_ms = response.timing["event_time_ms"] - response.timing["onset_frame_ms"]
        assert abs(since_onset_ms - response.rt_ms) < 0.01


def test_by_keyboard_alone(visit, server):
    visitor = visit()
    page = visitor.page
    page.add_init_script(
        "for (const kind of ['mousedown', 'pointerdown', 'touchstart'])"
        " addEventListener(kind, () => console.error('not by keyboard'), true)"
    )
    keys = page.keyboard
    visitor.arrive()
    _tab_to(page, "I agree, and want to take part")
    keys.press("Enter")
    expect(page.get_by_role("button", name="Continue")).to_be_enabled()
    _tab_to(page, "Continue")
    keys.press("Enter")
    visitor.at_screen("What you will do")
    _tab_to(page, "Continue")
    keys.press("Space")
    visitor.at_screen("A few questions")
    for question in QUIZ:
        _tab_until(page, page.locator(f"input[name=q_{question.key}]").first)
        keys.press("Space")
        for _ in range([option for option, _ in question.options].index(question.right)):
            keys.press("ArrowDown")
    _tab_to(page, "Hand in")
    keys.press("Enter")
    visitor.at_screen("Practice")
    expect(page.get_by_role("button", name="Start")).to_be_focused()
    keys.press("Enter")
    visitor.practise("left", key="f", onward="Enter")
    visitor.practise("right", key="ArrowRight", onward="Space")
    visitor.at_screen("The main part")
    expect(page.get_by_role("button", name="Start")).to_be_focused()
    keys.press("Enter")
    for number, key in enumerate(["f", "J", "ArrowLeft", "ArrowRight"]):
        visitor.see_trial(number)
        keys.press(key)
    visitor.see_trial(4)
    _tab_to(page, "Right picture")
    keys.press("Enter")
    visitor.at_screen("Almost done")
    _tab_to(page, "Continue")
    keys.press("Enter")
    visitor.at_screen("What this study is about")
    _tab_to(page, "Finish")
    keys.press("Enter")
    visitor.at_screen("Thank you!")
    sides = [one.response_side for one in server.responses()]
    assert sides == ["left", "right", "left", "right", "left", "right", "right"]
    inputs = [one.timing["input"] for one in server.responses()]
    assert inputs == ["key"] * 6 + ["button"]
    assert server.responses()[0].timing["code"] == "KeyF"


def _tab_to(page: Page, name: str) -> None:
    """Presses Tab until the button of this name has the focus."""
    _tab_until(page, page.get_by_role("button", name=name, exact=True))


def _tab_until(page: Page, wanted: Locator) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if wanted.evaluate("(control) => control === document.activeElement"):
            return
    raise AssertionError(f"Tab never leads to {wanted}")


def test_a_window_that_is_too_small_is_noticed_live(visit, server):
    visitor = visit(viewport={"width": 800, "height": 500})
    visitor.arrive()
    visitor.press("I agree, and want to take part")
    expect(visitor.page.get_by_text("Your window is 800 by 500 pixels")).to_be_visible()
    proceed = visitor.page.get_by_role("button", name="Continue")
    expect(visitor.page.get_by_text("Measured.")).to_be_visible()
    expect(proceed).to_be_disabled()
    visitor.page.set_viewport_size({"width": 1100, "height": 700})
    expect(proceed).to_be_enabled()
    expect(visitor.page.get_by_text("Please make this window larger")).to_be_hidden()
    visitor.page.set_viewport_size({"width": 800, "height": 500})
    visitor.press("End the study here")
    visitor.at_screen("It does not work on this device")
    assert server.people()[0].outcome == "unsuitable_device"


def test_wrong_quiz_answers_are_marked_and_a_second_failure_ends_the_study(visit, server):
    visitor = visit()
    page = visitor.page
    visitor.arrive()
    visitor.press("I agree, and want to take part")
    visitor.press("Continue")
    visitor.at_screen("What you will do")
    visitor.press("Continue")
    for _ in range(2):
        for question in QUIZ:
            page.locator(f"input[name=q_{question.key}]").last.check()
        visitor.press("Hand in")
        if page.get_by_text("Not every answer was right").is_visible():
            assert page.get_by_text("Please look at this one again.").count() == 2
            expect(page.get_by_text("once more")).to_be_visible()
    visitor.at_screen("The study ends here")
    assert server.people()[0].outcome == "failed_quiz"


def test_who_declines_is_thanked_and_gone(visit, server):
    visitor = visit()
    visitor.arrive()
    visitor.press("I do not want to take part")
    visitor.at_screen("You are not taking part")
    assert server.people()[0].outcome == "declined_consent"
