"""The server is killed twice in mid-run: what it acknowledged is there, once; all can finish."""

from __future__ import annotations

import pytest
from servers import serving, stored_outcomes, stored_responses
from underway import crowd

from experiment_server.bots import Habits

PEOPLE = 8
RESPONSES = 7  # of a list of the small bundle, with one round of practice


@pytest.fixture(scope="module")
def postgresql(durable_postgresql):
    return durable_postgresql


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    bundle_folder, database_url, tmp_path
):
    habits = Habits(pace=80.0, two_tabs=0.2, refresh=0.1, images=False)
    with (
        serving(bundle_folder, database_url, tmp_path) as server,
        crowd(server.url, PEOPLE, habits, seed="crash") as bots,
    ):
        for count in (PEOPLE, 4 * PEOPLE):
            bots.wait_for_responses(count)
            server.kill()
            survived = set(stored_responses(database_url))
            assert set(bots.report.acknowledged) <= survived
            server.start()
    assert bots.report.errors == []
    assert bots.report.traffic.broken_connections > 0
    stored = stored_responses(database_url)
    assert set(stored.values()) == {1}
    assert len({(one.prolific_pid, one.trial_index) for one in stored}) == len(stored)
    assert set(stored) == set(bots.report.acknowledged)
    assert len(stored) >= PEOPLE * RESPONSES
    assert stored_outcomes(database_url) == {"completed": PEOPLE}
