"""Photographs from disk, and images back to disk.

A photograph becomes a float tensor (3, h, w) in [0, 1]: RGB, upright, opaque, 8 bit. What cannot
become one truthfully (16-bit, animated, not an image) is refused with a sentence, never guessed.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError
from torch import Tensor

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_CONVERTIBLE = frozenset({"RGB", "RGBA", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr"})
_PADDING_CHUNK = b"paDd"  # ancillary, private, safe to copy: readers skip it
_CHUNK_BYTES = 12  # length, name and checksum, beside the content
_HEADER_BYTES = 33  # signature and the first chunk, which stays the first


class ImageError(ValueError):
    """A file that cannot be used as a photograph: says which, why, and what to do."""


class TooSmallError(ImageError):
    """A photograph with fewer pixels than are needed."""


def find_images(folder: Path) -> list[Path]:
    """Image files below a folder, by suffix, sorted by path; raises ValueError if there is none."""
    if not folder.is_dir():
        raise ImageError(f"{folder} is not a folder of images")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not files:
        raise ImageError(f"{folder} holds no image ({', '.join(sorted(SUFFIXES))})")
    return files


def read_image(path: Path, *, smallest_px: int = 1) -> Tensor:
    """The photograph in a file, (3, h, w) in [0, 1].

    EXIF rotation is applied, CMYK and grey become RGB, transparency is laid over white. Raises
    ImageError for a file that is no image, is damaged, has 16 bits a channel or several frames,
    or whose shorter side is under `smallest_px`.
    """
    try:
        with Image.open(path) as file:
            # A camera's MPO file is a JPEG with a preview behind it: the first frame is meant.
            if getattr(file, "n_frames", 1) > 1 and file.format != "MPO":
                raise ImageError(f"{path} has several frames: give a still image")
            if file.mode not in _CONVERTIBLE or _bits(file) > 8:
                raise ImageError(
                    f"{path} has more than 8 bits a channel, or a colour mode ({file.mode}) that"
                    " has no plain RGB: convert it to 8-bit RGB first"
                )
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not an image") from error
    except Exception as error:  # what Pillow raises on a damaged file varies with the format
        raise ImageError(f"{path} cannot be read as an image: {error}") from error
    if min(picture.size) < smallest_px:
        width, height = picture.size
        raise TooSmallError(
            f"{path} is {width} x {height} px: at least {smallest_px} px are needed"
        )
    return from_pil(_opaque(picture))


def _bits(file: Image.Image) -> int:
    """Bits a channel as stored: Pillow opens 16-bit colour as 8-bit without a word."""
    if isinstance(file, PngImagePlugin.PngImageFile) and isinstance(file.filename, str | Path):
        with Path(file.filename).open("rb") as stream:
            return stream.read(25)[24]  # the header chunk comes first
    if isinstance(file, TiffImagePlugin.TiffImageFile):
        return max(int(bits) for bits in file.tag_v2.get(258, (8,)))
    return 8


def _opaque(picture: Image.Image) -> Image.Image:
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def from_pil(picture: Image.Image) -> Tensor:
    """Float tensor (3, h, w) in [0, 1] of an RGB picture."""
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float() / 255


def to_bytes(image: Tensor) -> Tensor:
    """8-bit values (c, h, w) of an image in [0, 1], rounded to nearest."""
    return image.detach().clamp(0, 1).mul(255).round().to("cpu", torch.uint8)


def encode_png(image: Tensor, *, alpha: Tensor | None = None) -> bytes:
    """Lossless PNG of an image (3, h, w) in [0, 1], without any metadata.

    With `alpha` (h, w) in [0, 1] the file has a transparency channel.
    """
    pixels = to_bytes(image if alpha is None else torch.cat([image.cpu(), alpha[None].cpu()]))
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def pad_png(png: bytes, size_bytes: int) -> bytes:
    """The same picture in a file of `size_bytes`, whose size then says nothing of its content.

    Raises ValueError if it does not fit: the padding takes 12 bytes at least, or none.
    """
    missing = size_bytes - len(png)
    if missing == 0:
        return png
    if missing < _CHUNK_BYTES:
        raise ValueError(f"a PNG of {len(png)} bytes cannot be padded to {size_bytes}")
    named = _PADDING_CHUNK + bytes(missing - _CHUNK_BYTES)
    chunk = struct.pack(">I", missing - _CHUNK_BYTES) + named + struct.pack(">I", zlib.crc32(named))
    return png[:_HEADER_BYTES] + chunk + png[_HEADER_BYTES:]


def stream(paths: list[Path], *, smallest_px: int = 1) -> Iterator[Tensor]:
    """The photographs of some files, one at a time."""
    for path in paths:
        yield read_image(path, smallest_px=smallest_px)
