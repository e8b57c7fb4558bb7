"""What browsers send: validated before anything else looks at it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from experiment_server.config import Device, Questions
from stimuli.rows import Side

A_DAY_MS = 86_400_000.0
_TIMINGS = 40  # how many figures a browser may add to a response

Pixels = Annotated[float, Field(gt=0, le=100_000)]
Word = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=60, pattern=r"^[^\x00]*$")
]
Name = Annotated[str, StringConstraints(max_length=60, pattern=r"^[a-z][a-z0-9_]*$")]
EpochMs = Annotated[float, Field(ge=0, le=8.64e15)]
Small = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Sent(BaseModel):
    """Something a browser sent; what it does not know is left out, not stored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class DeviceReport(Sent):
    """The device: sizes in CSS pixels."""

    viewport_width_px: Pixels | None = None
    viewport_height_px: Pixels | None = None
    screen_width_px: Pixels | None = None
    screen_height_px: Pixels | None = None
    device_pixel_ratio: Annotated[float, Field(gt=0, le=100)] | None = None
    pointer: Literal["mouse", "touch", "pen", "unknown"] = "unknown"
    browser: Word | None = None
    platform: Word | None = None
    refresh_hz: Annotated[float, Field(gt=0, le=10_000)] | None = None
    timer_resolution_ms: Annotated[float, Field(ge=0, le=1000)] | None = None
    cross_origin_isolated: bool | None = None


def unsuitable(report: DeviceReport | None, wanted: Device) -> str | None:
    """What a device lacks, as a word ("unknown", "viewport", "pointer"), or None if it will do."""
    if report is None or report.viewport_width_px is None or report.viewport_height_px is None:
        return "unknown"
    if (
        report.viewport_width_px < wanted.viewport_width_px
        or report.viewport_height_px < wanted.viewport_height_px
    ):
        return "viewport"
    if report.pointer != "unknown" and report.pointer not in wanted.pointers:
        return "pointer"
    return None


class FinalAnswers(Sent):
    """The optional questions; empty means not answered."""

    age_years: Annotated[int, Field(ge=16, le=120)] | None = None
    gender: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    comments: Annotated[str, StringConstraints(strip_whitespace=True, max_length=5000)] = ""

    @field_validator("age_years", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("gender", "comments")
    @classmethod
    def _storable(cls, value: str) -> str:
        return value.replace("\0", "")  # PostgreSQL keeps no NUL

    def asked(self, questions: Questions) -> dict[str, Any]:
        """Those that the study asks for."""
        given = {
            "age_years": self.age_years if questions.age else None,
            "gender": self.gender if questions.gender else None,
            "comments": self.comments if questions.comments else None,
        }
        return {key: value for key, value in given.items() if value}


class Quality(Sent):
    """Those of a response's timings that the export has columns for."""

    dropped_frames: Small | None = None
    hidden_events: Small | None = None
    blur_events: Small | None = None
    viewport_width_px: Pixels | None = None
    viewport_height_px: Pixels | None = None
    device_pixel_ratio: Annotated[float, Field(gt=0, le=100)] | None = None


class Answer(Sent):
    """A response to a trial: milliseconds; `*_at_ms` since 1970 by the browser's clock."""

    trial_index: Small
    trial_id: Annotated[str, StringConstraints(max_length=100)]
    response_side: Side
    confidence: Small | None = None
    rt_ms: Annotated[float, Field(ge=0, le=A_DAY_MS)]
    shown_at_ms: EpochMs
    responded_at_ms: EpochMs
    sent_at_ms: EpochMs
    timing: dict[Name, Any] = Field(default_factory=dict)

    @field_validator("timing")
    @classmethod
    def _plain_figures(cls, timing: dict[str, Any]) -> dict[str, Any]:
        if len(timing) > _TIMINGS:
            raise ValueError(f"{len(timing)} figures: at most {_TIMINGS}")
        for key, value in timing.items():
            if not (value is None or isinstance(value, str | bool | int | float)):
                raise ValueError(f"{key} is no plain value")
            if isinstance(value, str) and (len(value) > 100 or "\0" in value):
                raise ValueError(f"{key} is too long")
            if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) < 1e18):
                raise ValueError(f"{key} = {value} is out of range")
        Quality.model_validate(timing)
        return timing

    def impossible(self) -> str | None:
        """What in the times cannot be, or None."""
        if not self.shown_at_ms <= self.responded_at_ms <= self.sent_at_ms + 1000:
            return "shown_at_ms, responded_at_ms and sent_at_ms must follow each other"
        if abs(self.responded_at_ms - self.shown_at_ms - self.rt_ms) > 1000:
            return "rt_ms must be the time from shown_at_ms to responded_at_ms"
        return None
