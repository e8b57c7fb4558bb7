"""What one job does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maco.shards import Shard
from stimuli.build import build
from stimuli.draft import finished_shards
from stimuli.schema import STUDY_FILE


@dataclass(frozen=True)
class Part:
    """One shard of the build of a study, or, without a shard, the merge of all.

    It can be done anywhere and at any time that its folders are seen: all paths are whole ones.
    """

    study: Path
    out: Path
    images: Path | None
    memory_gib: float | None
    device: str
    shard: Shard | None

    @property
    def name(self) -> str:
        """What it is called among the parts of its study."""
        return "merge" if self.shard is None else self.shard.step

    @property
    def kind(self) -> str:
        """Shards or the merge, for a progress bar."""
        return "merge" if self.shard is None else "shards"

    def __str__(self) -> str:
        return "the merge" if self.shard is None else f"shard {self.shard}"

    def __call__(self) -> None:
        """Does it. What cannot be done ends it with one line, as on the command line."""
        try:
            build(
                self.study,
                self.out,
                images=self.images,
                device=self.device,
                memory_gib=self.memory_gib,
                shard=self.shard,
                merge=self.shard is None,
            )
        except ValueError as error:
            sys.exit(f"Error: {error}")

    def checkpoint(self) -> Any:
        """What submitit submits again when the job is pre-empted or runs out of time: the same.

        Whatever it has finished by then is found in its files.
        """
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def command(self) -> list[str]:
        """The same as a command line."""
        words: list[object] = [sys.executable, "-m", "stimuli.build", self.study, "--out", self.out]
        words += ["--device", self.device]
        words += ["--merge"] if self.shard is None else ["--shard", self.shard]
        if self.images is not None:
            words += ["--images", self.images]
        if self.memory_gib is not None:
            words += ["--memory", self.memory_gib]
        return [str(word) for word in words]


def undone(parts: Sequence[Part]) -> list[Part]:
    """Those parts of one study of which something is left to do; it stands in the files alone."""
    out = parts[0].out
    if (out / STUDY_FILE).is_file():
        return []
    done = set(finished_shards(out))
    return [part for part in parts if part.shard not in done]
