"""A bundle in the making: a folder beside the finished one, whole files only, resumable.

Work is recorded in steps of the study's own making (a group of references, the maps of a trial),
never in what is left to do, so that a build that was killed and taken up again does the same
arithmetic on the same batches, and on a CPU with enough memory ends with the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from maco.differences import first_difference
from maco.files import digest, write_atomically, write_once
from maco.shards import Shard, find_shards
from stimuli.schema import IMAGE_FOLDER, STUDY_FILE, Study, dump_study, read_study

RECORDS = "records"
_MODIFIED = 946_684_800  # 1 January 2000, for every file: dates say nothing of order


class Draft:
    """The unfinished folder OUT.partial of a bundle OUT."""

    def __init__(self, out: Path, fingerprint: dict[str, Any]) -> None:
        """Opens or takes up a draft.

        fingerprint: everything the bytes depend on. Raises ValueError if the unfinished folder
        belongs to another one.
        """
        self.out = out
        self.folder = draft_folder(out)
        self.images = self.folder / IMAGE_FOLDER
        self.records = self.folder / RECORDS
        self._stamp = self.folder / "fingerprint.json"
        self._mine = fingerprint
        self._claimed = False
        if self._stamp.is_file():
            self._check_stamp()

    def write(self, path: Path, content: bytes) -> None:
        """Writes a file of the draft; with the first one the draft comes to be.

        Raises ValueError if another build came first that makes other bytes.
        """
        if not self._claimed:
            stamp = json.dumps(self._mine, indent=1, sort_keys=True)
            if not write_once(self._stamp, stamp.encode()):
                self._check_stamp()
            self._claimed = True
        write_atomically(path, content)

    def _check_stamp(self) -> None:
        theirs = json.loads(self._stamp.read_text(encoding="utf-8"))
        if theirs != self._mine:
            raise ValueError(
                f"{self.folder} holds an unfinished build of another configuration ("
                f"{first_difference(theirs, self._mine)}): remove it, or choose another --out"
            )

    def store_image(self, png: bytes) -> str:
        """Keeps an image under a name made of its content alone; returns the name."""
        name = digest(png)[:20] + ".png"
        path = self.images / name
        if not path.is_file():
            self.write(path, png)
        return name

    def read_image(self, name: str) -> bytes:
        """The content of a stored image."""
        return (self.images / name).read_bytes()

    def find(self, step: str) -> Any:
        """What a finished step recorded, or None."""
        path = self.records / f"{step}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def record(self, step: str, outcome: Any) -> None:
        """Marks a step as finished. Everything it refers to must have been stored before."""
        self.write(self.records / f"{step}.json", json.dumps(outcome).encode())

    def image_digests(self, names: set[str]) -> dict[str, str]:
        """SHA-256 of the stored images of some names, sorted by name."""
        return {name: digest(self.read_image(name)) for name in sorted(names)}

    def publish(self, study: Study, researcher_files: dict[str, bytes]) -> None:
        """Makes the draft the finished bundle: the folder appears under its name whole.

        researcher_files: name -> content of what stands beside study.json and the images.
        """
        for path in self.images.iterdir():
            if path.name not in study.images:  # also drafts of files that a kill left behind
                path.unlink()
        for name, content in researcher_files.items():
            self.write(self.folder / name, content)
        self.write(self.folder / STUDY_FILE, dump_study(study).encode())
        # From here on the study file is there, and `finish` can be repeated.
        finish(self.out)


def draft_folder(out: Path) -> Path:
    """Where the bundle `out` stands while it is being made."""
    return out.with_name(out.name + ".partial")


def finished_shards(out: Path) -> list[Shard]:
    """The shards of an unfinished bundle that are done."""
    records = draft_folder(out) / RECORDS
    return find_shards([path.stem for path in records.glob("shard-*.json")])


def finish(out: Path) -> bool:
    """Gives a draft that is complete its name; False if there is none."""
    folder = draft_folder(out)
    if not (folder / STUDY_FILE).is_file():
        return False
    if (folder / RECORDS).exists():
        shutil.rmtree(folder / RECORDS)
    (folder / "fingerprint.json").unlink(missing_ok=True)
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") and path.is_file():
            path.unlink()  # what a killed write left
        else:
            os.utime(path, (_MODIFIED, _MODIFIED))
    os.utime(folder, (_MODIFIED, _MODIFIED))
    folder.replace(out)
    return True


def check_out(out: Path, config: dict[str, Any]) -> bool:
    """Whether the finished bundle of a configuration already stands at `out`.

    Raises ValueError if something else stands there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not (out / STUDY_FILE).is_file():
        raise ValueError(f"{out} exists and is no study bundle: choose another --out")
    theirs = read_study(out).config
    if theirs != config:
        raise ValueError(
            f"{out} holds a study of another configuration ({first_difference(theirs, config)}):"
            " remove it, or choose another --out"
        )
    return True
