"""A bundle of discs in two colours, and an embedding that sees colours alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from handmade import HandmadeBundle
from torch import nn

from maco import Classifier
from stimuli.observers.embedding import Embedding
from stimuli.observers.panel import Panel
from stimuli.occlusion import occlude

SIDE_PX, DISC_PX, OCCLUDER_PX = 64, 16, 24
RED, BLUE = (220, 40, 40), (40, 40, 220)
SPOTS = ((4, 4), (36, 4), (4, 36), (36, 36))  # corners of the occluders
CONDITIONS = ("maco", "noise", "control")
NETWORKS = ("VGG", "ViT")


class Colours(nn.Module):
    """Red and blue of 16 x 16 places, against green: an embedding that sees colour."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.places = nn.AvgPool2d(4)
        self.pooled = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        against = images - images.mean(1, keepdim=True)
        found: torch.Tensor = self.pooled(self.places(self.weight * against)).flatten(1)
        return found


def colours(weight: float = 1.0, layer: str = "places") -> Embedding:
    network = Classifier(
        Colours(weight), name="colours", input_size_px=SIDE_PX, mean=(0, 0, 0), std=(1, 1, 1)
    )
    return Embedding(network, layer)


def noise(
    rng: np.random.Generator, *discs: tuple[tuple[int, int], tuple[int, ...]]
) -> torch.Tensor:
    """Grey noise, uint8 (3, 64, 64), with discs of a colour around places."""
    grey = rng.integers(90, 150, (1, SIDE_PX, SIDE_PX)).repeat(3, 0)
    image = (grey + rng.integers(-12, 13, grey.shape)).astype(np.uint8)
    ys, xs = np.mgrid[:SIDE_PX, :SIDE_PX]
    for (x, y), colour in discs:
        middle = OCCLUDER_PX / 2
        inside = np.hypot(xs - x - middle, ys - y - middle) <= DISC_PX / 2
        image[:, inside] = np.array(colour)[:, None]
    return torch.from_numpy(image)


def make_bundle(
    folder: Path, trials: int = 24, digests: tuple[str, str] = ("0" * 64, "1" * 64)
) -> Path:
    """A bundle: the network of a trial likes red (unit 0) or blue (unit 1) discs."""
    bundle = HandmadeBundle(folder)
    rng = np.random.default_rng(3)
    references = {
        unit: {
            "maco": [bundle.store(noise(rng, (SPOTS[at], colour))) for at in range(2)],
            "noise": [bundle.store(noise(rng)) for _ in range(2)],
            "control": [],
        }
        for unit, colour in enumerate((RED, BLUE))
    }
    made = []
    for number in range(trials):
        unit, favored = number % 2, number // 2 % 2
        liked, other = rng.permutation(4)[:2]
        colour, decoy = (RED, BLUE) if unit == 0 else (BLUE, RED)
        photograph = noise(rng, (SPOTS[liked], colour), (SPOTS[other], decoy))
        queries = [
            {
                "image": bundle.store(occlude(photograph, *SPOTS[at], OCCLUDER_PX)),
                "activation": activation + number / 100,
                "occluder": {"x_px": SPOTS[at][0], "y_px": SPOTS[at][1], "size_px": OCCLUDER_PX},
            }
            for at, activation in ((other, 2.0), (liked, 1.0))
        ]
        made.append(
            {
                "id": f"t{number:03d}",
                "kind": "catch" if number < 2 else "main",
                "network": NETWORKS[number // 4 % 2],
                "unit": {"kind": "class", "index": unit, "label": ("=red", "blue")[unit]},
                "base_image": {"source": f"{number}.jpg", "image": bundle.store(photograph)},
                "references": references[unit],
                "queries": queries if favored == 0 else queries[::-1],
                "base_activation": 3.0,
                "favored": favored,
                "baselines": {"centre_distance": (1.0, 1.0), "always_left": (1.0, 0.0)},
            }
        )
    networks = [
        {
            "name": name,
            "model": f"demo/{name.lower()}",
            "weights_digest": digest,
            "input_size_px": 96,
        }
        for name, digest in zip(NETWORKS, digests, strict=True)
    ]
    return bundle.finish(networks, CONDITIONS, made)


def chosen(panel: Panel, observer: str, condition: str, kind: str = "main") -> dict[str, float]:
    """Trial -> probability of the favored query."""
    return {
        one.trial_id: one.p_favored
        for one in panel.observations
        if (one.observer, one.condition, one.trial_kind) == (observer, condition, kind)
    }
