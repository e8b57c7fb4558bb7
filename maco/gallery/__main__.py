"""python -m maco.gallery: a static site of visualizations and concepts, to look at and to send.

RENDERS is the folder of python -m maco.evaluate, or any folder with visualizations of python -m
maco.render. Open SITE/index.html, or put the folder on any web host. A second call copies only what
has changed.
"""

from __future__ import annotations

from pathlib import Path

import click

from maco.commandline import one_line_errors
from maco.gallery import build

SHOWN_FAULTS = 10
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(help=__doc__)
@click.argument("renders", type=_FOLDER)
@click.option("--out", required=True, type=_FOLDER, help="Folder of the site.")
@click.option("--concepts", type=_FOLDER, help="Folder of python -m maco.concepts.")
@click.option("--title", default="Feature visualizations", show_default=True)
def main(renders: Path, out: Path, concepts: Path | None, title: str) -> None:
    """The command line."""
    with one_line_errors(out):
        built = build(renders, out, concepts=concepts, title=title)
    for fault in built.faults[:SHOWN_FAULTS]:
        click.echo(fault, err=True)
    if len(built.faults) > SHOWN_FAULTS:
        click.echo(f"and {len(built.faults) - SHOWN_FAULTS} more are left out", err=True)
    click.echo(f"{built.pictures} visualizations, {built.encoded} copied now: {out / 'index.html'}")


if __name__ == "__main__":
    main()
