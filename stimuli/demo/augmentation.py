"""What is done to photographs of the demo world before a network in training sees them."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stimuli.demo.networks import CLASS_COUNT, INPUT_SIZE, MEAN, STD


def normalise(images: Tensor) -> Tensor:
    """Turn sRGB bytes (n, 3, h, w) into what the networks take, (n, 3, 96, 96) in [-1, 1]."""
    size = (INPUT_SIZE, INPUT_SIZE)
    values = images.float() / 255
    if values.shape[-2:] != size:
        values = functional.interpolate(values, size, mode="bilinear", antialias=True)
    return (values - torch.tensor(MEAN).view(-1, 1, 1)) / torch.tensor(STD).view(-1, 1, 1)


def occlude(images: Tensor, masks: Tensor, rng: np.random.Generator) -> Tensor:
    """Cover parts of normalised images, in place, with squares of the mean colour they hide.

    Sides are 0.15 to 0.45 of the image's, places anywhere; an image has 0 to 2. Gives the part of
    `masks` (n, h, w) still in sight.
    """
    side = images.shape[-1]
    seen = masks.clone()
    for index, count in enumerate(rng.choice(3, len(images), p=(0.35, 0.4, 0.25))):
        for _ in range(count):
            reach = rng.uniform(0.15, 0.45) * side / 2
            x, y = rng.uniform(0, side, 2)
            rows = slice(max(round(y - reach), 0), max(round(y + reach), 1))
            columns = slice(max(round(x - reach), 0), max(round(x + reach), 1))
            patch = images[index, :, rows, columns]
            patch[:] = patch.mean((1, 2), keepdim=True)
            seen[index, rows, columns] = False
    return seen


def target(labels: Tensor, seen: Tensor, smoothing: float) -> Tensor:
    """Class probabilities (n, 10): flat where less than a fifth of the object is `seen`.

    A network that may not guess the class when its object is hidden has to look at the object.
    """
    certainty = ((seen - 0.2) / 0.4).clamp(0, 1)[:, None] * (1 - smoothing)
    return certainty * functional.one_hot(labels, CLASS_COUNT) + (1 - certainty) / CLASS_COUNT


def augment(images: Tensor, seen: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Turn, flip, move, zoom, soften, dim and roughen normalised images (n, 3, h, w) a little.

    `seen`, bool (n, h, w), moves along and comes back as shares in [0, 1], (n, 1, h, w).
    """
    count = len(images)
    scale = rng.uniform(0.9, 1.1, (count, 1)) * rng.choice((-1, 1), (count, 2))
    matrix = np.zeros((count, 2, 3), np.float32)
    matrix[:, (0, 1), (0, 1)] = scale
    transposed = rng.random(count) < 0.5
    matrix[transposed] = matrix[transposed][:, :, (1, 0, 2)]
    matrix[:, :, 2] = rng.uniform(-0.1, 0.1, (count, 2))
    grid = functional.affine_grid(torch.from_numpy(matrix), list(images.shape), align_corners=False)
    both = torch.cat([images, seen[:, None].float()], 1)
    moved = functional.grid_sample(both, grid, padding_mode="reflection", align_corners=False)
    moved, seen = moved[:, :3], moved[:, 3:]
    # Photographs shrunk from other sizes are softer than ones drawn at the input size.
    soft = functional.avg_pool2d(functional.pad(moved, (1, 1, 1, 1), "replicate"), 3, 1)
    moved = moved.lerp(soft, torch.from_numpy(rng.uniform(0, 0.7, (count, 1, 1, 1))).float())
    gain = rng.uniform(0.9, 1.1, (count, 1, 1, 1)).astype(np.float32)
    rough = rng.uniform(0, 0.08, (count, 1, 1, 1)).astype(np.float32)
    noise = rng.standard_normal(images.shape, np.float32) * rough
    lit = (moved + 1) * torch.from_numpy(gain) - 1 + torch.from_numpy(noise)
    return lit.clamp(-1, 1), seen
