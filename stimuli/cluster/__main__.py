"""python -m stimuli.cluster STUDY.toml --shards 25: the build of a study as many jobs.

The same shards that `python -m stimuli.build --shard` does by hand, as a job array of a Slurm
cluster, or in processes of this machine (--engine local). Lost ones are submitted again. The jobs
of a cluster go on when this command is stopped; run it again, and it watches on.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from maco.commandline import memory_option
from maco.shards import all_shards
from stimuli.build import check_images, is_finished
from stimuli.cluster.engines import Engine
from stimuli.cluster.local import Local
from stimuli.cluster.part import Part
from stimuli.cluster.slurm import Slurm, parse_time
from stimuli.cluster.watch import Jobs, check_others, see_through
from stimuli.study import read_config

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)


def _slurm(*names: str, help: str, **settings: Any) -> Callable[[_Command], _Command]:
    """An option of Slurm's alone."""
    shown = settings.get("default") is not None
    return click.option(*names, show_default=shown, help=f"Slurm: {help}", **settings)


@click.command(help=__doc__)
@click.argument("study", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=_PATH, help="Folder of the bundle [studies/NAME]; all jobs see it.")
@click.option("--images", type=_PATH, help="Folder of photographs.")
@click.option("--shards", required=True, type=click.IntRange(1, 999), help="How many jobs.")
@click.option("--engine", default="slurm", show_default=True, type=click.Choice(["slurm", "local"]))
@click.option("--devices", help="Of --engine local: cuda:0,cuda:1; a process each [auto].")
@_slurm("--partition", help="Where to queue [the cluster's default].")
@_slurm("--gpus", default=1, type=click.IntRange(0), help="GPUs of a job; 0: on CPUs.")
@_slurm("--cpus", default=4, type=click.IntRange(1), help="Cores of a job.")
@_slurm("--mem", "mem_gb", type=click.FloatRange(0, min_open=True), help="Memory of a job, GB.")
@_slurm("--time", "time_limit", default="4:00:00", help="Limit of a job, as sbatch has it.")
@_slurm("--warning", "warning_s", default=90, help="Seconds before its limit a job queues again.")
@_slurm("--at-once", default=256, type=click.IntRange(1), help="How many jobs run at once.")
@_slurm("--sbatch", multiple=True, metavar="OPTION=VALUE", help="Any other, as account=vision.")
@click.option("--tries", default=3, show_default=True, type=click.IntRange(1), help="Of each job.")
@click.option("--poll", "poll_s", default=10.0, show_default=True, help="Seconds between looks.")
@memory_option
def main(
    study: Path, out: Path | None, images: Path | None, memory_gib: float | None, **options: Any
) -> None:
    """The command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that processes end with it
    try:
        config = read_config(study)
        out = (out or Path("studies") / config.name).absolute()
        if not is_finished(config, out):
            check_images(config, images)
            images = images and images.absolute()
            part = Part(study.absolute(), out, images, memory_gib, device="auto", shard=None)
            _build(part, config.name, out.with_name(out.name + ".jobs"), **options)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename or out}: {error.strerror or error}") from error
    except KeyboardInterrupt:
        left = "the jobs go on" if options["engine"] == "slurm" else "what was done is kept"
        raise click.ClickException(f"stopped; {left}; run the same command again") from None
    click.echo(f"The study is ready. Look at it: {out / 'overview.html'}")


def _build(
    merge: Part, name: str, folder: Path, *, shards: int, tries: int, poll_s: float, **options: Any
) -> None:
    """Sees all shards through, then the merge. folder: of what jobs say."""
    engine, device = _engine(name, folder, tries=tries, **options)
    folder.mkdir(parents=True, exist_ok=True)
    merge = replace(merge, device=device)
    parts = [replace(merge, shard=shard) for shard in all_shards(shards)]
    jobs = Jobs(folder / "jobs.json")
    with closing(engine):
        check_others(jobs, engine, parts)
        for stage in (parts, [merge]):
            see_through(stage, engine, jobs, tries=tries, poll_s=poll_s)


def _engine(
    name: str,
    folder: Path,
    *,
    engine: str,
    devices: str | None,
    gpus: int,
    partition: str | None,
    time_limit: str,
    sbatch: Sequence[str],
    **slurm: Any,
) -> tuple[Engine, str]:
    """What runs the parts, and the device they are told to use."""
    if engine == "local":
        if partition or sbatch:
            raise ValueError("--partition and --sbatch are Slurm's; --engine local has --devices")
        return Local(folder, _devices(devices or "auto")), "auto"
    if devices:
        raise ValueError("--devices is for --engine local; Slurm has --gpus")
    running = Slurm(
        folder,
        name=name,
        partition=partition,
        gpus=gpus,
        time_min=parse_time(time_limit),
        options=_options(sbatch),
        **slurm,
    )
    # Said plainly, so that a node without its GPU fails instead of rendering for days.
    return running, "cuda" if gpus else "cpu"


def _devices(text: str) -> list[str]:
    """The devices of this machine that some text lists. Raises ValueError for one it lacks."""
    from maco.devices import check_device  # takes seconds to load, and Slurm needs none of it

    devices = text.split(",")
    for device in devices:
        check_device(device)
    return devices


def _options(words: Sequence[str]) -> dict[str, str]:
    split = [word.partition("=") for word in words]
    for name, _, value in split:
        if not name or not value or name.startswith("-"):
            raise ValueError(f"--sbatch {name}: write it as OPTION=VALUE, as in account=vision")
    return {name: value for name, _, value in split}


if __name__ == "__main__":
    main()
