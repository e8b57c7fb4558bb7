"""What can lie in a photograph of the demo world: ten classes, and distractors of no class.

A kind is an outline, a palette and a texture. Distractors draw theirs from the same lists as the
classes and share at most one of the three with any class, so that nothing but knowledge of the
classes tells them apart.
"""

from dataclasses import dataclass

import numpy as np

from stimuli.demo.surfaces import OUTLINES, TEXTURES, Array, ramp


@dataclass(frozen=True)
class Kind:
    """An outline, a palette and a texture, each by its name."""

    outline: str
    palette: str
    texture: str


@dataclass(frozen=True)
class Light:
    """Where light comes from: a unit vector towards it; x to the right, y down, z to the viewer."""

    x: float
    y: float
    z: float


@dataclass(frozen=True)
class Placement:
    """Centre and radius of the circle around an object, as shares of the image's side."""

    x: float
    y: float
    radius: float


KINDS: dict[str, Kind] = {
    "ladybird": Kind("disc", "red", "spots"),
    "honeycomb": Kind("hexagon", "gold", "honeycomb"),
    "scallop": Kind("fan", "pink", "ribs"),
    "melon": Kind("oval", "green", "waves"),
    "starfish": Kind("star", "violet", "net"),
    "koi": Kind("drop", "orange", "scales"),
    "tortoise": Kind("octagon", "olive", "plates"),
    "agate": Kind("pebble", "blue", "rings"),
    "coral": Kind("clover", "teal", "labyrinth"),
    "snail": Kind("pear", "cocoa", "spiral"),
}

PALETTES: dict[str, tuple[str, str]] = {
    "red": ("c8281e", "1f1413"),
    "gold": ("e3a51f", "6b3a0c"),
    "pink": ("f3ded2", "d4606f"),
    "green": ("8fbc45", "1e4d22"),
    "violet": ("6d3f9e", "dcc4ea"),
    "orange": ("e2671c", "f4ece0"),
    "olive": ("83802f", "2c2410"),
    "blue": ("dfe8ee", "2a5ca8"),
    "teal": ("168a86", "e5efdc"),
    "cocoa": ("8a5230", "f0d9b4"),
    "slate": ("5a6672", "d9d6cc"),
    "plum": ("7d1f4e", "eeb9a8"),
    "lemon": ("ecd94a", "55702a"),
    "navy": ("22305f", "e8b04a"),
}

_ANGLES = np.linspace(-np.pi, np.pi, 721, dtype=np.float32)


def _profile(name: str) -> tuple[Array, Array]:
    radius = OUTLINES[name](_ANGLES)
    radius = radius / radius.max()
    return radius, radius / np.hypot(radius, np.gradient(radius, _ANGLES))


_PROFILES = {name: _profile(name) for name in OUTLINES}


def draw_distractor(rng: np.random.Generator) -> Kind:
    """Draw a kind that shares at most one of outline, palette and texture with each class."""
    outlines, palettes, textures = list(OUTLINES), list(PALETTES), list(TEXTURES)
    while True:
        kind = Kind(
            outlines[rng.integers(len(outlines))],
            palettes[rng.integers(len(palettes))],
            textures[rng.integers(len(textures))],
        )
        if all(_shared(kind, other) <= 1 for other in KINDS.values()):
            return kind


def _shared(kind: Kind, other: Kind) -> int:
    return (
        (kind.outline == other.outline)
        + (kind.palette == other.palette)
        + (kind.texture == other.texture)
    )


def encoded(colour: str) -> Array:
    """Turn a hexadecimal colour into sRGB, shape (3,), range [0, 1]."""
    return np.frombuffer(bytes.fromhex(colour), np.uint8).astype(np.float32) / 255


def vary_colour(colour: Array, hue_rad: float, gain: float) -> Array:
    """Turn sRGB colours (..., 3) about the grey axis; give linear light, scaled by `gain`."""
    cosine, sine = np.cos(hue_rad), np.sin(hue_rad) / np.sqrt(3)
    third = (1 - cosine) / 3
    turn = np.array(
        [
            [cosine + third, third - sine, third + sine],
            [third + sine, cosine + third, third - sine],
            [third - sine, third + sine, cosine + third],
        ],
        np.float32,
    )
    return np.float32(gain) * np.clip(colour @ turn.T, 0, 1) ** np.float32(2.2)


def paint_object(
    canvas: Array,
    kind: Kind,
    place: Placement,
    light: Light,
    grain: Array,
    rng: np.random.Generator,
) -> Array:
    """Paint one lit object and its shadow onto `canvas`, in place; give back its coverage.

    `canvas` is linear light (n, n, 3) in [0, 1]; `grain` is (n, n), mean 0 and deviation 1, the
    fine unevenness of the surface. The coverage is (n, n) in [0, 1].
    """
    turn, texture_turn, hue = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.15), rng.normal(0, 0.07)
    gain, scale = rng.uniform(0.85, 1.12), rng.uniform(0.88, 1.12)
    gloss, depth = rng.uniform(0.12, 0.4), rng.uniform(0.55, 0.75)
    size_px = canvas.shape[0]
    radius_px = place.radius * size_px
    reach_px = 1.35 * radius_px + 2
    left, right = span(place.x * size_px, reach_px, size_px)
    top, bottom = span(place.y * size_px, reach_px, size_px)
    window = (slice(top, bottom), slice(left, right))
    axis = (np.arange(size_px, dtype=np.float32) + 0.5) / size_px
    x = (axis[None, left:right] - place.x) / place.radius
    y = (axis[top:bottom, None] - place.y) / place.radius

    _cast_shadow(canvas[window], kind, x, y, turn, light)
    along, across = rotate(x, y, turn)
    inside, nearness = measure(kind.outline, along, across)
    coverage = np.clip(inside * np.float32(radius_px) + 0.5, 0, 1)
    accent = TEXTURES[kind.texture](*rotate(along, across, texture_turn), scale, rng)

    albedo = _albedo(kind, accent, hue, gain) * (1 + 0.09 * grain[window])[..., None]
    height = depth * (1 - np.minimum(nearness, 0.985) ** 3) ** np.float32(0.6) - 0.035 * accent
    # Beyond the rim the slope goes on, or half-covered pixels would be lit like a table top.
    height -= 2.5 * np.maximum(nearness - np.float32(0.985), 0)
    shade, shine = _light(height, radius_px, light)
    lit = np.clip(albedo * shade[..., None] + np.float32(gloss) * shine[..., None], 0, 1)
    canvas[window] += coverage[..., None] * (lit - canvas[window])

    whole = np.zeros(canvas.shape[:2], np.float32)
    whole[window] = coverage
    return whole


def span(centre_px: float, reach_px: float, size_px: int) -> tuple[int, int]:
    """First and last-plus-one pixel within `reach_px` of `centre_px`, cut to the image."""
    return max(int(centre_px - reach_px), 0), min(int(centre_px + reach_px) + 1, size_px)


def rotate(x: Array, y: Array, angle: float) -> tuple[Array, Array]:
    """Coordinates of the same points in axes turned by `angle`, in radians."""
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cosine + y * sine, y * cosine - x * sine


def measure(outline: str, x: Array, y: Array) -> tuple[Array, Array]:
    """Distance to the edge (positive inside) and distance from the centre as a share of it."""
    radius, slant = _PROFILES[outline]
    position = (np.arctan2(y, x) + np.float32(np.pi)) * np.float32(720 / (2 * np.pi))
    index = np.minimum(position.astype(np.int32), 719)
    share = position - index
    edge = radius[index] * (1 - share) + radius[index + 1] * share
    distance = np.hypot(x, y)
    return (edge - distance) * slant[index], distance / edge


def _cast_shadow(ground: Array, kind: Kind, x: Array, y: Array, turn: float, light: Light) -> None:
    for offset, softness, strength in ((0.26, 0.3, 0.5), (0.1, 0.12, 0.45)):
        moved = rotate(x + np.float32(offset * light.x), y + np.float32(offset * light.y), turn)
        inside, _ = measure(kind.outline, *moved)
        ground *= (1 - np.float32(strength) * ramp(inside, -softness, softness))[..., None]


def _albedo(kind: Kind, accent: Array, hue_rad: float, gain: float) -> Array:
    main, other = (vary_colour(encoded(colour), hue_rad, gain) for colour in PALETTES[kind.palette])
    albedo: Array = main + accent[..., None] * (other - main)
    return albedo


def _light(height: Array, radius_px: float, light: Light) -> tuple[Array, Array]:
    """Diffuse and specular light on a height map in units of the object's radius."""
    down, right = np.gradient(height * np.float32(radius_px))
    norm = 1 / np.sqrt(1 + right**2 + down**2)
    facing = norm * (np.float32(light.z) - right * light.x - down * light.y)
    half = np.array([light.x, light.y, light.z + 1]) / np.sqrt(2 + 2 * light.z)
    mirror = norm * (half[2] - right * half[0] - down * half[1])
    shade = 0.3 + 0.22 * norm + 0.62 * np.maximum(facing, 0)
    return shade.astype(np.float32), (np.maximum(mirror, 0) ** 36).astype(np.float32)
