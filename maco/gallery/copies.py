"""Copies of pictures for looking at: lossy WebP, small enough for a page. The PNG is the record."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from PIL import Image
from tqdm import tqdm

from maco.files import write_atomically
from maco.gallery.spectra import describe
from maco.images import from_pil

SMALL_PX = 240  # of the wall
LARGEST_PX = 1024
PLAIN_PX = 320  # patches and heatmaps
RECIPE = 1  # with another number, every copy is made again
LEDGER = "built.json"
UNIT_SCRIPT = "unit.js"  # beside a unit's copies: its details
_SAVE_EVERY_S = 10.0


@dataclass(frozen=True)
class Job:
    """A picture to copy. `target` is the copies' path below the site, without its ending.

    A visualization gives three: TARGET-small.webp, TARGET.webp and TARGET-masked.webp; anything
    else TARGET.webp alone.
    """

    source: Path
    target: str
    visualization: bool = True

    @property
    def files(self) -> list[str]:
        """What the copies are called."""
        endings = ("-small", "", "-masked") if self.visualization else ("",)
        return [f"{self.target}{ending}.webp" for ending in endings]


@dataclass(frozen=True)
class Copy:
    """What is known of a picture that was copied: of which file, its size, its spectrum."""

    size_bytes: int
    changed_ns: int
    recipe: int
    shape_px: tuple[int, int]
    spectrum: tuple[int, ...] = ()
    files: tuple[str, ...] = ()

    def is_of(self, job: Job, site: Path) -> bool:
        """Whether the copies are there and the picture has not changed since."""
        stat = job.source.stat()
        same = (stat.st_size, stat.st_mtime_ns) == (self.size_bytes, self.changed_ns)
        there = list(self.files) == job.files and all((site / name).is_file() for name in job.files)
        return same and there and self.recipe == RECIPE


def copy_all(
    jobs: Sequence[Job], site: Path, *, progress: bool = True
) -> tuple[dict[str, Copy], int, list[str]]:
    """Copies pictures into a site; what is there and unchanged is left alone.

    Returns what is known of each copy by target, how many were encoded, and a line for each picture
    that cannot be read. Copies of pictures that are no longer wanted are removed.
    """
    known = read_ledger(site)
    kept = {job.target: known[job.target] for job in jobs if _is_done(job, known, site)}
    todo = [job for job in jobs if job.target not in kept]
    _remove(known, jobs, site)
    faults: list[str] = []
    if not todo:
        return _saved(kept, known, site), 0, faults
    saved_at = monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets go of the interpreter
        running: dict[Future[Copy], Job] = {pool.submit(_copy, job, site): job for job in todo}
        bar = tqdm(total=len(todo), unit="picture", desc="copying", disable=not progress)
        try:
            for future in as_completed(running):
                job = running[future]
                try:
                    kept[job.target] = future.result()
                except (OSError, ValueError, SyntaxError) as error:  # as Pillow has it
                    faults.append(f"{job.source} is left out: {_reason(error)}")
                bar.update()
                if monotonic() - saved_at > _SAVE_EVERY_S:
                    write_ledger(site, kept)
                    saved_at = monotonic()
        finally:
            pool.shutdown(cancel_futures=True)
            bar.close()
            write_ledger(site, kept)
    return kept, len(todo) - len(faults), sorted(faults)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return "it is no picture, or is damaged"


def _is_done(job: Job, known: dict[str, Copy], site: Path) -> bool:
    try:
        return job.target in known and known[job.target].is_of(job, site)
    except OSError:
        return False


def _saved(kept: dict[str, Copy], known: dict[str, Copy], site: Path) -> dict[str, Copy]:
    if kept.keys() != known.keys():
        write_ledger(site, kept)
    return kept


def _remove(known: dict[str, Copy], jobs: Sequence[Job], site: Path) -> None:
    wanted = {name for job in jobs for name in job.files}
    folders = {Path(name).parent for name in wanted}
    for copy in known.values():
        for name in set(copy.files) - wanted:
            (site / name).unlink(missing_ok=True)
            if Path(name).parent not in folders:
                (site / name).with_name(UNIT_SCRIPT).unlink(missing_ok=True)


def _copy(job: Job, site: Path) -> Copy:
    stat = job.source.stat()  # before it is read: a change in the meantime shows the next time
    with Image.open(job.source) as file:
        picture = file.convert("RGBA" if job.visualization else "RGB")
    facts = (stat.st_size, stat.st_mtime_ns, RECIPE, picture.size)
    if not job.visualization:
        write_atomically(site / job.files[0], _webp(picture, PLAIN_PX, 80))
        return Copy(*facts, files=tuple(job.files))
    whole = picture.convert("RGB")
    small, large, masked = job.files
    write_atomically(site / small, _webp(whole, SMALL_PX, 70))
    write_atomically(site / large, _webp(whole, LARGEST_PX, 85))
    write_atomically(site / masked, _webp(picture, LARGEST_PX, 85))
    return Copy(*facts, spectrum=describe(from_pil(whole)), files=tuple(job.files))


def _webp(picture: Image.Image, largest_px: int, quality: int) -> bytes:
    side = max(picture.size)
    if side > largest_px:
        width, height = (max(1, round(length * largest_px / side)) for length in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, alpha_quality=90, method=4)
    return buffer.getvalue()


def read_ledger(site: Path) -> dict[str, Copy]:
    """What earlier builds have copied, by target; nothing where the record cannot be read."""
    try:
        rows: dict[str, dict[str, Any]] = json.loads((site / LEDGER).read_text("utf-8"))["copies"]
        return {
            target: Copy(
                size_bytes=int(row["size_bytes"]),
                changed_ns=int(row["changed_ns"]),
                recipe=int(row["recipe"]),
                shape_px=(int(row["shape_px"][0]), int(row["shape_px"][1])),
                spectrum=tuple(row["spectrum"]),
                files=tuple(row["files"]),
            )
            for target, row in rows.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def write_ledger(site: Path, copies: dict[str, Copy]) -> None:
    """Records what is copied, so that the next build leaves it alone."""
    rows = {target: asdict(copy) for target, copy in sorted(copies.items())}
    content = json.dumps({"copies": rows}, separators=(",", ":"))
    write_atomically(site / LEDGER, content.encode())
