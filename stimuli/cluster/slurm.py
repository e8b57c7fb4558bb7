"""A Slurm cluster: job arrays through submitit.

What became of a job is asked of squeue and scontrol: sacct, which submitit would ask, needs an
accounting database that not every cluster has.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from stimuli.cluster.part import Part

ASKING_S = 60
_TIME_FORMS = (  # of --time, as sbatch has them
    r"(?P<m>\d+)(:(?P<s>\d+))?",
    r"(?P<h>\d+):(?P<m>\d+):(?P<s>\d+)",
    r"(?P<d>\d+)-(?P<h>\d+)(:(?P<m>\d+)(:(?P<s>\d+))?)?",
)


class Slurm:
    """Runs parts as jobs, which go on whatever becomes of this process.

    folder: for logs and what submitit needs; every node must see it. partition: None for the
    cluster's own choice. warning_s: how long before its time is up a job is told, which then stops
    and queues again, `tries` times at most. options: others of sbatch, such as {"account": "mine"}.
    Raises ValueError if there is no Slurm here, or no such partition.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        time_min: int,
        partition: str | None,
        gpus: int,
        cpus: int,
        mem_gb: float | None,
        at_once: int,
        warning_s: int,
        tries: int,
        options: Mapping[str, str],
    ) -> None:
        for program in ("sbatch", "srun", "squeue"):
            if shutil.which(program) is None:
                raise ValueError(
                    f"no Slurm here: {program} is not on PATH; run this where jobs are submitted,"
                    " or take --engine local"
                )
        _check_partition(partition)
        try:
            from submitit import SlurmExecutor
        except ImportError as error:
            raise ValueError(
                "submitit is not installed: pip install 'maco-psychophysics[cluster]'"
            ) from error
        self.folder = folder
        self._executor = SlurmExecutor(folder=folder, max_num_timeout=tries)
        wanted: dict[str, Any] = {
            "job_name": name,
            "time": time_min,
            "cpus_per_task": cpus,
            "partition": partition,
            "gpus_per_node": gpus or None,
            "mem": f"{round(mem_gb * 1024)}M" if mem_gb else None,
            "array_parallelism": at_once,
            "signal_delay_s": warning_s,
            "additional_parameters": dict(options) or None,
            "setup": ["export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$SLURM_CPUS_PER_TASK}"],
        }
        given = {key: value for key, value in wanted.items() if value is not None}
        self._executor.update_parameters(**given)

    def submit(self, parts: Sequence[Part]) -> list[str]:
        """Submits parts as one array."""
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            with self._executor.batch():
                jobs = [self._executor.submit(part) for part in parts]
        except (FailedJobError, FailedSubmissionError, subprocess.SubprocessError) as error:
            said = re.findall(r"^sbatch: error: (.+)$", str(error), re.MULTILINE)
            raise ValueError(f"sbatch refused: {said[-1] if said else error}") from error
        return [job.job_id for job in jobs]

    def alive(self, jobs: Collection[str]) -> Mapping[str, str]:
        """What squeue shows of some jobs; where it cannot be asked, all are taken to be alive."""
        try:
            said = _ask("squeue", "--noheader", "--array", "--me", "--format=%i|%T|%r")
        except ValueError as error:
            return dict.fromkeys(jobs, str(error))
        found = {}
        for line in said.splitlines():
            job, state, reason = line.split("|", 2)
            if job in jobs:
                found[job] = reason if state == "PENDING" else state.lower()
        return found

    def end_of(self, job: str) -> str:
        """The state that the controller remembers of a job, for some minutes after its end."""
        try:
            said = _ask("scontrol", "--oneliner", "show", "job", job)
        except ValueError:
            return "the cluster has forgotten it"
        state = re.search(r"JobState=(\S+)", said)
        code = re.search(r"ExitCode=(\d+):(\d+)", said)
        ended = state[1] if state else "unknown state"
        if code and code[2] != "0":
            return f"{ended}, signal {code[2]}"
        return f"{ended}, exit code {code[1]}" if code else ended

    def log(self, job: str) -> Path:
        """The file with what a job said on stderr."""
        return self.folder / f"{job}_0_log.err"

    def close(self) -> None:
        """Nothing: the jobs are the cluster's."""


def parse_time(text: str) -> int:
    """Minutes, rounded up, of a time limit as sbatch takes it: "90", "2:00:00", "1-12".

    Raises ValueError for anything else.
    """
    for form in _TIME_FORMS:
        if found := re.fullmatch(form, text):
            part = {key: int(value or 0) for key, value in found.groupdict().items()}
            minutes = (part.get("d", 0) * 24 + part.get("h", 0)) * 60 + part.get("m", 0)
            return max(1, minutes + (part.get("s", 0) > 0))
    raise ValueError(f"time {text!r}: write it as 90 (minutes), 2:00:00 or 1-12:00:00")


def _check_partition(partition: str | None) -> None:
    known = sorted(set(_ask("sinfo", "--noheader", "--format=%R").split()))
    if partition is not None and partition not in known:
        raise ValueError(f"this cluster has no partition {partition!r}: {', '.join(known)}")


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=ASKING_S)
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        raise ValueError(f"{command[0]} failed: {said[-1]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{command[0]} does not answer: {error}") from error
    return done.stdout
