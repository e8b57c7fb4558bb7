"""Grounds on which the objects lie, and the camera that photographs them.

The dead-leaves model covers the plane with shapes of power-law sizes that hide one another; its
images share the 1/f spectrum and the occlusion edges of photographs (Lee, Mumford & Huang 2001).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stimuli.demo.objects import Light, encoded, measure, rotate, span
from stimuli.demo.surfaces import Array

MOODS: tuple[tuple[str, ...], ...] = (
    ("5d6b3c", "7f8452", "3c4a2c", "8c7a55", "a39a72", "4f4630"),
    ("b8a888", "d3c6a8", "8f8570", "a7937a", "6f6a5e", "c4b59b"),
    ("7a5638", "9c7448", "5a4030", "b08d5e", "6f6b45", "4a3a2c"),
    ("6e7a80", "8b969a", "515b60", "a7aca8", "7b7468", "bfc1ba"),
    ("5f7f84", "86a09a", "44605f", "a8a58a", "6f6a58", "c2c0a8"),
    ("8a6a62", "a98a7c", "5f4b4a", "c1a794", "74706a", "4d4644"),
)
LEAF_OUTLINES = ("disc", "oval", "pebble", "leaf", "octagon", "drop")
LEAVES = 95
SMALLEST, LARGEST = 0.024, 0.28

_GRID = 256
_UNIT_SIZE_PX = 96
_LINEAR = (np.arange(256, dtype=np.float32) / 255) ** np.float32(2.2)


def draw_fields(rng: np.random.Generator, size_px: int) -> tuple[Array, Array]:
    """Draw two independent periodic fields of natural spectrum, each (n, n) with mean 0.

    The spectrum is drawn on a fixed grid and cut to `size_px`, so that one generator state gives
    one scene at any resolution. The deviation is 1 at 96 pixels, more with the detail of more.
    """
    draws = rng.standard_normal((2, _GRID, _GRID), np.float32)
    order = np.fft.fftfreq(_GRID, 1 / _GRID)
    radius = np.hypot(order[:, None], order)
    radius[0, 0] = np.inf
    spectrum = (draws[0] + 1j * draws[1]) / radius**0.75
    unit = _transform(spectrum, _UNIT_SIZE_PX)
    field = _transform(spectrum, size_px)
    return field.real / unit.real.std(), field.imag / unit.imag.std()


def _transform(spectrum: NDArray[np.complex128], size_px: int) -> NDArray[np.complex64]:
    """The field of a spectrum (256, 256) cut or padded to what (n, n) pixels can show."""
    kept = min(size_px, _GRID)
    inner = np.ix_(*2 * [np.round(np.fft.fftfreq(kept, 1 / kept)).astype(int)])
    cut = np.zeros((size_px, size_px), complex)
    cut[inner] = spectrum[inner]
    return np.fft.ifft2(cut, norm="forward").astype(np.complex64)


def paint_ground(rng: np.random.Generator, field: Array, light: Light) -> Array:
    """Paint a dead-leaves ground in linear light, (n, n, 3) in [0, 1]; `field` textures it."""
    mood = np.stack([encoded(colour) for colour in MOODS[rng.integers(len(MOODS))]])
    mood = mood ** np.float32(2.2)
    canvas = np.ones((*field.shape, 3), np.float32) * mood.mean(0)
    canvas *= (1 + 0.2 * field)[..., None]
    tile = np.tile(field, (2, 2))
    colours = mood[rng.integers(len(mood), size=(LEAVES, 2))]
    colours = colours * rng.uniform(0.5, 1.45, (LEAVES, 1, 1)) * rng.normal(1, 0.06, (LEAVES, 1, 3))
    outlines = rng.integers(len(LEAF_OUTLINES), size=LEAVES)
    shares = rng.random((LEAVES, 9))
    for colour, outline, share in zip(colours.astype(np.float32), outlines, shares, strict=True):
        _paint_leaf(canvas, tile, colour, LEAF_OUTLINES[outline], light, share)
    ground: Array = np.clip(canvas, 0, 1)
    return ground


def _paint_leaf(
    canvas: Array,
    tile: Array,
    colour: Array,
    outline: str,
    light: Light,
    shares: NDArray[np.float64],
) -> None:
    across, down, size, turn, tilt, contrast, jitter, right, below = map(float, shares)
    size_px = len(canvas)
    radius_px = size_px * (SMALLEST**-2 + size * (LARGEST**-2 - SMALLEST**-2)) ** -0.5
    x_px, y_px = size_px * (1.2 * across - 0.1), size_px * (1.2 * down - 0.1)
    left, end = span(x_px, 1.2 * radius_px + 1, size_px)
    top, bottom = span(y_px, 1.2 * radius_px + 1, size_px)
    if left >= end or top >= bottom:
        return
    x = ((np.arange(left, end, dtype=np.float32) + 0.5 - x_px) / radius_px)[None]
    y = ((np.arange(top, bottom, dtype=np.float32) + 0.5 - y_px) / radius_px)[:, None]
    inside, _ = measure(outline, *rotate(x, y, 2 * np.pi * turn))
    coverage = np.clip(inside * radius_px + 0.5, 0, 1)[..., None]
    shift_x, shift_y = int(right * size_px), int(below * size_px)
    grain = tile[shift_y : shift_y + bottom - top, shift_x : shift_x + end - left]
    lean = (0.12 + 0.25 * tilt) * (x * light.x + y * light.y)
    shade = (1 + lean) * np.maximum(1 + (0.15 + 0.34 * contrast) * grain, 0.2)
    vein = np.clip(0.4 + 0.4 * grain, 0, 1) * (0.6 * jitter)
    surface = shade[..., None] * (colour[0] + vein[..., None] * (colour[1] - colour[0]))
    window = canvas[top:bottom, left:end]
    window *= 1 - 0.45 * np.clip(inside * 4 + 0.8, 0, 1)[..., None]
    window += coverage * (surface - window)


def blur(canvas: Array, radius_px: float) -> Array:
    """Blur linear light (n, n, 3) with a Gaussian of deviation `radius_px`."""
    return _decode(_encode(canvas).filter(ImageFilter.GaussianBlur(radius_px)))


def photograph(canvas: Array, field: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Photograph linear light (n, n, 3): uneven light, vignette, exposure, lens blur, noise.

    `field` is a 1/f field (n, n) whose coarse part dapples the light. Gives sRGB bytes.
    """
    size_px = len(canvas)
    exposure, warmth = rng.uniform(0.17, 0.25), rng.normal(0, 0.03)
    axis = np.linspace(-1, 1, size_px, dtype=np.float32)
    vignette = 1 - 0.16 * (axis[:, None] ** 2 + axis**2)
    light = np.exp(0.2 * _coarsen(field)) * vignette
    lit = canvas * light[..., None]
    lit *= np.array([1 + warmth, 1, 1 - warmth], np.float32) * np.float32(exposure / lit.mean())
    lit = blur(lit / (1 + 0.25 * lit) * 1.12, 0.001 * size_px)
    noise = rng.standard_normal(lit.shape, np.float32)
    encoded = lit ** np.float32(1 / 2.2) + (0.011 + 0.003 * noise[..., :1]) * noise
    return np.round(255 * np.clip(encoded, 0, 1)).astype(np.uint8)


def _coarsen(field: Array) -> Array:
    size = field.shape
    small = Image.fromarray(field).resize((7, 7), Image.Resampling.BOX)
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC))


def _encode(canvas: Array) -> Image.Image:
    encoded = np.clip(canvas, 0, 1) ** np.float32(1 / 2.2)
    return Image.fromarray(np.round(255 * encoded).astype(np.uint8))


def _decode(image: Image.Image) -> Array:
    decoded: Array = _LINEAR[np.asarray(image)]
    return decoded
