"""Parts and who sees them through, on the local engine and on one that does as it is told."""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_study import files, write

from maco.shards import Shard, all_shards
from stimuli.cluster.__main__ import main
from stimuli.cluster.local import Local
from stimuli.cluster.part import Part, undone
from stimuli.cluster.watch import GaveUpError, Jobs, check_others, see_through
from stimuli.draft import Draft


@dataclass
class Puppets:
    """An engine whose jobs do, one after the other, what a list of deeds says."""

    folder: Path
    deeds: list[str]
    parts: dict[str, Part] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)

    def submit(self, parts):
        jobs = []
        for part in parts:
            job = str(len(self.parts))
            self.parts[job] = part
            deed = self.deeds.pop(0)
            if deed == "finish":
                Draft(part.out, {}).record(part.shard.step, {})
            elif deed == "refuse":
                self.log(job).write_text("timm 1.0\nError: no such network\nsrun: exit 1\n")
            elif deed == "wait":
                self.waiting[job] = "Resources"
            jobs.append(job)
        return jobs

    def alive(self, jobs):
        return {job: why for job, why in self.waiting.items() if job in jobs}

    def end_of(self, job):
        return "NODE_FAIL"

    def log(self, job):
        return self.folder / f"{job}.log"

    def close(self):
        pass


@pytest.fixture
def parts(tmp_path) -> list[Part]:
    study, out = tmp_path / "tiny.toml", tmp_path / "out"
    return [Part(study, out, None, None, "cpu", shard) for shard in all_shards(2)]


@pytest.fixture
def jobs(tmp_path) -> Jobs:
    return Jobs(tmp_path / "jobs.json")


def see(parts, engine, jobs) -> None:
    see_through(parts, engine, jobs, tries=3, poll_s=0.0, progress=False)


def test_who_is_lost_is_submitted_again(parts, jobs, tmp_path, capsys):
    engine = Puppets(tmp_path, ["finish", "die", "die", "finish"])
    see(parts, engine, jobs)
    assert jobs.of == {"shard-1-of-2": ["0"], "shard-2-of-2": ["1", "2", "3"]}
    assert Jobs(jobs.path).of == jobs.of
    said = capsys.readouterr().err.splitlines()
    assert said == ["shard 2/2 was lost (NODE_FAIL) and is submitted again"] * 2


def test_who_is_lost_too_often_is_given_up_when_the_others_are_done(parts, jobs, tmp_path):
    engine = Puppets(tmp_path, ["die", "finish", "die", "die"])
    with pytest.raises(GaveUpError, match=r"1/2 was lost 3 times, at last: NODE_FAIL \(.*3.log"):
        see(parts, engine, jobs)
    assert undone(parts) == [parts[0]]


def test_who_says_that_it_cannot_be_is_not_asked_again(parts, jobs, tmp_path):
    engine = Puppets(tmp_path, ["refuse", "finish"])
    with pytest.raises(GaveUpError, match=r"^shard 1/2: no such network \(\S*0\.log\)$"):
        see(parts, engine, jobs)
    assert engine.deeds == []


def test_jobs_that_are_under_way_are_waited_for(parts, jobs, tmp_path):
    """As those are that an earlier command submitted; nothing is submitted twice."""
    for number, part in enumerate(parts):
        jobs.add(part, str(number))
    engine = Puppets(tmp_path, [])
    engine.waiting = {"0": "Resources", "1": "running"}
    looks = 0

    def alive(asked):
        nonlocal looks
        looks += 1
        if looks == 3:
            Draft(parts[0].out, {}).record("shard-1-of-2", {})
            del engine.waiting["0"]
        if looks == 5:
            Draft(parts[0].out, {}).record("shard-2-of-2", {})
            del engine.waiting["1"]
        return dict(engine.waiting)

    engine.alive = alive
    see(parts, engine, jobs)
    assert looks == 5
    assert jobs.of == {"shard-1-of-2": ["0"], "shard-2-of-2": ["1"]}


def test_another_number_of_shards_waits_for_the_first(parts, jobs, tmp_path):
    engine = Puppets(tmp_path, ["wait", "die"])
    for part, job in zip(parts, engine.submit(parts), strict=True):
        jobs.add(part, job)
    three = [Part(**{**vars(parts[0]), "shard": shard}) for shard in all_shards(3)]
    with pytest.raises(ValueError, match=r"another number of shards are under way \(0\)"):
        check_others(jobs, engine, three)
    check_others(jobs, engine, parts)


def test_a_part_says_on_the_command_line_what_it_is(tmp_path):
    part = Part(tmp_path / "s.toml", tmp_path / "o", tmp_path / "i", 2.5, "cuda:1", Shard(3, 25))
    command = " ".join(part.command())
    assert command == (
        f"{sys.executable} -m stimuli.build {tmp_path}/s.toml --out {tmp_path}/o --device cuda:1"
        f" --shard 3/25 --images {tmp_path}/i --memory 2.5"
    )
    assert "--merge" in Part(tmp_path, tmp_path, None, None, "cpu", None).command()


def test_processes_of_one_machine_make_the_same_bundle(tiny, tmp_path, monkeypatch):
    """With one of them killed at work."""
    alive, killed = Local.alive, []

    def mortal(engine, jobs):
        found = alive(engine, jobs)
        if not killed and engine._running:
            assert sorted(found.values()) == ["a free device", "running", "running"]
            [process, _] = next(iter(engine._running.values()))
            time.sleep(0.5)
            process.send_signal(signal.SIGKILL)
            killed.append(process.wait())
        return found

    monkeypatch.setattr(Local, "alive", mortal)
    words = [str(write(tmp_path)), "--out", str(tmp_path / "bundle"), "--shards", "3"]
    local = ["--engine", "local", "--devices", "cpu,cpu", "--poll", "0.1"]
    done = CliRunner().invoke(main, [*words, *local])
    assert done.exit_code == 0, done.output
    assert killed == [-signal.SIGKILL]
    assert "was lost (signal 9) and is submitted again" in done.output
    assert files(tmp_path / "bundle") == files(tiny)
    again = CliRunner().invoke(main, [*words, "--partition", "none"])  # nothing is left to submit
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--engine", "local", "--partition", "gpu"], "--engine local has --devices"),
        (["--devices", "cuda:0"], "--devices is for --engine local"),
        (["--time", "2h"], "write it as 90 (minutes)"),
        (["--images", "."], "contradict each other"),
        (["--engine", "local", "--devices", "cpu,cuda:9"], "cuda:9 was asked for, but torch sees"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, words, problem):
    done = CliRunner().invoke(main, [str(write(tmp_path)), "--shards", "2", *words])
    assert done.exit_code == 1
    [line] = done.output.strip().splitlines()
    assert problem in line
