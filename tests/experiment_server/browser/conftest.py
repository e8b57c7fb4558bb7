"""A browser and a server for tests of what participants see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from bundles import make_bundle
from playwright.sync_api import Browser
from visitors import Server, Visitor, launched_browser, new_visitor, running_server


@pytest.fixture(scope="module")  # while it lives, other tests cannot run an event loop
def browser() -> Iterator[Browser]:
    with launched_browser("what participants see") as found:
        yield found


@pytest.fixture(scope="session")
def bundle_with_base(tmp_path_factory) -> Path:
    """The small bundle, for a study that shows the base image too."""
    folder = make_bundle(tmp_path_factory.mktemp("bundle") / "base")
    path = folder / "study.json"
    shown = path.read_text(encoding="utf-8").replace(
        '"show_base_image": false', '"show_base_image": true'
    )
    path.write_text(shown, encoding="utf-8")
    return folder


@pytest.fixture
def database_url(tmp_path) -> str:
    """SQLite: what a browser sees does not depend on the database."""
    return f"sqlite:///{tmp_path / 'study.sqlite'}"


@pytest.fixture
def serve(bundle_folder, database_url, tmp_path):
    """`serve(settings={...}, study=folder)`: a server on a free port, with the real clock."""
    with ExitStack() as ending:

        def start(settings: dict | None = None, study: Path | None = None) -> Server:
            server = running_server(study or bundle_folder, tmp_path, database_url, settings or {})
            return ending.enter_context(server)

        yield start


@pytest.fixture
def server(serve) -> Server:
    return serve()


@pytest.fixture
def visit(browser, serve, request):
    """`visit()`: somebody new, in a window of 1280 x 720; their console must stay clean."""
    visitors: list[Visitor] = []

    def make(at: Server | None = None, **options: object) -> Visitor:
        visitor = new_visitor(browser, at or request.getfixturevalue("server"), **options)
        visitors.append(visitor)
        return visitor

    yield make
    for visitor in visitors:
        visitor.context.close()
        assert visitor.console == []
