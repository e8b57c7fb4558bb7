"""Files that are whole or absent, and digests of what is in them."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file that after a crash at any moment is the old one, the new one, or absent."""
    with _drafted(path, content) as draft:
        draft.replace(path)


def write_once(path: Path, content: bytes) -> bool:
    """Writes a whole file unless there is one; whether it did. Of many at once, one does."""
    with _drafted(path, content) as draft:
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links: the last one does
            draft.replace(path)
        return True


@contextmanager
def _drafted(path: Path, content: bytes) -> Iterator[Path]:
    """A file beside `path` that is on the disk, and gone after the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Jobs on other machines may have the same process id, and write the same file.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def file_name(text: str) -> str:
    """A text as a name that any file system takes: what is not a letter or digit becomes _."""
    return re.sub(r"[^\w.'-]+", "_", text).strip("_.") or "unnamed"


def class_file_name(label: str, index: int) -> str:
    """What files of a class are called: its first synonym and its number, "Nile_crocodile-49"."""
    return f"{file_name(label.split(',')[0])}-{index}"


def digest(content: bytes) -> str:
    """SHA-256 of some bytes, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
