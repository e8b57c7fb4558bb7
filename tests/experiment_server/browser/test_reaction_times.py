"""Recorded reaction times against key events made at known moments after the onset.

This tests the software: that the clock starts at the frame that shows the images, and stops at the
event. What screens and keyboards add can be measured with a photodiode only.
"""

from __future__ import annotations

from statistics import mean, stdev

from bundles import make_bundle
from reactions import DELAYS_MS, TIME_IMAGES, react


def test_reaction_times_have_no_bias_and_little_spread(visit, serve, tmp_path):
    study = make_bundle(tmp_path / "study", main=len(DELAYS_MS), practice=0, catch=0)
    errors_ms = react(visit(serve(study=study)), DELAYS_MS)
    assert len(errors_ms) == len(DELAYS_MS)
    assert abs(mean(errors_ms)) < 20, errors_ms
    assert stdev(errors_ms) < 15, errors_ms


def test_all_images_of_a_trial_appear_in_one_frame(visit):
    visitor = visit()
    visitor.be_dealt()
    with visitor.server.running.database.write() as session:
        session.merge(visitor.server.people()[-1]).condition = "maco"
    visitor.page.add_init_script(TIME_IMAGES.replace(".query img", ".stage img"))
    visitor.page.goto(f"{visitor.server.url}/study")
    visitor.begin()
    visitor.see_trial(0)
    visitor.page.wait_for_function("window.painted.length === 6")  # two queries, four references
    assert len(set(visitor.page.evaluate("window.painted"))) == 1
