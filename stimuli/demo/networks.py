"""Three small networks of the demo world: a VGG, a ResNet and a ViT kind.

Each takes sRGB images (n, 3, 96, 96), scaled to [0, 1] and then normalised with `MEAN` and `STD`,
and gives one logit a class, (n, 10), in the order of `stimuli.demo.world.CLASSES`.
"""

from collections.abc import Callable
from pathlib import Path

from timm.models.resnet import BasicBlock, ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import nn

INPUT_SIZE = 96
MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)
CLASS_COUNT = 10


def _build_vgg() -> nn.Module:
    stages = ((16,), (32,), (64, 64), (96, 96), (128, 128))
    layers: list[nn.Module] = []
    previous = 3
    for stage in stages:
        for channels in stage:
            layers += [
                nn.Conv2d(previous, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            previous = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(
        *layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(previous, CLASS_COUNT)
    )


def _build_resnet() -> nn.Module:
    network: nn.Module = ResNet(
        BasicBlock, [1, 1, 1, 1], num_classes=CLASS_COUNT, channels=(32, 64, 96, 128)
    )
    return network


def _build_vit() -> nn.Module:
    network: nn.Module = VisionTransformer(
        img_size=INPUT_SIZE,
        patch_size=8,
        num_classes=CLASS_COUNT,
        embed_dim=96,
        depth=5,
        num_heads=3,
        mlp_ratio=3.0,
        class_token=False,
        global_pool="avg",
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
