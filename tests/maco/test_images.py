"""Photographs come in upright, opaque and 8-bit, or not at all; PNGs go out without a trace."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from maco.images import (
    ImageError,
    encode_png,
    find_images,
    from_pil,
    pad_png,
    read_image,
    stream,
    to_bytes,
)


def picture(height=6, width=9, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png_of_depth(bits, colour, height=4, width=4):
    """A PNG with so many bits a channel; colour 0 grey, 2 RGB, 4 grey + alpha, 6 RGB + alpha."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row = b"\0" + bytes(range(width * channels * bits // 8))
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = zlib.compress(row * height)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", body), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_pixels_are_the_files(tmp_path):
    source = picture()
    source.save(tmp_path / "p.png")
    read = read_image(tmp_path / "p.png")
    assert read.shape == (3, 6, 9)
    assert read.dtype == torch.float32
    assert torch.equal(read, torch.from_numpy(np.array(source)).permute(2, 0, 1) / 255)
    assert torch.equal(from_pil(source), read)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    upright = Image.new("RGB", (40, 24), "white")
    upright.paste((255, 0, 0), (0, 0, 20, 12))
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "p.jpg", exif=exif, quality=95, subsampling=0)
    read = read_image(tmp_path / "p.jpg")
    assert read.shape == (3, 24, 40)
    assert (read - from_pil(upright)).abs().mean() < 0.02


def test_grey_and_cmyk_and_palette_become_rgb(tmp_path):
    source = picture(16, 16)
    grey = source.convert("L")
    grey.save(tmp_path / "grey.png")
    read = read_image(tmp_path / "grey.png")
    assert torch.equal(read, from_pil(grey))
    assert torch.equal(read[0], read[2])

    plain = Image.new("RGB", (16, 16), (200, 40, 90))
    plain.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    expected = torch.tensor([200, 40, 90]) / 255
    assert (read_image(tmp_path / "cmyk.jpg").mean((1, 2)) - expected).abs().max() < 0.02

    palette = source.quantize(16)
    palette.save(tmp_path / "palette.png")
    assert torch.equal(read_image(tmp_path / "palette.png"), from_pil(palette.convert("RGB")))

    Image.new("1", (5, 4), 1).save(tmp_path / "bits.png")
    assert (read_image(tmp_path / "bits.png") == 1).all()


def test_transparency_is_laid_over_white(tmp_path):
    layer = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    layer.paste((255, 0, 0, 255), (0, 0, 2, 4))
    layer.paste((0, 0, 0, 128), (2, 0, 3, 4))
    layer.save(tmp_path / "layer.png")
    read = read_image(tmp_path / "layer.png")
    assert read[:, 0, 0].tolist() == [1, 0, 0]
    assert read[:, 0, 2].mean() == pytest.approx(0.5, abs=0.01)
    assert (read[:, :, 3] == 1).all()

    Image.new("LA", (3, 3), (0, 0)).save(tmp_path / "grey.png")
    assert (read_image(tmp_path / "grey.png") == 1).all()

    palette = Image.new("P", (3, 3), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "palette.png", transparency=1)
    assert (read_image(tmp_path / "palette.png") == 1).all()

    keyed = Image.new("RGB", (3, 3), (9, 9, 9))
    keyed.save(tmp_path / "keyed.png", transparency=(9, 9, 9))
    assert (read_image(tmp_path / "keyed.png") == 1).all()


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_sixteen_bits_are_refused_and_eight_are_not(tmp_path, colour):
    file = tmp_path / "deep.png"
    file.write_bytes(png_of_depth(8, colour))
    assert read_image(file).shape == (3, 4, 4)
    file.write_bytes(png_of_depth(16, colour))
    with pytest.raises(ImageError, match=r"deep\.png.*8-bit"):
        read_image(file)


def test_other_deep_files_are_refused(tmp_path):
    Image.new("F", (4, 4)).save(tmp_path / "float.tif")
    Image.new("I", (4, 4)).save(tmp_path / "whole.tif")
    for name in ("float.tif", "whole.tif"):
        with pytest.raises(ImageError, match="8-bit"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_animations_are_refused(tmp_path, suffix):
    frames = [picture(seed=seed) for seed in range(3)]
    file = tmp_path / f"moving.{suffix}"
    frames[0].save(file, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="several frames"):
        read_image(file)


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("text.jpg", "empty.png"):
        with pytest.raises(ImageError, match=f"{name} is not an image"):
            read_image(tmp_path / name)
    with pytest.raises(ImageError, match=r"none\.png does not exist"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError):
        read_image(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
def test_truncated_files_are_refused(tmp_path, suffix):
    file = tmp_path / f"cut.{suffix}"
    picture(64, 64).save(file)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=rf"cut\.{suffix}"):
        read_image(file)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "gif"])
def test_damaged_files_are_refused_or_read_but_never_crash(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # a damaged header may claim gigabytes
    buffer = io.BytesIO()
    picture(24, 24).save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
    dice = random.Random(0)
    file = tmp_path / f"damaged.{suffix}"
    for _ in range(100):
        content = bytearray(buffer.getvalue())
        for _ in range(dice.randint(1, 6)):
            reach = len(content) if dice.random() < 0.5 else min(200, len(content))
            content[dice.randrange(reach)] = dice.randrange(256)
        file.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image = read_image(file)
            except ImageError as error:
                assert str(file) in str(error)
            else:
                assert image.shape[0] == 3


def test_small_images_are_refused_where_size_matters(tmp_path):
    picture(20, 50).save(tmp_path / "small.png")
    assert read_image(tmp_path / "small.png", smallest_px=20).shape == (3, 20, 50)
    with pytest.raises(ImageError, match="50 x 20 px: at least 21 px"):
        read_image(tmp_path / "small.png", smallest_px=21)
    with pytest.raises(ImageError, match="at least 32 px"):
        list(stream([tmp_path / "small.png"], smallest_px=32))


def test_images_are_found_by_suffix_deep_and_in_order(tmp_path):
    for name in ("b/2.JPG", "a.png", "b/1.webp", "c/d/e.tiff", "notes.txt", ".hidden.png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == ["a.png", "b/1.webp", "b/2.JPG", "c/d/e.tiff"]


def test_folders_without_images(tmp_path):
    with pytest.raises(ImageError, match="holds no image"):
        find_images(tmp_path)
    with pytest.raises(ImageError, match="is not a folder"):
        find_images(tmp_path / "none")


def chunks_of(png):
    kinds, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kinds.append(png[at + 4 : at + 8])
        at += 12 + length
    return kinds


def decoded(png):
    return np.array(Image.open(io.BytesIO(png)))


def test_a_png_holds_pixels_and_nothing_else():
    image = from_pil(picture())
    png = encode_png(image)
    assert set(chunks_of(png)) == {b"IHDR", b"IDAT", b"IEND"}
    assert (decoded(png) == np.array(picture())).all()
    assert encode_png(image) == png
    assert not Image.open(io.BytesIO(png)).info


def test_padding_gives_one_size_to_different_pictures():
    noisy, flat = from_pil(picture(32, 32)), torch.full((3, 32, 32), 0.25)
    size = len(encode_png(noisy)) + 500
    padded = [pad_png(encode_png(image), size) for image in (noisy, flat)]
    assert [len(png) for png in padded] == [size, size]
    for png, image in zip(padded, (noisy, flat), strict=True):
        assert (decoded(png) == decoded(encode_png(image))).all()
        assert sum(kind not in {b"IHDR", b"IDAT", b"IEND"} for kind in chunks_of(png)) == 1
    assert pad_png(encode_png(flat), len(encode_png(flat))) == encode_png(flat)


def test_padding_to_less_than_the_picture_needs():
    image = from_pil(picture(32, 32))
    least = len(encode_png(image))
    for size in (least - 1, least + 11):
        with pytest.raises(ValueError, match=f"{least} bytes cannot be padded to {size}"):
            pad_png(encode_png(image), size)
    assert len(pad_png(encode_png(image), least + 12)) == least + 12


def test_alpha_becomes_a_channel():
    alpha = torch.linspace(0, 1, 6 * 9).reshape(6, 9)
    pixels = decoded(encode_png(from_pil(picture()), alpha=alpha))
    assert pixels.shape == (6, 9, 4)
    assert (pixels[..., 3] == np.round(alpha.numpy() * 255)).all()


def test_values_are_rounded_to_the_nearest_grey_level():
    values = torch.tensor([-0.5, 0.0, 0.0019, 0.0021, 0.998, 0.999, 1.0, 3.0])
    assert to_bytes(values).tolist() == [0, 0, 0, 1, 254, 255, 255, 255]


def test_a_cameras_multi_picture_file_is_its_first_picture(tmp_path):
    first, preview = Image.new("RGB", (32, 24), (200, 10, 10)), Image.new("RGB", (8, 6))
    path = tmp_path / "camera.jpg"
    first.save(path, "MPO", save_all=True, append_images=[preview])
    image = read_image(path)
    assert image.shape == (3, 24, 32)
    assert float(image[0].mean()) > 0.7
