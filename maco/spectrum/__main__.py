"""python -m maco.spectrum: the mean magnitude spectrum of a folder of photographs."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from maco.commandline import one_line_errors
from maco.images import find_images, read_image
from maco.spectrum import SMALLEST_PX, estimate


@click.command(help=__doc__)
@click.option(
    "--images", required=True, type=click.Path(path_type=Path), help="Folder, searched deep."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The .safetensors file."
)
@click.option(
    "--size",
    "size_px",
    type=click.IntRange(min=SMALLEST_PX),
    default=512,
    show_default=True,
    help="Larger images come down to it.",
)
def main(images: Path, out: Path, size_px: int) -> None:
    """The command line."""
    with one_line_errors(out):
        paths = find_images(images)
        bar = tqdm(paths, desc="measuring spectra", unit="image")
        spectrum = estimate(
            (read_image(path, smallest_px=SMALLEST_PX) for path in bar),
            size_px=size_px,
            source=f"{len(paths)} images of {images.name}",
        )
        spectrum.save(out)
    click.echo(
        f"{out}: {spectrum.images} photographs, up to {spectrum.amplitude.shape[-1] - 1} cycles"
    )


if __name__ == "__main__":
    main()
