"""Tables of other studies as exports: any tidy CSV, and that of Zimmermann et al. (2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from analysis.responses import Export, lone_condition, repeats, two_conditions
from analysis.tables import Rename, read_rows, refuse, tabulate
from stimuli.rows import Count, Record, Side, Text, TrialKind

__all__ = ["TidyResponse", "read_tidy", "read_zimmermann"]


class TidyResponse(Record):
    """A trial of a table from elsewhere: three columns are needed, the others help."""

    participant: Text = Field(description="Who answered")
    condition: Text = Field(description="Visualization the participant got")
    correct: int = Field(ge=0, le=1, description="1 if the favored query was chosen, else 0")
    network: Text | None = None
    unit: Text | None = None
    class_label: Text | None = None
    base_image: Text | None = None
    trial_id: Text | None = None
    trial_kind: TrialKind = "main"
    trial_index: Count | None = None
    favored_side: Side | None = None
    response_side: Side | None = None
    rt_ms: float | None = Field(default=None, ge=0)
    confidence: int | None = Field(default=None, ge=1)
    activation_difference: float | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_missing(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("correct", mode="before")
    @classmethod
    def _words_are_numbers(cls, value: Any) -> Any:
        return {"true": "1", "false": "0"}.get(str(value).lower(), value)


def read_tidy(path: Path | str, mapping: Mapping[str, str] | None = None) -> Export:
    """An export from any CSV with a row a trial.

    mapping: this toolkit's column -> the file's, for example {"condition": "visualization"}; a
    column of the same name needs none. `participant`, `condition` and `correct` (0 or 1) are
    needed; `TidyResponse` has the others. All trials are main trials unless the file says so.
    Raises ValueError as `read_export` does.
    """
    known, named = TidyResponse.model_fields, dict(mapping or {})
    for column in named:
        if column not in known:
            raise ValueError(f"mapping: {column!r} is none of the columns {', '.join(known)}")
    names = {column: named.get(column, column) for column in known}

    def rename(row: dict[str, str]) -> dict[str, str]:
        return {column: row[name] for column, name in names.items() if name in row}

    needed = [names[column] for column, field in known.items() if field.is_required()]
    return _read_layout(Path(path), rename, [*needed, *named.values()])


def read_zimmermann(path: Path | str) -> Export:
    """An export from the `df_trials.csv` of Zimmermann et al. (2021).

    The published file was not at hand when this was written: its columns are taken from the
    authors' code (brendel-group/causal-understanding-via-visualizations, `utils_data.py`), so
    compare the means with the paper's before anything else. A participant is one response to one
    task; worker ids are not read. The stored confidence counts from the wrong end for the left
    query and is turned round here; without `button_pressed`, sides and confidence are left out.
    """
    needed = ["mode", "task_id", "response_index", "correct", "rt"]
    return _read_layout(
        Path(path), _from_zimmermann, [*needed, "layer", "kernel_size", "channel", "batch"]
    )


def _from_zimmermann(row: dict[str, str]) -> dict[str, str]:
    unit = f"{row['layer']}/{row['kernel_size']}:{row['channel']}"
    correct = {"1.0": "1", "0.0": "0"}.get(row["correct"], row["correct"])
    found = {
        "participant": "/".join(row[name] for name in ("mode", "task_id", "response_index")),
        "condition": row["mode"],
        "correct": correct,
        "network": "InceptionV1",
        "unit": unit,
        "class_label": unit,
        "base_image": f"{unit}/{row['batch']}",
        "trial_id": f"{unit}/{row['batch']}",
        "rt_ms": row["rt"],
        "trial_kind": _kind_in_zimmermann(row),
    }
    if row.get("button_pressed"):
        right = correct.lower() in ("1", "true")
        found |= _zimmermann_click(float(row["button_pressed"]), row.get("confidence"), right)
    if row.get("min_query_activation") and row.get("max_query_activation"):
        difference = float(row["max_query_activation"]) - float(row["min_query_activation"])
        found["activation_difference"] = repr(difference)
    return found


def _kind_in_zimmermann(row: dict[str, str]) -> TrialKind:
    if row.get("is_demo", "").lower() in ("true", "1"):
        return "practice"
    return "catch" if row.get("catch_trial", "").lower() in ("true", "1") else "main"


def _zimmermann_click(button: float, confidence: str | None, correct: bool) -> dict[str, str]:
    """Sides and confidence of a click on one of six buttons, labelled 3 2 1 | 1 2 3."""
    chosen, other = ("left", "right") if button < 3 else ("right", "left")
    found = {"response_side": chosen, "favored_side": chosen if correct else other}
    if confidence:
        stored = int(float(confidence))
        found["confidence"] = str(4 - stored if chosen == "left" else stored)
    return found


def _read_layout(path: Path, rename: Rename, needed: Sequence[str]) -> Export:
    rows = read_rows(path, TidyResponse, rename=rename, needed=needed)
    refuse(path, list(two_conditions(rows, {})))
    trials = tabulate(rows, TidyResponse, {}).dropna(axis="columns", how="all")
    if "trial_index" not in trials or trials["trial_index"].isna().any():
        trials["trial_index"] = trials.groupby("participant", sort=False).cumcount()
    else:
        refuse(path, list(repeats(rows)))
    people = trials.drop_duplicates("participant")[["participant", "condition"]]
    remarks = tuple(lone_condition(trials))
    return Export(trials, people.reset_index(drop=True), path.stem, remarks=remarks)
