"""The researcher's pages behind several processes: what one knows, all know."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from researchers import HASH, PASSWORD
from servers import Server

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
ADDRESSES = (f"198.51.100.{number}" for number in range(1, 255))


class Browser:
    """A researcher's browser, whose requests reach now one process, now another."""

    def __init__(self, servers: list[Server], address: str) -> None:
        self.servers = servers
        self.client = httpx.Client(trust_env=False, headers={"X-Forwarded-For": address})
        self.csrf = ""

    def get(self, server: int, path: str) -> httpx.Response:
        answer = self.client.get(self.servers[server].url + path)
        found = re.search(r'name="csrf-token" content="([^"]+)"', answer.text)
        self.csrf = found.group(1) if found else self.csrf
        return answer

    def post(self, server: int, path: str, **form: str) -> httpx.Response:
        address = self.servers[server].url + path
        return self.client.post(address, data={"csrf_token": self.csrf, **form})

    def log_in(self, server: int, password: str = PASSWORD) -> int:
        self.get(server, "/admin/login")
        return self.post(server, "/admin/login", password=password).status_code


@pytest.fixture
def browse(bundle_folder, database_url, tmp_path) -> Iterator[Callable[[], Browser]]:
    """`browse()`: a browser at a new address, before two processes over one database."""
    environment = {
        "STUDY": str(bundle_folder),
        "DATABASE_URL": database_url,
        "DATA": str(tmp_path),
        "SECRET_KEY": "a secret of tests, of more than 32 characters",
        "ADMIN_PASSWORD_HASH": HASH.get_secret_value(),
    }
    servers = [Server(environment, tmp_path / f"{name}.log", factory="create_app") for name in "ab"]
    browsers: list[Browser] = []

    def make() -> Browser:
        browsers.append(Browser(servers, next(ADDRESSES)))
        return browsers[-1]

    try:
        for server in servers:
            server.start()
        yield make
    finally:
        for browser in browsers:
            browser.client.close()
        for server in servers:
            server.stop()


def test_a_login_counts_everywhere_and_so_does_its_end(browse):
    researcher = browse()
    assert researcher.log_in(0) == 303
    assert [researcher.get(server, "/admin/").status_code for server in (1, 0)] == [200, 200]
    cookie = researcher.client.cookies["study"]
    assert researcher.post(1, "/admin/logout").status_code == 303
    researcher.client.cookies.clear()
    researcher.client.cookies["study"] = cookie  # somebody kept it
    assert [researcher.get(server, "/admin/").status_code for server in (0, 1)] == [303, 303]


def test_wrong_passwords_delay_the_next_everywhere(browse):
    stranger = browse()
    assert [stranger.log_in(server, "guess") for server in (0, 1, 0)] == [403, 403, 403]
    assert stranger.log_in(1) == 429
    time.sleep(2)
    assert stranger.log_in(1) == 303


def test_guesses_are_limited_by_all_together(browse):
    stranger, researcher = browse(), browse()
    statuses = [stranger.log_in(number % 2, "guess") for number in range(6)]
    page = stranger.post(0, "/admin/login", password=PASSWORD).text
    assert statuses == [403] * 3 + [429] * 3
    assert "5 per 1 minute" in page  # not the delay after a wrong password, which is over sooner
    assert researcher.log_in(1) == 303
