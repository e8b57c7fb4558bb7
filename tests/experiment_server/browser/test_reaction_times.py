"""Recorded reaction times against key events made at known moments after the onset.

This tests the software: that the clock starts at the frame that shows the images, and stops at the
event. What screens and keyboards add can be measured with a photodiode only.
"""

from __future__ import annotations

from statistics import mean, stdev

from bundles import make_bundle
from reactions import DELAYS_MS, react


def test_reaction_times_have_no_bias_and_little_spread(visit, serve, tmp_path):
    study = make_bundle(tmp_path / "study", main=len(DELAYS_MS), practice=0, catch=0)
    errors_ms = react(visit(serve(study=study)), DELAYS_MS)
    assert len(errors_ms) == len(DELAYS_MS)
    assert abs(mean(errors_ms)) < 20, errors_ms
    assert stdev(errors_ms) < 15, errors_ms
