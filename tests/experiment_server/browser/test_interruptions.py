"""Refresh, back button, second tab, double click, lost connection: nothing is lost or doubled."""

from __future__ import annotations

import time

from playwright.sync_api import expect

from experiment_server.models import Participant, Response


def indices(server) -> list[int]:
    return [response.trial_index for response in server.responses()]


def shown_images(page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('.query img')].map((image) => image.src)")


def wait_for(condition, timeout_s: float = 30.0) -> None:
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.05)


def test_a_refresh_in_mid_trial_comes_back_to_the_very_trial(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    visitor.begin()
    visitor.see_trial(0)
    visitor.choose("left")
    visitor.see_trial(1)
    before = shown_images(visitor.page)
    wait_for(lambda: indices(server) == [0, 1, 2])
    visitor.page.reload()
    visitor.at_screen("Welcome back")
    visitor.press("Go on")
    visitor.see_trial(1)
    assert shown_images(visitor.page) == before


def test_seconds_without_a_connection_lose_nothing(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    visitor.begin()
    visitor.see_trial(0)
    visitor.context.set_offline(True)
    banner = visitor.page.get_by_text("Your answers are safe on this computer")
    expect(banner).to_be_visible()
    for number in range(3):
        visitor.see_trial(number)
        visitor.choose("right")
    visitor.see_trial(3)
    time.sleep(2)
    assert indices(server) == [0, 1]
    visitor.context.set_offline(False)
    wait_for(lambda: indices(server) == [0, 1, 2, 3, 4])
    expect(banner).to_be_hidden()
    for number in (3, 4):
        visitor.see_trial(number)
        visitor.choose("left")
    visitor.at_screen("Almost done")
    sides = [response.response_side for response in server.responses()]
    assert sides[2:] == ["right"] * 3 + ["left"] * 2
    visitor.forgive("ERR_INTERNET_DISCONNECTED")


def test_answers_given_offline_survive_a_closed_tab(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    visitor.begin()
    visitor.see_trial(0)
    visitor.context.set_offline(True)
    visitor.choose("right")
    visitor.see_trial(1)
    visitor.choose("left")
    visitor.see_trial(2)
    visitor.page.close()
    visitor.context.set_offline(False)
    visitor.open_tab()
    visitor.at_screen("Welcome back")
    visitor.press("Go on")
    visitor.see_trial(2)
    assert [response.response_side for response in server.responses()][2:] == ["right", "left"]
    visitor.forgive("ERR_INTERNET_DISCONNECTED")


def test_the_last_answer_is_sent_before_the_page_is_left(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    visitor.begin()
    for number in range(4):
        visitor.see_trial(number)
        visitor.choose("left")
    visitor.see_trial(4)
    visitor.context.set_offline(True)
    visitor.choose("right")
    expect(visitor.page.get_by_text("Your answers are being saved")).to_be_visible()
    visitor.context.set_offline(False)
    visitor.at_screen("Almost done")
    assert indices(server) == list(range(7))
    visitor.forgive("ERR_INTERNET_DISCONNECTED")


def test_a_server_that_is_busy_is_asked_again(visit, server):
    visitor = visit()
    refused = []

    def refuse_once(route) -> None:
        if refused:
            return route.continue_()
        refused.append(route.request.post_data_json["trial_index"])
        return route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": "busy"})

    visitor.page.route("**/task/responses", refuse_once)
    visitor.skip_to_practice()
    visitor.begin()
    visitor.practise("left")
    assert refused == [0]
    assert indices(server) == [0]
    visitor.forgive("503")


def test_an_acknowledgement_that_is_lost_leads_to_no_second_response(visit, server):
    visitor = visit()
    lost = []

    def lose_once(route) -> None:
        if lost:
            return route.continue_()
        lost.append(route.fetch().status)
        return route.abort()

    visitor.page.route("**/task/responses", lose_once)
    visitor.skip_to_practice()
    visitor.begin()
    visitor.practise("right")
    visitor.see_trial(1)
    assert lost == [200]
    assert indices(server) == [0]
    visitor.forgive("ERR_FAILED")


def test_images_that_fail_at_first_are_loaded_again(visit):
    visitor = visit()
    failed = []

    def fail_some(route) -> None:
        if len(failed) < 3:
            failed.append(route.request.url)
            return route.abort()
        return route.continue_()

    visitor.page.route("**/images/*", fail_some)
    visitor.skip_to_practice()
    visitor.begin()
    visitor.see_trial(0)
    [login] = visitor.server.logins()
    assert login.preload["retries"] == 3
    assert login.preload["images"] == len(failed) + login.preload["images"] - 3
    visitor.forgive("ERR_FAILED")


def test_the_back_button_does_no_harm(visit, server):
    visitor = visit()
    visitor.arrive()
    visitor.press("I agree, and want to take part")
    visitor.press("Continue")
    visitor.at_screen("What you will do")
    visitor.press("Continue")
    visitor.answer_quiz()
    visitor.at_screen("Practice")
    visitor.begin()
    visitor.practise("left")
    for _ in range(3):
        visitor.page.go_back()
        visitor.page.wait_for_load_state()
    visitor.page.goto(f"{server.url}/study")
    visitor.at_screen("Welcome back")
    visitor.press("Go on")
    visitor.practise("left")
    visitor.at_screen("The main part")
    assert indices(server) == [0, 1]
    assert len(server.people()) == 1


def test_a_second_tab_stores_no_second_response(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    first = visitor.page
    visitor.begin()
    visitor.see_trial(0)
    second = visitor.open_tab()
    visitor.begin()
    visitor.see_trial(0)
    visitor.choose("left")
    visitor.see_trial(1)
    visitor.choose("left")
    visitor.see_trial(2)
    wait_for(lambda: indices(server) == [0, 1, 2, 3])
    visitor.page = first
    first.bring_to_front()
    for number in range(3):
        visitor.see_trial(number)
        visitor.choose("right")
    visitor.see_trial(3)
    wait_for(lambda: indices(server) == [0, 1, 2, 3, 4])
    sides = [response.response_side for response in server.responses()]
    assert sides[2:] == ["left", "left", "right"]  # the first response to a trial stands
    visitor.page = second
    second.bring_to_front()
    visitor.choose("left")  # of trial 2, which the other tab has answered
    visitor.see_trial(3)
    assert [response.response_side for response in server.responses()] == sides


def test_a_tab_left_behind_by_another_comes_to_the_same_place(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    first = visitor.page
    visitor.open_tab()
    visitor.begin()
    for number in range(5):
        visitor.see_trial(number)
        visitor.choose("left")
    visitor.at_screen("Almost done")
    visitor.press("Continue")
    visitor.at_screen("What this study is about")
    visitor.page = first
    first.bring_to_front()
    visitor.begin()
    for number in range(5):
        visitor.see_trial(number)
        visitor.choose("right")
    visitor.at_screen("What this study is about")
    assert {response.response_side for response in server.responses()[2:]} == {"left"}


def test_a_double_click_is_one_response(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    visitor.begin()
    visitor.see_trial(0)
    visitor.page.get_by_role("button", name="Left picture").dblclick(force=True)
    visitor.see_trial(1)
    visitor.page.keyboard.press("f")
    visitor.page.keyboard.press("f")
    visitor.see_trial(2)
    wait_for(lambda: indices(server) == [0, 1, 2, 3])


def test_a_key_held_down_answers_one_trial(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    visitor.begin()
    visitor.see_trial(0)
    for _ in range(10):  # a second press without a release is a repeat
        visitor.page.keyboard.down("f")
        visitor.page.wait_for_timeout(40)
    visitor.see_trial(1)
    visitor.page.keyboard.up("f")
    visitor.choose("left", key="f")
    visitor.see_trial(2)
    wait_for(lambda: indices(server) == [0, 1, 2, 3])
    assert [one.timing["repeats"] > 0 for one in server.responses()[2:]] == [False, True]


def test_leaving_with_deletion_takes_the_answers_away(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    visitor.begin()
    visitor.choose("left")
    visitor.see_trial(1)
    visitor.page.get_by_role("link", name="Leave the study").click()
    visitor.at_screen("Leave the study?")
    visitor.press("Leave, and delete my answers")
    visitor.at_screen("You have left the study")
    expect(visitor.page.get_by_text("There is no completion code")).to_be_visible()
    with server.running.database.read() as session:
        assert session.query(Response).count() == 0
        [person] = session.query(Participant).all()
        assert (person.outcome, person.delete_requested) == ("withdrew", True)


def test_who_is_asked_whether_to_leave_can_go_on(visit, server):
    visitor = visit()
    visitor.skip_to_practice()
    visitor.page.get_by_role("link", name="Leave the study").click()
    visitor.page.get_by_role("link", name="No, go on with the study").click()
    visitor.at_screen("Practice")
    assert server.people()[0].outcome == "in_progress"


def test_a_tab_of_someone_who_has_left_goes_to_the_last_page(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    first = visitor.page
    visitor.begin()
    visitor.see_trial(0)
    visitor.open_tab("/study/withdraw")
    visitor.press("Leave, my answers may be used")
    visitor.at_screen("You have left the study")
    visitor.page = first
    first.bring_to_front()
    visitor.choose("left")
    visitor.at_screen("You have left the study")
    assert indices(server) == [0, 1]
    visitor.forgive("410")


def test_two_participants_in_one_browser_never_mix(visit, server):
    """The first leaves an answer unsent; the second is not given it, and the first still has it."""
    visitor = visit()
    visitor.skip_to_main()
    visitor.begin()
    visitor.see_trial(0)
    visitor.context.set_offline(True)
    visitor.choose("right")
    visitor.see_trial(1)
    first = visitor.parameters
    visitor.page.close()
    visitor.context.set_offline(False)
    visitor.open_tab("/health")
    visitor.skip_to_main()
    visitor.begin()
    visitor.see_trial(0)
    visitor.choose("left")
    visitor.see_trial(1)
    # On a busy machine the closing page may still be there when the network is back, and send.
    wait_for(lambda: len(server.responses()) >= 5)
    visitor.arrive(first)
    visitor.press("I agree, and want to take part")
    visitor.at_screen("Welcome back")
    wait_for(lambda: len(server.responses()) == 6)
    one, other = [person.id for person in server.people()]
    thirds = {r.participant_id: r.response_side for r in server.responses() if r.trial_index == 2}
    assert thirds == {one: "right", other: "left"}
    visitor.forgive("ERR_INTERNET_DISCONNECTED")


def test_a_tab_of_someone_else_never_answers_for_the_one_who_is_logged_in(visit, server):
    visitor = visit()
    visitor.skip_to_main()
    first = visitor.page
    visitor.begin()
    visitor.see_trial(0)
    visitor.open_tab("/health")
    visitor.skip_to_main()
    visitor.begin()
    visitor.see_trial(0)
    visitor.page = first
    first.bring_to_front()
    visitor.choose("right")
    visitor.at_screen("The main part")  # that of the one who is logged in
    visitor.begin()
    visitor.see_trial(0)
    assert len(server.responses()) == 4
    visitor.forgive("400")


def test_the_banner_goes_when_the_connection_is_back(visit):
    visitor = visit()
    visitor.skip_to_main()
    visitor.begin()
    visitor.see_trial(0)
    banner = visitor.page.get_by_text("Your answers are safe on this computer")
    visitor.context.set_offline(True)
    expect(banner).to_be_visible()
    visitor.context.set_offline(False)
    expect(banner).to_be_hidden()
