"""What is deployed: several workers as gunicorn is told to run them, and the files around them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import httpx
import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from servers import START_S, Server, create_hurried_app, stored_outcomes, stored_responses

from experiment_server.bots import Habits, run_bots

ROOT = Path(__file__).parents[2]
GUNICORN = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "deploy/gunicorn.conf.py")]
TOKEN = "a token for Prometheus"
SHARED_MEMORY = Path("/dev/shm")


def create_app_when_allowed() -> Flask:
    """The application; not before the file HOLD is gone, as if there were much to import."""
    while Path(os.environ["HOLD"]).exists():
        time.sleep(0.02)
    return create_hurried_app()


@pytest.fixture
def server(bundle_folder, database_url, tmp_path) -> Iterator[Server]:
    environment = {
        "STUDY": str(bundle_folder),
        "DATABASE_URL": database_url,
        "DATA": str(tmp_path),
        "SECRET_KEY": "a secret of tests, of more than 32 characters",
        "LOG": "json",
        "METRICS_TOKEN": TOKEN,
        "WEB_CONCURRENCY": "2",
        "HOLD": str(tmp_path / "hold"),
    }
    started = Server(environment, tmp_path / "server.log")
    where = f"--bind=127.0.0.1:{started.port}"
    started.command = [*GUNICORN, where, "test_deployment:create_app_when_allowed()"]
    try:
        started.start()
        yield started
    finally:
        started.stop()


def counted(server: Server, name: str, **labels: str) -> float:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    page = httpx.get(f"{server.url}/metrics", headers=bearer, trust_env=False).text
    samples = [one for family in text_string_to_metric_families(page) for one in family.samples]
    return sum(
        one.value
        for one in samples
        if one.name == f"experiment_{name}" and labels.items() <= one.labels.items()
    )


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_workers_serve_count_and_reload_together(server, database_url):
    process = server.process
    threading.Timer(1.0, lambda: os.kill(process.pid, signal.SIGHUP)).start()
    report = run_bots(server.url, 12, arrival_s=4, habits=Habits(pace=60), seed="workers")
    assert report.errors == []
    assert stored_outcomes(database_url) == {"completed": 12}
    stored = stored_responses(database_url)
    assert set(stored) == set(report.acknowledged)
    assert counted(server, "responses_total", kind="stored") == len(stored)
    assert counted(server, "participants", outcome="completed") == 12
    log = server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert len({line["pid"] for line in lines if line["message"] == "request"}) >= 2
    assert "Hang up" in log
    people = {one.prolific_pid for one in stored}
    assert len(people) == 12
    assert not any(word in log for word in (*people, "PROLIFIC_PID", "10.0.0.", "httpx"))
    server.stop()
    assert not (SHARED_MEMORY / f"experiment-server-{process.pid}").exists()


def workers(server: Server) -> set[int]:
    """The processes that answer, or are about to."""
    folder = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return {int(number) for number in folder.read_text().split()}


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_old_workers_serve_until_the_new_ones_can(server, tmp_path):
    wait_until(lambda: "Listening" in server.log.read_text())
    old = workers(server)
    assert len(old) == 2
    hold = tmp_path / "hold"
    hold.touch()
    for _reload in (1, 2):  # the second before the first is done
        before = workers(server)
        os.kill(server.process.pid, signal.SIGHUP)
        wait_until(lambda before=before: len(workers(server)) == len(before) + 2)
    killed = (workers(server) - before).pop()
    os.kill(killed, signal.SIGKILL)  # memory is short with so many, say
    wait_until(lambda: killed not in workers(server) and len(workers(server)) == 6)
    assert httpx.get(f"{server.url}/ready", trust_env=False, timeout=5).status_code == 200
    hold.unlink()
    wait_until(lambda: len(workers(server)) == 2)
    assert not old & workers(server)
    assert httpx.get(f"{server.url}/ready", trust_env=False).status_code == 200
    os.kill(workers(server).pop(), signal.SIGKILL)
    wait_until(lambda: server.log.read_text().count("Booting worker") == 8)
    assert len(workers(server)) == 2


def test_several_workers_are_refused_with_sqlite(tmp_path):
    environment = {**os.environ, "WEB_CONCURRENCY": "2", "DATABASE_URL": ""}
    done = subprocess.run(
        [*GUNICORN, "--check-config"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "Error: WEB_CONCURRENCY is 2: with SQLite one process serves" in done.stderr


def test_what_compose_asks_for_is_explained():
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    explained = (ROOT / "docs/deployment.md").read_text()
    assert len(asked) > 5
    assert [name for name in asked if f"{name}=" not in explained] == []


def skip_or_fail(lacking: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(lacking)
    pytest.skip(lacking)


def test_caddy_understands_its_file():
    caddy = shutil.which("caddy")
    if caddy is None:
        skip_or_fail("caddy is not installed")
    command = [caddy, "validate", "--adapter", "caddyfile", "--config", "deploy/Caddyfile"]
    environment = {**os.environ, "DOMAIN": "study.example.org"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert "Valid configuration" in done.stdout + done.stderr, done.stderr


def test_systemd_understands_its_units(tmp_path):
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        skip_or_fail("systemd-analyze is not installed")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("flask", "gunicorn"):
        shutil.copy("/bin/true", programs / name)
    units = []
    for unit in [*ROOT.glob("deploy/*.service"), *ROOT.glob("deploy/*.timer")]:
        text = unit.read_text().replace("/srv/study/toolkit/.venv/bin", str(programs))
        units.append(tmp_path / unit.name)
        units[-1].write_text(text)
    assert len(units) == 3
    done = subprocess.run([systemd, "verify", *units], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "experiment-server" in line]
    assert (ours, done.returncode) == ([], 0), done.stderr
