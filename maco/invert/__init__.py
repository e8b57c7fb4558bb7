"""Feature inversion: the picture to which a layer answers as to a photograph (Figure 6a).

photograph = read_square("owl.jpg", classifier.input_size_px)
made = invert(classifier, photograph, "blocks.2")
similarity(classifier, made.image, photograph, "blocks.2")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from maco.classifiers import OUTPUT, Classifier
from maco.files import digest
from maco.images import to_bytes
from maco.objectives import Objective, inversion
from maco.presets import Preset, find_preset
from maco.render import render
from maco.spectrum import Spectrum
from maco.visualization import Visualization

# The target is of the whole photograph, so the whole picture is what the network has to see: crops
# show it parts in other places (docs/method.md has the figures).
WHOLE = find_preset("paper", transforms="none", crops=1, steps=128)


def inversion_preset(classifier: Classifier, name: str = "whole", **overrides: Any) -> Preset:
    """How to invert: "whole", at the network's input size, or a preset of `maco.presets`.

    A larger picture answers no better: the network does not see its finest waves.
    """
    if name != "whole":
        return find_preset(name, **overrides)
    return find_preset(WHOLE, **{"size_px": classifier.input_size_px, **overrides})


def target(classifier: Classifier, photograph: Tensor, layer: str) -> Objective:
    """The objective to answer in `layer` as to a photograph (3, h, w) in [0, 1]."""
    return inversion(layer, _answer(classifier, photograph, layer))


def invert(
    classifier: Classifier,
    photograph: Tensor,
    layer: str,
    preset: Preset | None = None,
    *,
    seed: int = 0,
    spectrum: Spectrum | None = None,
    progress: bool = True,
) -> Visualization:
    """The inversion of a photograph (3, h, w) in [0, 1] from what one layer answers to it.

    preset: by default `inversion_preset(classifier)`. The sensitivity is smoothed. Raises
    ValueError for a layer that cannot be read, or that answers nothing to the photograph.
    """
    [made] = render(
        classifier,
        target(classifier, photograph, layer),
        preset or inversion_preset(classifier),
        seeds=[seed],
        spectrum=spectrum,
        progress=progress,
    )
    return replace(
        made,
        sensitivity=_smooth(made.sensitivity),
        config={**made.config, **provenance(photograph, layer)},
    )


def _smooth(sensitivity: Tensor) -> Tensor:
    """Sensitivity (3, h, w), each place the mean of its surroundings.

    The view never moves, so it shows the grid of strides or patches on which the network stands.
    """
    reach = max(1, min(sensitivity.shape[-2:]) // 28)  # about half a patch of a ViT
    for _ in range(2):
        sensitivity = F.avg_pool2d(
            sensitivity[None], 2 * reach + 1, 1, reach, count_include_pad=False
        )[0]
    return sensitivity


def provenance(photograph: Tensor, layer: str) -> dict[str, str]:
    """What an inversion's configuration says beside its objective.

    The objective is named by activations, whose last digits differ between machines; the
    photograph's pixels do not.
    """
    pixels = to_bytes(photograph).contiguous().numpy().tobytes()
    return {"photograph": digest(pixels), "layer": layer}


def similarity(classifier: Classifier, image: Tensor, photograph: Tensor, layer: str) -> float:
    """Cosine of a layer's activations to two whole images (3, h, w), all channels and places."""
    own, wanted = (_answer(classifier, one, layer).flatten() for one in (image, photograph))
    return float(F.cosine_similarity(own, wanted, dim=0))


def in_order(classifier: Classifier, layers: Sequence[str]) -> list[str]:
    """Layers from early to late, as the network runs them, each once; ValueError as `read`."""
    side = classifier.input_size_px
    with torch.no_grad():
        read = classifier.read(torch.zeros(1, 3, side, side, device=classifier.device), layers)
    return [layer for layer in read if layer in set(layers)]


def spread_layers(classifier: Classifier, count: int = 6) -> list[str]:
    """Up to `count` layers from early to late, the same distance apart.

    Of the intermediates that timm names; of other networks' layers with places in the image, those
    least deeply nested that are as many as that.
    """
    layers = [layer for layer in classifier.layers() if layer.name != OUTPUT]
    found = [layer.name for layer in layers if layer.intermediate]
    placed = [layer.name for layer in layers if math.prod(layer.shape[1:]) > 1]
    for depth in sorted({name.count(".") for name in placed}) if not found else ():
        found = [name for name in placed if name.count(".") <= depth]
        if len(found) >= count:
            break
    if not found:
        raise ValueError(f"{classifier.name} has no layer with places in the image: give --layer")
    picked = torch.linspace(0, len(found) - 1, min(count, len(found))).round().int().tolist()
    return [found[index] for index in picked]


def _answer(classifier: Classifier, image: Tensor, layer: str) -> Tensor:
    with torch.no_grad():
        return classifier.read(image[None].to(classifier.device), [layer])[layer][0].cpu()
