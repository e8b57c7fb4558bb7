"""Where a report comes from: files, seed, bundle and software, so that it can be made again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from analysis.responses import Export
from stimuli.schema import IMAGE_FOLDER, STUDY_FILE, Study, read_study, verify_images

__all__ = ["Provenance", "digests", "has_images", "read_bundle", "software"]

TOOLKIT = "maco-psychophysics"
PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "patsy", "matplotlib", "seaborn")


@dataclass(frozen=True)
class Provenance:
    """What a report must say beside its findings.

    seed: of every random number. draws: of each parametric bootstrap. files: name -> SHA-256 of
    what was read. notes: said while it was made, such as a fit that has not converged. bundle:
    the folder with the study's images, if the page is to show them.
    """

    seed: int = 0
    draws: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    study: Study | None = None
    notes: tuple[str, ...] = ()
    bundle: Path | None = None

    def without_visualizations(self, export: Export) -> str | None:
        """The condition that sees no references: the bundle's, or else one named control."""
        if self.study is not None:
            blind = [
                condition
                for condition in self.study.conditions
                if not self.study.trials[0].references[condition]
            ]
            return blind[0] if blind else None
        return "control" if "control" in set(export.trials["condition"]) else None


def software() -> dict[str, str]:
    """Name -> version of what computed the numbers."""
    return {
        TOOLKIT: version(TOOLKIT),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def digests(path: Path) -> dict[str, str]:
    """File name -> SHA-256 of a file, or of the files of an export's folder."""
    files = [path] if path.is_file() else [*sorted(path.glob("*.csv")), path / "codebook.json"]
    return {file.name: _sha256(file) for file in files if file.is_file()}


def read_bundle(folder: Path, export: Export) -> Study:
    """The study of a bundle. Raises ValueError unless the export is of this very study.

    Its images, if it has any, are those of study.json, or ValueError names the first that is not.
    """
    study = read_study(folder)
    told = export.codebook or {}
    if "trial_id" not in export.trials:
        raise ValueError(
            f"{folder}: a bundle needs the column trial_id in the export, to find its trials by"
        )
    if told.get("study", study.name) != study.name:
        raise ValueError(
            f"{folder} is the bundle of {study.name!r}, the export is of {told['study']!r}"
        )
    digest = told.get("study_digest")
    if digest not in (None, _sha256(folder / STUDY_FILE)):
        raise ValueError(
            f"{folder / STUDY_FILE} is not the file the export was made with (the codebook has "
            f"SHA-256 {str(digest)[:12]}...): give the bundle that was run"
        )
    known = {trial.id for trial in study.trials}
    for trial_id in export.main["trial_id"].unique():
        if trial_id not in known:
            raise ValueError(f"{folder}: the bundle has no trial {trial_id!r} of the export")
    for condition in export.main["condition"].unique():
        if condition not in study.conditions:
            raise ValueError(
                f"{folder}: the bundle has no condition {condition!r} of the export; it has "
                f"{', '.join(study.conditions)}"
            )
    if has_images(folder):
        verify_images(folder, study)
    return study


def has_images(folder: Path) -> bool:
    """Whether a bundle came with its images; study.json alone is enough for the numbers."""
    return (folder / IMAGE_FOLDER).is_dir()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
