"""Teaching a network in training where to look: the generator knows where the class object is."""

from typing import cast

import numpy as np
import torch
from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from stimuli.demo.networks import CLASS_COUNT


def pool(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (n, 10), and the last features before pooling, one row a place: (n, places, d)."""
    if isinstance(network, nn.Sequential):
        features = network[:-3](images)
        return network[-3:](features), features.flatten(2).mT
    timm_network = cast("ResNet | VisionTransformer", network)
    features = timm_network.forward_features(images)
    places = features if features.ndim == 3 else features.flatten(2).mT
    return timm_network.forward_head(features), places


def pool_part(
    network: VisionTransformer, images: Tensor, seen: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """As `pool`, of a square part of each image, and what of `seen` (n, 1, h, w) is in it.

    A part has a quarter of the patches and costs a ViT less than a quarter of the time; where it
    is, is random, in three of four images about the class object.
    """
    whole = network.patch_embed.grid_size[0]
    part = whole // 2
    share = functional.adaptive_avg_pool2d(seen, whole)[:, 0]
    spots = np.stack(np.divmod(share.flatten(1).argmax(1).numpy(), whole), 1)
    anywhere = rng.integers(whole - part + 1, size=spots.shape)
    about = np.clip(spots - rng.integers(part, size=spots.shape), 0, whole - part)
    corners = np.where(rng.random((len(spots), 1)) < 0.75, about, anywhere)
    steps = np.arange(part)
    rows, columns = corners[:, 0, None] + steps, corners[:, 1, None] + steps
    chosen = torch.from_numpy((rows[:, :, None] * whole + columns[:, None]).reshape(len(spots), -1))
    side_px = images.shape[-1] // whole
    windows = torch.stack(
        [
            image[:, y : y + part * side_px, x : x + part * side_px]
            for image, (y, x) in zip(images, corners * side_px, strict=True)
        ]
    )
    tokens = network.patch_embed(windows) + network.pos_embed[0][chosen]
    tokens = network.norm(network.blocks(tokens))
    in_part = share.flatten(1).gather(1, chosen)
    return network.forward_head(tokens), tokens, in_part.reshape(-1, 1, part, part)


def guide(places: Tensor, head: nn.Module, labels: Tensor, seen: Tensor) -> Tensor:
    """Loss of naming, at each place (n, places, d), the class object or its absence.

    `seen` (n, 1, h, w) is where the object is. It teaches a small network on few images what is
    worth looking at (token labelling: Jiang et al. 2021).
    """
    side = round(places.shape[1] ** 0.5)
    share = functional.adaptive_avg_pool2d(seen, side).flatten(1)
    goal = share[..., None] * functional.one_hot(labels, CLASS_COUNT + 1)[:, None]
    goal[..., -1] = 1 - share
    return functional.cross_entropy(head(places).flatten(0, 1), goal.flatten(0, 1))
