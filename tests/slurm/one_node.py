"""A Slurm cluster of this one machine, for tests: no systemd, no cgroups, no accounting.

    python tests/slurm/one_node.py -- COMMAND   # runs a command in it, and takes it down again

Needs Debian's packages slurm-wlm and munge, and root. Everything lies in a temporary folder, with
ports, keys and sockets of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S = 30
PARTITION = "study"
PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sinfo", "sbatch", "srun")
CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
ReturnToService=2
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=1
MinJobAge=600
InactiveLimit=0
SchedulerParameters=batch_sched_delay=1,sched_interval=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName={partition} Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class MissingError(RuntimeError):
    """What a one-node cluster needs and this machine has not."""


@contextmanager
def one_node_slurm(cpus: int = 2) -> Iterator[Mapping[str, str]]:
    """A running cluster; the environment in which sbatch and its like find it.

    Raises MissingError where it cannot be.
    """
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        raise MissingError(
            f"{', '.join(missing)} not found, so nothing was tested on Slurm: install the packages"
            " `slurm-wlm` and `munge`"
        )
    if os.geteuid() != 0:
        raise MissingError("slurmd starts jobs as others, so a test's cluster has to be root's")
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # munge wants its socket within anyone's reach
        started: list[subprocess.Popen[bytes]] = []
        try:
            environment = {**os.environ, "PATH": _path(), **_start(folder, cpus, started)}
            yield environment
        finally:
            for process in reversed(started):
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(START_S)
                except subprocess.TimeoutExpired:
                    process.kill()


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def _start(folder: Path, cpus: int, started: list[subprocess.Popen[bytes]]) -> dict[str, str]:
    for part in ("munge", "state", "spool"):
        (folder / part).mkdir()
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    ports = dict(zip(("ctld_port", "slurmd_port"), _free_ports(2), strict=True))
    conf = folder / "slurm.conf"
    conf.write_text(
        CONFIGURATION.format(folder=folder, host=host, cpus=cpus, partition=PARTITION, **ports)
    )
    own = {"SLURM_CONF": str(conf)}

    def run(*words: str) -> None:
        with (folder / f"{words[0]}.out").open("ab") as log:
            environment = {**os.environ, "PATH": _path(), **own}
            command = [str(shutil.which(words[0], path=_path())), *words[1:]]
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

    here = folder / "munge"
    places = {
        "key-file": key,
        "socket": here / "socket",
        "pid-file": here / "pid",
        "log-file": here / "log",
        "seed-file": here / "seed",
    }
    run("munged", "--foreground", "--force", *(f"--{k}={v}" for k, v in places.items()))
    _wait(lambda: (here / "socket").exists(), folder, started)
    run("slurmctld", "-D", "-c")
    run("slurmd", "-D", "-N", host)
    _wait(lambda: _is_idle(own), folder, started)
    return own


def _is_idle(own: Mapping[str, str]) -> bool:
    environment = {**os.environ, "PATH": _path(), **own}
    command = ["sinfo", "--noheader", "--format=%T"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return done.stdout.strip() == "idle"


def _wait(is_so: object, folder: Path, started: Sequence[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if is_so():  # type: ignore[operator]
            return
        if any(process.poll() is not None for process in started):
            break
        time.sleep(0.2)
    logs = [*folder.glob("*.out"), *folder.glob("*.log"), folder / "munge" / "log"]
    said = "\n".join(f"{log.name}: {log.read_text()[-800:]}" for log in logs if log.exists())
    raise RuntimeError(f"the cluster did not start:\n{said}")


def _free_ports(count: int) -> list[int]:
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in listening]
    for one in listening:
        one.close()
    return ports


if __name__ == "__main__":
    if sys.argv[1:2] != ["--"] or len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        with one_node_slurm() as cluster:
            sys.exit(subprocess.run(sys.argv[2:], env=cluster).returncode)
    except MissingError as error:
        sys.exit(str(error))
