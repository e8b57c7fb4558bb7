"""A contact sheet of a class: a row a concept, with picture, patches, heatmaps and importance."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from maco.images import to_bytes

_CELL, _GAP, _MARGIN, _TEXT, _HEAD = 176, 10, 28, 210, 104
_GUTTER = 6
_PATCH = (_CELL - _GUTTER) // 2  # two rows of three
_PATCHES = 3 * _PATCH + 2 * _GUTTER
_PAPER, _INK, _PALE, _BAR = (252, 251, 248), (30, 32, 36), (128, 130, 134), (214, 142, 20)


@dataclass(frozen=True)
class Row:
    """What is drawn of a concept; images are (3, h, w) in [0, 1], the visualization may be none."""

    importance: float
    interval: tuple[float, float]
    visualization: Tensor | None
    patches: Sequence[Tensor]
    heatmaps: Sequence[Tensor]


def draw_sheet(title: str, subtitle: str, rows: Sequence[Row]) -> bytes:
    """PNG with the rows from top to bottom; bars of importance are to the same scale."""
    heatmaps = max((len(row.heatmaps) for row in rows), default=0)
    picture = 0 if all(row.visualization is None for row in rows) else _CELL + 2 * _GAP
    patches = _MARGIN + _TEXT + picture
    width = patches + _PATCHES + _GAP + heatmaps * (_CELL + _GAP) + _MARGIN
    height = _HEAD + len(rows) * (_CELL + 2 * _GAP) + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 22), title, _INK, _font(28))
    draw.text((_MARGIN, 60), subtitle, _PALE, _font(14))
    longest = max((row.interval[1] for row in rows), default=1.0) or 1.0
    for number, row in enumerate(rows):
        top = _HEAD + number * (_CELL + 2 * _GAP)
        _draw_importance(draw, number, row, top, longest)
        _draw_images(sheet, row, patches, top)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _draw_importance(
    draw: ImageDraw.ImageDraw, number: int, row: Row, top: int, longest: float
) -> None:
    room, middle = _TEXT - 34, top + 108
    draw.text((_MARGIN, top + 28), f"Concept {number}", _INK, _font(20))
    low, high = row.interval
    draw.text(
        (_MARGIN, top + 58), f"{row.importance:.2f}  [{low:.2f}, {high:.2f}]", _PALE, _font(15)
    )
    left, scale = _MARGIN, room / longest
    draw.rectangle((left, middle - 9, left + row.importance * scale, middle + 9), fill=_BAR)
    draw.line((left + low * scale, middle, left + high * scale, middle), fill=_INK, width=2)
    for end in (low, high):
        draw.line((left + end * scale, middle - 5, left + end * scale, middle + 5), _INK, 2)


def _draw_images(sheet: Image.Image, row: Row, left: int, top: int) -> None:
    if row.visualization is not None:
        _put(sheet, row.visualization, _MARGIN + _TEXT, top, _CELL)
    for at, patch in enumerate(row.patches[:6]):
        across, down = at % 3 * (_PATCH + _GUTTER), at // 3 * (_PATCH + _GUTTER)
        _put(sheet, patch, left + across, top + down, _PATCH)
    left += _PATCHES + 2 * _GAP
    for at, heatmap in enumerate(row.heatmaps):
        _put(sheet, heatmap, left + at * (_CELL + _GAP), top, _CELL)


def _put(sheet: Image.Image, image: Tensor, left: int, top: int, side: int) -> None:
    picture = Image.fromarray(to_bytes(image).permute(1, 2, 0).contiguous().numpy())
    sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (left, top))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
