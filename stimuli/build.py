"""python -m stimuli.build STUDY.toml --out FOLDER: from networks and photographs to a bundle.

The order of work: networks, base images and their occluder sweeps, references, trials and lists.
Each step is recorded when it is done; a build that was stopped goes on where it was.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from maco.commandline import device_option, memory_option, shard_options
from maco.shards import Shard, check_complete
from stimuli.draft import check_out, draft_folder, finish, finished_shards
from stimuli.schema import STUDY_FILE
from stimuli.study import StudyConfig, read_config


def build(
    study_file: Path,
    out: Path,
    *,
    images: Path | None = None,
    device: str = "auto",
    memory_gib: float | None = None,
    progress: bool = True,
    shard: Shard | None = None,
    merge: bool = False,
) -> Path:
    """Builds the bundle of a study file at `out`; returns the path of its overview.

    images: the folder of photographs, unless the study brings its own. Does nothing if the same
    study already stands there, and takes up an unfinished build of it.
    memory_gib: as `maco.render` has it.
    shard: do this share of the dear work and no more; shards may run at once, wherever they see
    the folder of `out`. merge: finish what the shards made, but only if none is missing.
    Raises ValueError with one line (or one a problem) that says what to do.
    """
    config = read_config(study_file)
    if not is_finished(config, out):
        check_images(config, images)
        if merge:
            check_complete(finished_shards(out), draft_folder(out))
        # Only here, as they take seconds to load and a finished study needs neither.
        import torch

        from stimuli.assembly import assemble, assemble_shard

        make = assemble if shard is None else partial(assemble_shard, shard=shard)
        try:
            make(
                config,
                study_file.parent,
                out,
                images=images,
                device=device,
                memory_gib=memory_gib,
                progress=progress,
            )
        except torch.OutOfMemoryError as error:
            raise ValueError(f"the GPU's memory is full: {error}") from error
    return out / "overview.html"


def is_finished(config: StudyConfig, out: Path) -> bool:
    """Whether the study stands at `out`, or stood there complete but for its name."""
    plain = config.model_dump(mode="json")
    if check_out(out, plain):
        return True
    draft = draft_folder(out)
    return (draft / STUDY_FILE).is_file() and check_out(draft, plain) and finish(out)


def check_images(config: StudyConfig, images: Path | None) -> None:
    """Fails before any weights are fetched: photographs from nowhere, or from two places."""
    if config.base_images.source == "demo" and images is not None:
        raise ValueError('base_images.source = "demo" and --images contradict each other: drop one')
    if config.base_images.source is None and images is None:
        raise ValueError("the study takes its photographs from a folder: give it with --images")
    if images is not None and not images.is_dir():
        raise ValueError(f"{images} is not a folder of images")


@click.command(help=__doc__)
@click.argument("study", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the bundle [studies/NAME].")
@click.option("--images", type=click.Path(path_type=Path), help="Folder of photographs.")
@device_option
@memory_option
@shard_options
def main(
    study: Path,
    out: Path | None,
    images: Path | None,
    device: str,
    memory_gib: float | None,
    shard: Shard | None,
    merge: bool,
) -> None:
    """The command line."""
    if shard and merge:
        raise click.UsageError("--shard does one share, --merge joins all: give one of them")
    try:
        out = (out or Path("studies") / read_config(study).name).absolute()
        there = out.exists()
        overview_path = build(
            study,
            out,
            images=images,
            device=device,
            memory_gib=memory_gib,
            shard=shard,
            merge=merge,
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"{error.strerror or error} ({error.filename or out}): nothing is lost,"
            " run the same command again once that is mended"
        ) from error
    except KeyboardInterrupt:
        raise click.ClickException("stopped; run the same command again to go on") from None
    if there:
        click.echo("A study of this configuration was here already; nothing was done.")
    if shard and not out.exists():
        click.echo(f"Shard {shard} is done: {draft_folder(out)}")
    else:
        click.echo(f"The study is ready. Look at it: {overview_path}")


if __name__ == "__main__":
    main()
