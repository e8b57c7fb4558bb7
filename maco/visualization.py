"""A finished visualization: image, transparency, parameters, trace, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from maco.files import write_atomically
from maco.images import encode_png


@dataclass(frozen=True)
class Visualization:
    """What `render` gives for one objective.

    image: (3, h, w) in [0, 1]. sensitivity: (3, h, w), the mean of |d objective / d image| over
    the steps. parameters: those of the last step. trace: (steps,), the objective's mean over each
    step's views. config: network, weights, objective, preset, spectrum and seed, as plain values.
    """

    image: Tensor
    sensitivity: Tensor
    parameters: Tensor
    trace: Tensor
    config: dict[str, Any]

    @property
    def alpha(self) -> Tensor:
        """Opacity (h, w) in [0, 1]; see `transparency`."""
        return transparency(self.sensitivity)

    def over(self, colour: float = 0.5) -> Tensor:
        """The image (3, h, w) laid over a plain grey through its transparency."""
        return self.image * self.alpha + colour * (1 - self.alpha)

    def save(self, path: Path | str) -> None:
        """Writes PATH.png (the image), PATH-masked.png (with transparency), PATH.safetensors (all).

        A suffix .png or .safetensors of the path is dropped. The safetensors file comes last: where
        it is, all three are.
        """
        stem = _stem(path)
        write_atomically(stem.with_name(stem.name + ".png"), encode_png(self.image))
        masked = encode_png(self.image, alpha=self.alpha)
        write_atomically(stem.with_name(stem.name + "-masked.png"), masked)
        tensors = {
            "image": self.image,
            "sensitivity": self.sensitivity,
            "parameters": self.parameters,
            "trace": self.trace,
        }
        content = save(
            {key: value.contiguous() for key, value in tensors.items()},
            {"maco": json.dumps(self.config, sort_keys=True)},
        )
        write_atomically(stem.with_name(stem.name + ".safetensors"), content)

    @classmethod
    def load(cls, path: Path | str) -> Visualization:
        """Reads what `save` wrote; raises ValueError if it is not there or is something else."""
        config, tensors = _read(path, ("image", "sensitivity", "parameters", "trace"))
        return cls(**tensors, config=config)


def read_config(path: Path | str) -> dict[str, Any]:
    """How a saved visualization was made, without its pictures; ValueError as `load` has it."""
    return _read(path, ())[0]


def _read(path: Path | str, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    stem = _stem(path)
    file_path = stem.with_name(stem.name + ".safetensors")
    if not file_path.is_file():
        raise ValueError(f"there is no visualization {file_path}")
    try:
        with safe_open(file_path, "pt") as file:
            config = json.loads((file.metadata() or {})["maco"])
            return config, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{file_path} is no saved visualization") from error


def transparency(sensitivity: Tensor, percentile: float = 80.0) -> Tensor:
    """Opacity (h, w) in [0, 1] of mean absolute gradients (3, h, w).

    The mean over channels, cut off above its percentile, over its largest value (Fel et al. 2023,
    section 3.3; the percentile is public code's): the most important fifth is opaque.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile is {percentile}: it must lie in (0, 100]")
    mean = sensitivity.mean(0)
    rank = max(1, round(percentile / 100 * mean.numel()))
    limit = mean.flatten().kthvalue(rank).values
    if limit == 0:  # the views reached less than the rest of the image
        limit = mean.max()
    return mean.clamp(max=limit) / limit if limit > 0 else torch.ones_like(mean)


def _stem(path: Path | str) -> Path:
    path = Path(path)  # a layer's name has dots of its own
    return path.with_suffix("") if path.suffix in {".png", ".safetensors"} else path
