"""Outlines and textures from which every object of the demo world is made.

An outline gives a radius for each angle, so it is star-shaped about its centre. A texture gives,
for object coordinates (x, y) in which the outline's largest radius is 1, the share in [0, 1] of the
accent colour. Both are plain functions; the tables at the end name them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Outline = Callable[[Array], Array]
Texture = Callable[[Array, Array, float, np.random.Generator], Array]

_TURN = np.float32(2 * np.pi)


def ramp(values: Array, low: float, high: float) -> Array:
    """Rise smoothly from 0 at `low` to 1 at `high`; any shape, cubic in between."""
    share = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: Array = share * share * (3 - 2 * share)
    return smooth


def _polygon(corners: int, sharpness: float) -> Outline:
    def outline(angle: Array) -> Array:
        sides = np.arange(corners, dtype=np.float32) * _TURN / corners
        facing = np.maximum(np.cos(angle[..., None] - sides), 0) ** np.float32(sharpness)
        radius: Array = facing.sum(-1) ** np.float32(-1 / sharpness)
        return radius

    return outline


def _lobes(count: int, depth: float, roundness: float) -> Outline:
    def outline(angle: Array) -> Array:
        swell: Array = ((1 + np.cos(count * angle)) / 2) ** np.float32(roundness)
        return 1 - depth + depth * swell

    return outline


def _disc(angle: Array) -> Array:
    return np.ones_like(angle)


def _oval(angle: Array) -> Array:
    return 1 / np.hypot(np.cos(angle), np.sin(angle) / np.float32(0.74))


def _leaf(angle: Array) -> Array:
    offset, radius = np.float32(0.42), np.float32(1.085)
    reach: Array = np.sqrt(radius**2 - (offset * np.cos(angle)) ** 2)
    return reach - offset * np.abs(np.sin(angle))


def _drop(angle: Array) -> Array:
    point: Array = ((1 + np.cos(angle)) / 2) ** np.float32(3)
    return 0.58 + 0.42 * point


def _fan(angle: Array) -> Array:
    from_hinge = np.abs(np.abs(angle) - np.float32(np.pi))
    opening = ramp(from_hinge, 0.25, 1.35)
    scallops: Array = 1 + 0.035 * np.cos(11 * angle) * opening
    return (0.62 + 0.36 * opening) * scallops


def _pebble(angle: Array) -> Array:
    return 0.86 + 0.09 * np.cos(2 * angle + 0.4) + 0.05 * np.cos(3 * angle - 0.9)


def _pear(angle: Array) -> Array:
    return 0.8 + 0.2 * np.cos(angle) - 0.1 * np.cos(2 * angle - np.float32(np.pi))


def _hexagonal(x: Array, y: Array) -> tuple[Array, Array]:
    """Offsets (dx, dy) from the nearest point of a hexagonal lattice of spacing 1."""
    tall = np.float32(np.sqrt(3))
    near = (x - np.round(x), y - tall * np.round(y / tall))
    shifted_x, shifted_y = x - 0.5, y - tall / 2
    far = (shifted_x - np.round(shifted_x), shifted_y - tall * np.round(shifted_y / tall))
    closer = near[0] ** 2 + near[1] ** 2 < far[0] ** 2 + far[1] ** 2
    return np.where(closer, near[0], far[0]), np.where(closer, near[1], far[1])


def _shift(rng: np.random.Generator) -> tuple[np.float32, np.float32]:
    first, second = rng.random(2, dtype=np.float32)
    return first, second


def _spots(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    right, down = _shift(rng)
    spacing = np.float32(0.62 * scale)
    dx, dy = _hexagonal(x / spacing + right, y / spacing + down)
    return 1 - ramp(np.hypot(dx, dy), 0.25, 0.36)


def _honeycomb(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    right, down = _shift(rng)
    spacing = np.float32(0.46 * scale)
    dx, dy = np.abs(_hexagonal(x / spacing + right, y / spacing + down))
    to_wall = 0.5 - np.maximum(dx, 0.5 * dx + np.float32(np.sqrt(0.75)) * dy)
    return 1 - ramp(to_wall, 0.07, 0.2)


def _ribs(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    phase = rng.random(dtype=np.float32)
    angle = np.arctan2(y, x + np.float32(1.05))
    return ramp(np.cos(angle * np.float32(17 / scale) + _TURN * phase), -0.5, 0.5)


def _waves(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    right, down = _shift(rng)
    bend = 0.16 * np.sin(_TURN * (1.5 * x / np.float32(scale) + right))
    return ramp(np.sin(_TURN * ((y + bend) / np.float32(0.5 * scale) + down)), -0.45, 0.45)


def _net(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    right, down = _shift(rng)
    spacing = np.float32(0.5 * scale)
    one = np.abs(np.sin(np.float32(np.pi) * ((x + y) * 0.7 / spacing + right)))
    other = np.abs(np.sin(np.float32(np.pi) * ((x - y) * 0.7 / spacing + down)))
    return 1 - ramp(np.minimum(one, other), 0.18, 0.42)


def _scales(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    right, down = _shift(rng)
    along = x / np.float32(0.3 * scale) + 4 * right
    across = y / np.float32(0.56 * scale) + down
    edge = np.zeros_like(x)
    for row in (-1, 0, 1):
        place = np.floor(along) + row
        sideways = across - place / 2
        sideways = sideways - np.round(sideways)
        reach = np.hypot((along - place) * 0.52, sideways) / np.float32(0.66)
        edge = np.where(reach < 1, reach, edge)
    return ramp(edge, 0.55, 0.9)


def _plates(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    spacing = 0.56 * scale
    steps = np.arange(-3, 4, dtype=np.float32)
    seeds = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    seeds[:, 0] += 0.5 * (seeds[:, 1] % 2)
    seeds = spacing * (seeds + rng.uniform(-0.24, 0.24, seeds.shape)).astype(np.float32)
    seeds = seeds[np.hypot(*seeds.T) < 1 + spacing]
    squared = (x[None] - seeds[:, :1, None]) ** 2 + (y[None] - seeds[:, 1:, None]) ** 2
    nearest = np.sqrt(np.partition(squared, 1, axis=0)[:2])
    return 1 - ramp((nearest[1] - nearest[0]) / np.float32(spacing), 0.1, 0.34)


def _rings(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    right, down = rng.uniform(-0.2, 0.2, 2).astype(np.float32)
    phase = rng.random(dtype=np.float32)
    dx, dy = x - right, y - down
    angle = np.arctan2(dy, dx)
    radius = np.hypot(dx, dy) * (1 + 0.07 * np.cos(3 * angle + _TURN * phase))
    return ramp(np.cos(_TURN * (radius / np.float32(0.36 * scale) + phase)), -0.45, 0.45)


def _labyrinth(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    waves = 9
    spread = (np.arange(waves) + rng.random(waves)) * np.pi / waves
    phases = rng.uniform(0, 2 * np.pi, waves)
    total = np.zeros_like(x)
    for direction, phase in zip(spread.astype(np.float32), phases.astype(np.float32), strict=True):
        along = x * np.cos(direction) + y * np.sin(direction)
        total += np.cos(_TURN / np.float32(0.42 * scale) * along + phase)
    return ramp(total, -0.7, 0.7)


def _spiral(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    phase = rng.random(dtype=np.float32)
    turns = np.hypot(x, y) / np.float32(0.4 * scale)
    return ramp(np.cos(_TURN * (turns + phase) - np.arctan2(y, x)), -0.45, 0.45)


def _stripes(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    phase = rng.random(dtype=np.float32)
    return ramp(np.sin(_TURN * (x / np.float32(0.44 * scale) + phase)), -0.4, 0.4)


def _checks(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    right, down = _shift(rng)
    period = np.float32(0.66 * scale)
    waves = np.sin(_TURN * (x / period + right)) * np.sin(_TURN * (y / period + down))
    return ramp(waves, -0.22, 0.22)


def _zigzag(x: Array, y: Array, scale: float, rng: np.random.Generator) -> Array:
    right, down = _shift(rng)
    fold = x / np.float32(0.6 * scale) + right
    fold = np.abs(fold - np.round(fold)) * 0.62
    return ramp(np.sin(_TURN * (y / np.float32(0.46 * scale) + 1.2 * fold + down)), -0.4, 0.4)


OUTLINES: dict[str, Outline] = {
    "disc": _disc,
    "hexagon": _polygon(6, 40),
    "fan": _fan,
    "oval": _oval,
    "star": _lobes(5, 0.5, 1.3),
    "drop": _drop,
    "octagon": _polygon(8, 30),
    "pebble": _pebble,
    "clover": _lobes(4, 0.26, 0.6),
    "pear": _pear,
    "triangle": _polygon(3, 5),
    "square": _polygon(4, 16),
    "flower": _lobes(7, 0.24, 0.6),
    "leaf": _leaf,
}

TEXTURES: dict[str, Texture] = {
    "spots": _spots,
    "honeycomb": _honeycomb,
    "ribs": _ribs,
    "waves": _waves,
    "net": _net,
    "scales": _scales,
    "plates": _plates,
    "rings": _rings,
    "labyrinth": _labyrinth,
    "spiral": _spiral,
    "stripes": _stripes,
    "checks": _checks,
    "zigzag": _zigzag,
}
