"""The build on a real Slurm of one node; `prove.py` ends its jobs in more ways."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from one_node import MissingError, one_node_slurm
from prove import PARTITION, cancel, digests, kill, larger, prove
from tiny_study import write

from stimuli.build import build
from stimuli.cluster.slurm import Slurm, parse_time


def skip_or_fail(error: MissingError) -> None:
    if os.environ.get("CI"):
        raise error
    pytest.skip(str(error))


def test_a_killed_and_a_cancelled_job_are_submitted_again(tmp_path):
    study = larger(tmp_path, steps=6, stride_px=16)
    faults = {"SIGKILL": kill, "scancel": cancel}
    try:
        rows = prove(tmp_path, study, 3, faults, minutes=10)
    except MissingError as error:
        skip_or_fail(error)
    ends = {fault: end for _, fault, end in rows if fault}
    assert ends["SIGKILL"].startswith("FAILED (exit 137:0); COMPLETED")
    # A cancelled job has some seconds, in which it may come to its end all the same.
    assert ends["scancel"].startswith("CANCELLED")
    build(study, tmp_path / "alone", progress=False, device="cpu")
    assert digests(tmp_path / "bundle") == digests(tmp_path / "alone")


def refusal(study, *words: str, **environment: str) -> str:
    """What the command says that cannot be done: one line."""
    command = [sys.executable, "-m", "stimuli.cluster", str(study), "--shards", "2", *words]
    out = study.parent / "out"
    done = subprocess.run(
        [*command, "--out", str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 1, done.stderr
    *_, line = done.stderr.splitlines()  # sbatch may have said something before
    assert not out.exists()
    return line


def test_what_the_cluster_does_not_have_is_said(tmp_path):
    study = write(tmp_path)
    try:
        with one_node_slurm() as cluster:
            no_partition = refusal(study, "--partition", "gpu", **cluster)
            no_gpu = refusal(study, "--partition", PARTITION, **cluster)
            no_value = refusal(study, "--sbatch", "qos", **cluster)
    except MissingError as error:
        skip_or_fail(error)
    assert no_partition == f"Error: this cluster has no partition 'gpu': {PARTITION}"
    assert no_gpu.startswith("Error: sbatch refused: ")
    assert no_value == "Error: --sbatch qos: write it as OPTION=VALUE, as in account=vision"


def test_without_a_slurm_it_says_what_else_there_is(tmp_path):
    said = refusal(write(tmp_path), PATH=str(Path(sys.executable).parent))
    assert said.startswith("Error: no Slurm here: sbatch is not on PATH")
    assert said.endswith("or take --engine local")


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("0:30", 1),
        ("10:01", 11),
        ("2:00:00", 120),
        ("1-12", 36 * 60),
        ("1-12:30", 36 * 60 + 30),
        ("1-12:30:59", 36 * 60 + 31),
    ],
)
def test_times_are_those_of_sbatch(text, minutes):
    assert parse_time(text) == minutes


@pytest.mark.parametrize("text", ["", "2h", "1:2:3:4", "-5", "1-", "tomorrow"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="write it as 90"):
        parse_time(text)


def test_an_unanswering_controller_loses_no_job(monkeypatch):
    def fail(*command: str) -> str:
        raise ValueError("squeue does not answer")

    monkeypatch.setattr("stimuli.cluster.slurm._ask", fail)
    engine = Slurm.__new__(Slurm)
    assert engine.alive({"7_0", "7_1"}) == dict.fromkeys(["7_0", "7_1"], "squeue does not answer")
