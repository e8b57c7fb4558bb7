"""Faults in the midst of a study: nothing acknowledged is lost or doubled, and all can finish."""

from __future__ import annotations

import pytest
from faults import FAULTS, NotRunError, undergo
from postgresql import MissingError

from experiment_server.bots import Habits

PEOPLE = 9
RESPONSES = 7  # of a list of the small bundle, with one round of practice
HABITS = Habits(pace=40.0, two_tabs=0.1, refresh=0.1, images=False)
CASES = [(name, one) for name, fault in FAULTS.items() for one in fault.databases]
# Who is dealt a place while nobody else has been heard of yet may get one too many of a condition.
UNEVEN = {"clock put forward": 3}
FELT = {"database restarted", "database killed", "disk full"}


@pytest.mark.parametrize(("name", "backend"), CASES, indirect=["backend"])
def test_nothing_acknowledged_is_lost_or_doubled_and_all_finish(
    name, backend, bundle_folder, tmp_path, require_postgresql
):
    try:
        after = undergo(
            FAULTS[name],
            backend,
            bundle_folder,
            tmp_path,
            people=PEOPLE,
            habits=HABITS,
            arrival_s=1.0,
        )
    except NotRunError as error:
        pytest.skip(f"NOT RUN: {error}")
    except MissingError as error:
        require_postgresql(error)
    log = (tmp_path / "server.log").read_text()
    assert after.report.errors == [], log[-2000:]
    assert (after.lost, after.doubled) == (0, 0)
    assert after.stored == after.acknowledged >= PEOPLE * RESPONSES
    assert after.outcomes == {"completed": PEOPLE}
    assert after.late == 0
    assert after.uneven <= UNEVEN.get(name, 1)
    if name in FELT:
        assert after.report.traffic.busy.total() > 0
