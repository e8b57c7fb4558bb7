"""The server is killed twice in mid-run: what it acknowledged is there, once; all can finish."""

from __future__ import annotations

import threading
import time

import pytest
from postgresql import MissingError, prepare, running_cluster
from servers import serving, stored_outcomes, stored_responses

from experiment_server.bots import Habits, new_report, run_bots

PEOPLE = 8
RESPONSES = 7  # of a list of the small bundle, with one round of practice


@pytest.fixture(scope="module")
def postgresql(require_postgresql):
    """One that writes to the disk before it says so, as it would in earnest."""
    try:
        with running_cluster(durable=True) as cluster:
            prepare(cluster)
            yield cluster
    except MissingError as error:
        require_postgresql(error)


def wait_for_responses(report, count, bots):
    while len(report.acknowledged) < count and bots.is_alive():
        time.sleep(0.01)
    assert bots.is_alive(), "the bots were through before the server could be killed"


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    bundle_folder, database_url, tmp_path
):
    habits = Habits(pace=80.0, two_tabs=0.2, refresh=0.1, images=False)
    report = new_report(PEOPLE, seed="crash")
    with serving(bundle_folder, database_url, tmp_path) as server:
        bots = threading.Thread(
            target=run_bots, args=(server.url, PEOPLE), kwargs={"habits": habits, "report": report}
        )
        bots.start()
        for count in (PEOPLE, 4 * PEOPLE):
            wait_for_responses(report, count, bots)
            server.kill()
            survived = set(stored_responses(database_url))
            assert set(report.acknowledged) <= survived
            server.start()
        bots.join()
    assert report.errors == []
    assert report.traffic.broken_connections > 0
    stored = stored_responses(database_url)
    assert set(stored.values()) == {1}
    assert len({(one.prolific_pid, one.trial_index) for one in stored}) == len(stored)
    assert set(stored) == set(report.acknowledged)
    assert len(stored) >= PEOPLE * RESPONSES
    assert stored_outcomes(database_url) == {"completed": PEOPLE}
