"""A study with images: a small bundle, and an export of its trials."""

from __future__ import annotations

from pathlib import Path

from bundles import make_bundle
from exports import Row, make_export

from stimuli.schema import read_study


def make_bundle_and_export(folder: Path) -> tuple[Path, Path]:
    """Writes the bundle of the study `tiny`, and an export in which everyone answers all of it."""
    bundle = make_bundle(folder / "bundle", main=24)
    ids = {
        kind: [trial.id for trial in read_study(bundle).trials if trial.kind == kind]
        for kind in ("main", "catch")
    }

    def rename(trials: list[Row], people: list[Row]) -> None:
        seen: dict[tuple[object, object], int] = {}
        for row in trials:
            key = (row["participant"], row["trial_kind"])
            place = seen[key] = seen.get(key, -1) + 1
            known = ids[str(row["trial_kind"])]
            row["trial_id"] = known[place % len(known)]

    return bundle, make_export(folder / "export", rename)
