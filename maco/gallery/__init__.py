"""A static, browsable site of visualizations and concepts; it needs no server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maco.gallery.catalog import find_renders
from maco.gallery.concepts import find_concepts
from maco.gallery.copies import LEDGER, copy_all, write_ledger
from maco.gallery.exhibition import Exhibition
from maco.gallery.pages import write_pages

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """What a build did: pictures shown, copied now, and a line for each that is left out."""

    pictures: int
    encoded: int
    faults: tuple[str, ...]


def build(
    renders: Path,
    out: Path,
    *,
    concepts: Path | None = None,
    title: str = "Feature visualizations",
    progress: bool = True,
) -> Built:
    """Writes the site of the visualizations of a folder, and of the concepts of another.

    What is there and unchanged is left alone, so a build that was stopped goes on where it was.
    The site's pictures are lossy copies (WebP, up to 1,024 px): the record stays the PNG.
    Raises ValueError for a folder without visualizations or concepts, and for an `out` that holds
    something other than a gallery.
    """
    found, faults = find_renders(renders)
    ideas, more = find_concepts(concepts) if concepts else ([], [])
    exhibition = Exhibition(title, tuple(found), tuple(ideas))
    _claim(out)
    copies, encoded, broken = copy_all(exhibition.jobs(), out, progress=progress)
    faults += more + broken
    shown = exhibition.with_copies(copies)
    if not shown.renders:
        raise ValueError(f"no visualization in {renders} can be shown: {faults[0]}")
    write_pages(shown, copies, out)
    return Built(len(shown.renders), encoded, tuple(faults))


def _claim(out: Path) -> None:
    """Marks a new folder as a gallery; raises ValueError for one that holds something else."""
    if (out / LEDGER).is_file():
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is there and is no gallery: choose another --out")
    write_ledger(out, {})
