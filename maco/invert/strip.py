"""A strip of inversions: the photograph, then what each layer kept of it, early to late."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from maco.images import to_bytes
from maco.visualization import Visualization

WHITE, INK, GREY = "white", "#1a1a1a", "#6a6a6a"


def draw_strip(
    photograph: Tensor,
    inversions: Sequence[Visualization],
    captions: Sequence[tuple[str, str]],
    *,
    side_px: int = 224,
) -> bytes:
    """PNG of the photograph and the inversions, opaque above and through transparency below.

    photograph: (3, h, w) in [0, 1]. captions: a name and a note for each inversion.
    side_px: height of each picture; its width follows from its shape.
    """
    columns = [[photograph]] + [[made.image, made.over(1.0)] for made in inversions]
    pictures = [[_scaled(image, side_px) for image in column] for column in columns]
    gap, head = side_px // 16, side_px // 4
    widths = [column[0].width for column in pictures]
    size = (sum(widths) + gap * (len(widths) + 1), head + 2 * (side_px + gap))
    sheet = Image.new("RGB", size, WHITE)
    draw = ImageDraw.Draw(sheet)
    left = gap
    for column, width, words in zip(pictures, widths, [("photograph", ""), *captions], strict=True):
        for line, (text, ink) in enumerate(zip(words, (INK, GREY), strict=True)):
            place = (left, head // 8 + line * head * 7 // 16)
            draw.text(place, text, fill=ink, font=_fitting(text, width, side_px / 13))
        for row, picture in enumerate(column):
            sheet.paste(picture, (left, head + row * (side_px + gap)))
        left += width + gap
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def _scaled(image: Tensor, side_px: int) -> Image.Image:
    height, width = image.shape[-2:]
    if height != side_px:
        size = (side_px, max(1, round(side_px * width / height)))
        image = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    return Image.fromarray(to_bytes(image).permute(1, 2, 0).contiguous().numpy())


def _fitting(text: str, width: int, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font at a size at which the text is no wider than its picture, if it can be read then."""
    font = ImageFont.load_default(size)
    return ImageFont.load_default(max(8.0, size * min(1.0, width / max(1, font.getlength(text)))))
