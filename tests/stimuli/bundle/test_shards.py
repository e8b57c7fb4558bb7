"""A study made in shards, by many jobs that share a folder and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_study import files, write

import stimuli.assembly
from maco.shards import Shard
from stimuli.build import build, main


def make(study: Path, out: Path, number: int, count: int) -> None:
    build(study, out, progress=False, device="cpu", shard=Shard(number, count))


def said(*words: object) -> str:
    """What a command says that is refused; one line of it is the error."""
    result = CliRunner().invoke(main, [*map(str, words)])
    assert result.exit_code != 0
    lines = result.output.strip().splitlines()
    assert [line.startswith("Error: ") for line in lines].count(True) == 1
    return lines[-1]


def test_shards_at_once_make_the_bytes_of_one_build(tiny, tmp_path):
    study, out = write(tmp_path), tmp_path / "bundle"
    words = [sys.executable, "-m", "stimuli.build", study, "--out", out, "--device", "cpu"]
    jobs = [subprocess.Popen([*words, "--shard", f"{number}/2"]) for number in (1, 2)]
    assert [job.wait() for job in jobs] == [0, 0]
    assert not out.exists()
    build(study, out, progress=False, device="cpu", merge=True)
    assert files(out) == files(tiny)


@pytest.fixture(scope="module")
def in_three(tmp_path_factory) -> tuple[Path, Path]:
    """The study file and the unfinished bundle whose three shards are done."""
    folder = tmp_path_factory.mktemp("three")
    study, out = write(folder), folder / "bundle"
    for number in (3, 1, 2):
        make(study, out, number, 3)
    return study, out


def test_nothing_dear_is_left_when_the_shards_are_done(in_three, tiny, monkeypatch):
    study, out = in_three
    monkeypatch.setattr("stimuli.references.render", None)
    monkeypatch.setattr("stimuli.sweeps.sweep", None)
    for number in (1, 2, 3):
        make(study, out, number, 3)  # a shard that is done is not done again
    build(study, out, progress=False, device="cpu", merge=True)
    assert files(out) == files(tiny)
    make(study, out, 1, 7)  # nor is one of a finished study
    assert files(out) == files(tiny)


def test_more_shards_than_work(tmp_path, monkeypatch):
    """The last of a hundred has nothing to do, and says so by being done."""
    study, out = write(tmp_path), tmp_path / "bundle"
    monkeypatch.setattr("stimuli.references.render", None)
    monkeypatch.setattr("stimuli.sweeps.sweep", None)
    make(study, out, 100, 100)
    assert (tmp_path / "bundle.partial" / "records" / "shard-100-of-100.json").is_file()


def test_the_work_is_shared_evenly_and_wholly():
    work = [*range(61)]
    shares = [Shard(number, 8).share(work) for number in range(1, 9)]
    assert sorted(one for share in shares for one in share) == work
    assert {len(share) for share in shares} == {7, 8}


@pytest.mark.parametrize(
    ("shard", "problem"),
    [
        ("9/8", "shard 9/8: the number must be one of 1 to 8"),
        ("0/8", "shard 0/8: the number must be one of 1 to 8"),
        ("0/0", "shard 0/0: the number must be one of 1 to 0"),
        ("3", "write it as 3/25, the third of 25"),
        ("three/8", "write it as 3/25"),
        ("-1/8", "write it as 3/25"),
    ],
)
def test_a_shard_that_there_is_not(tmp_path, shard, problem):
    out = tmp_path / "out"
    assert problem in said(write(tmp_path), "--out", out, "--shard", shard)
    assert not out.with_name("out.partial").exists()


def test_a_merge_before_its_time(tmp_path, monkeypatch):
    study, out = write(tmp_path), tmp_path / "out"
    assert "holds no finished shard of this: make them with --shard 1/N" in said(
        study, "--out", out, "--merge"
    )
    monkeypatch.setattr(stimuli.assembly, "_fill", lambda *_, **__: [])
    monkeypatch.setattr(stimuli.assembly, "_render", lambda *_, **__: None)
    make(study, out, 2, 4)
    make(study, out, 1, 2)
    assert "lacks shards 2 of 2; 1, 3, 4 of 4: make them first" in said(
        study, "--out", out, "--merge"
    )
    assert "give one of them" in said(study, "--shard", "1/2", "--merge")


def test_shards_of_another_configuration_or_version_are_refused(tmp_path, monkeypatch):
    study, out = write(tmp_path), tmp_path / "out"
    make(study, out, 7, 8)
    other = write(tmp_path, ("steps = 2", "steps = 3"))
    assert "another configuration (config.conditions.olah.steps was 2, now 3)" in said(
        other, "--out", out, "--shard", "1/8"
    )
    monkeypatch.setattr(stimuli.assembly, "_software", lambda: {"torch": "1.0"})
    assert "another configuration (software." in said(
        write(tmp_path), "--out", out, "--shard", "1/8"
    )


def test_of_two_first_writers_one_decides(tmp_path, monkeypatch):
    """Both found no draft when they began; they differ in their software."""
    study, out = write(tmp_path), tmp_path / "out"
    fingerprint = tmp_path / "out.partial" / "fingerprint.json"
    begin = stimuli.assembly._begin

    def overtaken(*args):
        making = begin(*args)
        fingerprint.parent.mkdir()
        theirs = making.draft._mine | {"device": "abacus"}
        fingerprint.write_text(json.dumps(theirs))
        return making

    monkeypatch.setattr(stimuli.assembly, "_begin", overtaken)
    with pytest.raises(ValueError, match='device was "abacus", now "cpu"'):
        make(study, out, 1, 2)
    assert [path.name for path in fingerprint.parent.iterdir()] == ["fingerprint.json"]
