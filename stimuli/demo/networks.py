"""Three small networks of the demo world: a VGG, a ResNet and a ViT kind.

Each takes sRGB images (n, 3, 96, 96), scaled to [0, 1] and then normalised with `MEAN` and `STD`,
and gives one logit a class, (n, 10), in the order of `stimuli.demo.world.CLASSES`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from timm.models.resnet import BasicBlock, ResNet
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_hybrid import HybridEmbed
from torch import nn

INPUT_SIZE = 96
MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)
CLASS_COUNT = 10


def _convolve(before: int, after: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]


def _build_vgg() -> nn.Module:
    layers: list[nn.Module] = []
    previous = 3
    for stage in ((16,), (32,), (64, 64), (96, 96), (128, 128)):
        for channels in stage:
            layers += _convolve(previous, channels)
            previous = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(
        *layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(previous, CLASS_COUNT)
    )


def _build_resnet() -> nn.Module:
    network = ResNet(
        BasicBlock,
        [1, 1, 1],
        num_classes=CLASS_COUNT,
        channels=(64, 96, 128),
        stem_type="deep",
        stem_width=16,
    )
    # At 96 pixels the usual strided stem would blur the textures that make up a class.
    network.conv1 = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
    )
    network.layer4 = nn.Identity()
    return cast("nn.Module", network)


def _build_vit() -> nn.Module:
    # Convolutions before the patches: plain patches learn little from so few images (Xiao 2021).
    stem: list[nn.Module] = []
    for before, after, pooled in ((3, 16, True), (16, 32, True), (32, 64, False), (64, 64, True)):
        stem += _convolve(before, after)
        stem += [nn.MaxPool2d(2)] if pooled else []
    network: nn.Module = VisionTransformer(
        img_size=INPUT_SIZE,
        patch_size=1,
        num_classes=CLASS_COUNT,
        embed_dim=96,
        depth=4,
        num_heads=3,
        mlp_ratio=3.0,
        class_token=False,
        global_pool="avg",
        embed_layer=partial(HybridEmbed, backbone=nn.Sequential(*stem), strict_img_size=False),
    )
    return network


_BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "vgg": _build_vgg,
    "resnet": _build_resnet,
    "vit": _build_vit,
}

WEIGHTS: dict[str, Path] = {
    name: Path(__file__).parent / "weights" / f"{name}.safetensors" for name in _BUILDERS
}


def build(name: str) -> nn.Module:
    """Build the untrained network `name`, one of `vgg`, `resnet` and `vit`.

    `WEIGHTS[name]` is the file of its trained weights: half-precision, as safetensors.
    """
    if name not in _BUILDERS:
        raise ValueError(f"network is {name!r}; it must be one of {', '.join(_BUILDERS)}")
    return _BUILDERS[name]()
