"""Processes of this machine, one at a time for each device."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stimuli.cluster.part import Part

ENDING_S = 20


class Local:
    """Runs parts as `python -m stimuli.build`. They end with it.

    devices: as `--device` takes them; one that stands there twice gets two processes at a time.
    """

    def __init__(self, folder: Path, devices: Sequence[str]) -> None:
        self.folder = folder
        self._free = deque(devices)
        self._waiting: deque[tuple[str, Part]] = deque()
        self._running: dict[str, tuple[subprocess.Popen[bytes], str]] = {}
        self._ended: dict[str, int] = {}
        # So many processes at a time would each take every core.
        self._threads = max(1, (os.cpu_count() or 1) // len(devices))

    def submit(self, parts: Sequence[Part]) -> list[str]:
        """Puts parts at the end of the line."""
        taken = len(self._ended) + len(self._running) + len(self._waiting)
        jobs = [
            f"{part.name}-{os.getpid()}-{number}" for number, part in enumerate(parts, taken + 1)
        ]
        self._waiting.extend(zip(jobs, parts, strict=True))
        return jobs

    def alive(self, jobs: Collection[str]) -> Mapping[str, str]:
        """Sees who is through, and begins what there is a device for."""
        for job, (process, device) in list(self._running.items()):
            if process.poll() is not None:
                self._ended[job] = process.returncode
                self._free.append(device)
                del self._running[job]
        while self._waiting and self._free:
            job, part = self._waiting.popleft()
            device = self._free.popleft()
            self._running[job] = self._start(job, replace(part, device=device)), device
        waiting = {job: "a free device" for job, _ in self._waiting}
        return {**waiting, **dict.fromkeys(self._running, "running")}

    def _start(self, job: str, part: Part) -> subprocess.Popen[bytes]:
        environment = {"OMP_NUM_THREADS": str(self._threads), **os.environ}
        with self.log(job).open("ab") as log:
            return subprocess.Popen(part.command(), stdout=log, stderr=log, env=environment)

    def end_of(self, job: str) -> str:
        """The exit code."""
        code = self._ended.get(job)
        if code is None:
            return "the command that had started it is gone"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def log(self, job: str) -> Path:
        """The file with what a process said."""
        return self.folder / f"{job}.log"

    def close(self) -> None:
        """Ends the processes; what they had finished is kept."""
        for process, _ in self._running.values():
            process.terminate()
        for process, _ in self._running.values():
            try:
                process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                process.kill()
