"""python kill_after.py WHEN STUDY OUT: builds a study and dies, by SIGKILL.

WHEN is the write before which it dies, "renaming" (when all is written) or "never".
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import stimuli.build
import stimuli.draft
from maco.files import write_atomically


def main(when: str, study: Path, out: Path) -> None:
    """Builds, with the means of writing made mortal."""
    done = 0

    def counted_write(path: Path, content: bytes) -> None:
        nonlocal done
        done += 1
        if str(done) == when:
            os.kill(os.getpid(), signal.SIGKILL)
        write_atomically(path, content)

    stimuli.draft.write_atomically = counted_write
    if when == "renaming":
        stimuli.draft.finish = lambda out: os.kill(os.getpid(), signal.SIGKILL)
    stimuli.build.build(study, out, progress=False, device="cpu")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
