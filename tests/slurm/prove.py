"""Builds a study on a real Slurm of one node while its jobs are ended in every way there is.

    python tests/slurm/prove.py

8 shards: one killed by SIGKILL, one cancelled, one over its time limit, one pre-empted; and the
command that watches them is killed and given again. Prints what became of each (Markdown), and
whether the bundle is that of one process, byte for byte. Takes about five minutes on two cores.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stimuli"))

from one_node import PARTITION, MissingError, one_node_slurm
from tiny_study import write

WAIT_S = 240
Environment = Mapping[str, str]


def larger(folder: Path, *, steps: int = 40, stride_px: int = 4) -> Path:
    """A study file with work for eight shards, of some seconds each."""
    size_px = "size_px = {}\nsteps = {}"
    return write(
        folder,
        ("classes = [0, 3]", "classes = [0, 1, 2, 3, 4, 5, 6, 7]"),
        (size_px.format(48, 2), size_px.format(96, steps)),
        (size_px.format(64, 2), size_px.format(96, steps)),
        ("stride_px = 16", f"stride_px = {stride_px}"),
    )


def digests(bundle: Path) -> dict[str, str]:
    """Every file of a bundle and its SHA-256."""
    return {
        str(path.relative_to(bundle)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(bundle.rglob("*"))
        if path.is_file()
    }


class Watched:
    """`python -m stimuli.cluster`, running; what it says goes to a file."""

    def __init__(
        self, study: Path, out: Path, shards: int, minutes: int, cluster: Environment
    ) -> None:
        self.out = out
        self.cluster = cluster
        self.said = out.with_name("said.txt")
        words = [sys.executable, "-m", "stimuli.cluster", study, "--out", out, "--shards", shards]
        words += ["--partition", PARTITION, "--gpus", 0, "--cpus", 1, "--time", minutes]
        words += ["--warning", 5, "--poll", 1]
        self.command = [str(word) for word in words]
        self.start()

    def start(self) -> None:
        """Gives the command (again)."""
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                self.command, stdout=said, stderr=said, env={**self.cluster, "OMP_NUM_THREADS": "1"}
            )

    def jobs(self) -> dict[str, list[str]]:
        """Which jobs each shard has had."""
        path = self.out.with_name(f"{self.out.name}.jobs") / "jobs.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def at_work(self) -> Iterator[tuple[str, str, int]]:
        """Shard, job and process of those that have begun to render or to sweep."""
        shard_of = {jobs[-1]: name for name, jobs in self.jobs().items()}
        for job, pid in processes():
            log = self.out.with_name(f"{self.out.name}.jobs") / f"{job}_0_log.err"
            if job in shard_of and log.is_file() and "%|" in log.read_text(errors="replace"):
                yield shard_of[job], job, pid

    def next_at_work(self, spared: set[str]) -> tuple[str, str, int]:
        """The last to be at work, furthest from its end, and none of `spared`; waits for it."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end and self.process.poll() is None:
            found = [one for one in self.at_work() if one[0] not in spared]
            if found:
                return max(found, key=lambda one: one[2])
            time.sleep(0.1)
        raise RuntimeError(f"no shard was at work in {WAIT_S} s:\n{self.said.read_text()}")

    def finish(self) -> None:
        """Waits for its end; RuntimeError with what it said, unless it was a good one."""
        if self.process.wait(WAIT_S * 2):
            raise RuntimeError(self.said.read_text())


def processes() -> Iterator[tuple[str, int]]:
    """Array job and process id of every part that runs."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"submitit.core._submit" not in (path / "cmdline").read_bytes():
                continue
            lines = (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        own = dict(line.decode().split("=", 1) for line in lines if b"=" in line)
        if "SLURM_PROCID" in own and (path / "exe").readlink().name.startswith("python"):
            array, task = own.get("SLURM_ARRAY_JOB_ID"), own.get("SLURM_ARRAY_TASK_ID")
            yield (f"{array}_{task}" if array else own["SLURM_JOB_ID"]), int(path.name)


def kill(job: str, pid: int, cluster: Environment) -> None:
    """SIGKILL, as the kernel does when memory is out."""
    os.kill(pid, signal.SIGKILL)


def cancel(job: str, pid: int, cluster: Environment) -> None:
    """scancel."""
    subprocess.run(["scancel", job], check=True, env=cluster)


def hold_up(job: str, pid: int, cluster: Environment) -> None:
    """SIGSTOP, so that it is still there when its time is up."""
    os.kill(pid, signal.SIGSTOP)


def preempt(job: str, pid: int, cluster: Environment) -> None:
    """The signal by which Slurm warns a job: it queues again by itself."""
    subprocess.run(["scancel", "--signal=USR2", job], check=True, env=cluster)


Fault = Callable[[str, int, Environment], None]
FAULTS: dict[str, Fault] = {
    "held up until over its time limit": hold_up,
    "SIGKILL": kill,
    "scancel": cancel,
    "pre-empted (USR2)": preempt,
}


def end_of(job: str, cluster: Environment) -> str:
    """State and restarts that the controller remembers of a job."""
    command = ["scontrol", "--oneliner", "show", "job", job]
    said = subprocess.run(command, capture_output=True, text=True, env=cluster).stdout
    found = dict(word.split("=", 1) for word in said.split() if "=" in word)
    restarts = int(found.get("Restarts", 0))
    again = f", queued again {restarts} x" if restarts else ""
    return f"{found.get('JobState', 'unknown')} (exit {found.get('ExitCode', '?')}){again}"


def strike(watched: Watched, fault: Fault, spared: set[str], cluster: Environment) -> str:
    """Ends a job that is at work; its shard. One that has just ended by itself is no target."""
    while True:
        shard, job, pid = watched.next_at_work(spared)
        with suppress(ProcessLookupError, subprocess.CalledProcessError):
            fault(job, pid, cluster)
            return shard


def prove(
    folder: Path,
    study: Path,
    shards: int,
    faults: Mapping[str, Fault],
    *,
    minutes: int = 1,
    leave: bool = True,
) -> list[tuple[str, str, str]]:
    """Builds `study` at folder / "bundle" under faults; shard, fault, how its jobs ended.

    minutes: time limit of a job. leave: also kill the watching command, and give it again.
    """
    with one_node_slurm() as cluster:
        watched = Watched(study, folder / "bundle", shards, minutes, cluster)
        try:
            done: dict[str, str] = {}
            for what, fault in faults.items():
                done[strike(watched, fault, set(done), cluster)] = what
            if leave:
                watched.process.kill()
                watched.process.wait()
                time.sleep(3)
                watched.start()
            watched.finish()
        finally:
            watched.process.kill()
        return [
            (name, done.get(name, ""), "; ".join(end_of(job, cluster) for job in jobs))
            for name, jobs in sorted(watched.jobs().items())
        ]


def main() -> None:
    """The command line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = larger(folder)
        begun = time.monotonic()
        command = [sys.executable, "-m", "stimuli.build", study, "--out", folder / "alone"]
        one = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, "--device", "cpu"], check=True, capture_output=True, env=one)
        alone_s, begun = time.monotonic() - begun, time.monotonic()
        try:
            rows = prove(folder, study, 8, FAULTS)
        except MissingError as error:
            sys.exit(str(error))
        print("| part | what was done to it | how its jobs ended |\n|---|---|---|")
        for row in rows:
            print(f"| {' | '.join(row)} |")
        here, there = digests(folder / "alone"), digests(folder / "bundle")
        same = "the same bytes" if here == there else "OTHER BYTES"
        print(
            f"\nOne process: {alone_s:.0f} s; 8 shards on 2 cores, with the faults:"
            f" {time.monotonic() - begun:.0f} s. {len(here)} files, {same}."
        )
        sys.exit(here != there)


if __name__ == "__main__":
    main()
