"""The columns of the export: what a row of trials.csv and of participants.csv may say.

A field's description, type, levels and unit are what `codebook.json` reports of the column.
Import the two models from `stimuli.schema`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

Text = Annotated[str, StringConstraints(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
TrialKind = Literal["main", "practice", "catch"]
Side = Literal["left", "right"]
Outcome = Literal[
    "completed",
    "in_progress",
    "declined_consent",
    "unsuitable_device",
    "failed_quiz",
    "failed_practice",
    "withdrew",
    "timed_out",
    "returned",
]


class Record(BaseModel):
    """A value that cannot change once made, with exactly the fields it declares."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Response(Record):
    """A row of `trials.csv`: one trial that a participant answered. Empty cells are missing."""

    study: Text = Field(description="Name of the study")
    participant: Text = Field(description="Pseudonym of the participant")
    condition: Text = Field(description="Visualization the participant got, between subjects")
    network: Text = Field(description="Network asked about, within subjects")
    unit: Text = Field(description="What is visualized: class:INDEX or LAYER:INDEX")
    class_label: Text = Field(description="Label of the unit")
    base_image: Text = Field(description="Image name of the photograph behind the queries")
    trial_id: Text = Field(description="Trial in study.json")
    trial_kind: TrialKind = Field(description="Only main trials enter the analysis")
    trial_index: Count = Field(
        description="Order in which the participant saw the trials, from 0, practice included"
    )
    favored_side: Side = Field(description="Side of the query with the higher activation")
    response_side: Side = Field(description="Side the participant chose")
    correct: int = Field(ge=0, le=1, description="1 if the favored query was chosen, else 0")
    rt_ms: Amount = Field(
        description="From the queries' appearance to the choice, by the browser's clock",
        json_schema_extra={"unit": "ms"},
    )
    confidence: int | None = Field(ge=1, description="Rating, 1 = least sure; empty if not asked")
    shown_at: AwareDatetime = Field(description="When the queries appeared (ISO 8601)")
    responded_at: AwareDatetime = Field(description="When the choice was made (ISO 8601)")
    dropped_frames: Count | None = Field(description="Frames the browser missed in the trial")
    hidden_events: Count | None = Field(description="Times the page was hidden in the trial")
    blur_events: Count | None = Field(description="Times the window lost focus in the trial")
    viewport_width_px: Positive | None = Field(
        description="Inner width of the window, in CSS pixels", json_schema_extra={"unit": "px"}
    )
    viewport_height_px: Positive | None = Field(
        description="Inner height of the window, in CSS pixels", json_schema_extra={"unit": "px"}
    )
    device_pixel_ratio: Positive | None = Field(description="Physical pixels in a CSS pixel")

    @model_validator(mode="before")
    @classmethod
    def _empty_is_missing(cls, row: Any) -> Any:
        return _without_empty(row)

    @model_validator(mode="after")
    def _correct_agrees(self) -> Self:
        if self.correct != int(self.response_side == self.favored_side):
            raise ValueError(
                f"correct = {self.correct}, but the response is {self.response_side} "
                f"and the favored query {self.favored_side} (trial {self.trial_id!r})"
            )
        return self


class Participant(Record):
    """A row of `participants.csv`: one person who arrived. Empty cells are missing."""

    study: Text = Field(description="Name of the study")
    participant: Text = Field(description="Pseudonym of the participant")
    condition: Text | None = Field(description="Visualization dealt; empty if none was yet")
    list: Count | None = Field(description="Trial list dealt, index into `lists` from 0")
    outcome: Outcome = Field(description="How far the participant came")
    late: int = Field(
        default=0,
        ge=0,
        le=1,
        description="1 if completed after the place had been dealt anew: kept, and not counted",
    )
    started_at: AwareDatetime = Field(description="When the study was entered (ISO 8601)")
    finished_at: AwareDatetime | None = Field(description="When it was completed (ISO 8601)")
    duration_s: Amount | None = Field(
        description="From entering to completing", json_schema_extra={"unit": "s"}
    )
    instruction_s: Amount | None = Field(
        description="Time spent on the instructions", json_schema_extra={"unit": "s"}
    )
    quiz_attempts: Count = Field(description="Times the comprehension quiz was handed in")
    practice_attempts: Count = Field(description="Times the practice was started")
    browser: Text | None = Field(description="Browser family and major version")
    platform: Text | None = Field(description="Operating system family")
    pointer: Literal["mouse", "touch", "pen", "unknown"] | None = Field(
        description="Main pointing device"
    )
    screen_width_px: Positive | None = Field(
        description="Width of the screen, in CSS pixels", json_schema_extra={"unit": "px"}
    )
    screen_height_px: Positive | None = Field(
        description="Height of the screen, in CSS pixels", json_schema_extra={"unit": "px"}
    )
    refresh_hz: Positive | None = Field(
        description="Estimated refresh rate of the screen", json_schema_extra={"unit": "Hz"}
    )
    age_years: Amount | None = Field(
        description="Age, if asked", json_schema_extra={"unit": "years"}
    )
    gender: Text | None = Field(description="Gender in the participant's words, if asked")
    comments: Text | None = Field(default=None, description="Remarks on the study, if asked")

    @model_validator(mode="before")
    @classmethod
    def _empty_is_missing(cls, row: Any) -> Any:
        return _without_empty(row)

    @model_validator(mode="after")
    def _completed_has_everything(self) -> Self:
        if self.outcome == "completed":
            for column in ("condition", "list", "finished_at"):
                if getattr(self, column) is None:
                    raise ValueError(f"{column} is empty although the outcome is 'completed'")
        if self.finished_at is not None and self.finished_at < self.started_at:
            raise ValueError(
                f"finished_at {self.finished_at} is before started_at {self.started_at}"
            )
        return self


def _without_empty(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {column: None if cell == "" else cell for column, cell in row.items()}
