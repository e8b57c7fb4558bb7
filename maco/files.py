"""Files that are whole or absent, and digests of what is in them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file that after a crash at any moment is the old one, the new one, or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def file_name(text: str) -> str:
    """A text as a name that any file system takes: what is not a letter or digit becomes _."""
    return re.sub(r"[^\w.'-]+", "_", text).strip("_.") or "unnamed"


def class_file_name(label: str, index: int) -> str:
    """What files of a class are called: its first synonym and its number, "Nile_crocodile-49"."""
    return f"{file_name(label.split(',')[0])}-{index}"


def digest(content: bytes) -> str:
    """SHA-256 of some bytes, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
