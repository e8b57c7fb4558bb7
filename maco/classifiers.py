"""Networks as functions of images in [0, 1]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maco.color import IMAGENET_MEAN, IMAGENET_STD
from maco.construction import (
    construct,
    imagenet_labels,
    imagenet_wnids,
    intermediates,
    nearest,
)
from maco.devices import check_device, fastest_batch, has_half_precision, keep_freed_memory
from maco.layers import Layer, as_map, channels_first
from maco.weights import digest_weights, load_weights

__all__ = ["OUTPUT", "Classifier"]

OUTPUT = "<output>"  # the name under which `read` gives the network's output


class Classifier:
    """A frozen network in evaluation mode that takes images in [0, 1] of any size.

    It owns what the network expects: input side, mean and standard deviation. Non-square images are
    squeezed to the square input. The network is taken over: frozen, and moved with `to`.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        input_size_px: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        labels: Sequence[str] | None = None,
    ) -> None:
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"{name}: mean {mean} and std {std} must be 3 numbers, std positive")
        if input_size_px < 1:
            raise ValueError(f"{name}: input_size_px is {input_size_px}: it must be positive")
        # Convolutions run up to three times faster with channels last; other layers do not mind.
        self.network = (
            network.float().eval().requires_grad_(False).to(memory_format=torch.channels_last)
        )
        keep_freed_memory()
        self.name = name
        self.input_size_px = input_size_px
        self.mean, self.std = tuple(mean), tuple(std)
        self.labels = tuple(labels) if labels is not None else None
        self._classes: int | None = None
        self._digest: str | None = None
        self.device = next((p.device for p in network.parameters()), torch.device("cpu"))

    @classmethod
    def load(
        cls,
        name: str,
        *,
        weights: Path | str | None = None,
        options: Mapping[str, Any] | None = None,
        input_size_px: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        labels: Sequence[str] | None = None,
        device: str | torch.device = "cpu",
    ) -> Classifier:
        """A network by its timm name ("resnet50.a1_in1k") or "torchvision/NAME".

        weights: a safetensors or pth file; without it they come from the hub.
        options: further arguments of the network's constructor.
        input_size_px, mean, std: what the weights were trained with, where it differs from what
            timm or torchvision say. labels: class names; ImageNet's for 1,000 classes.
        Raises ValueError for an unknown name, weights that do not fit or cannot be fetched, or a
        device that is not there.
        """
        device = check_device(device)
        network, expected = construct(name, from_hub=weights is None, options=options)
        if weights is not None:
            load_weights(network, Path(weights), name)
        classifier = cls(
            network.float(),
            name=name,
            input_size_px=input_size_px or expected.input_size_px,
            mean=mean or expected.mean,
            std=std or expected.std,
            labels=labels,
        )
        return classifier.to(device)

    def to(self, device: str | torch.device) -> Classifier:
        """Moves the network; returns the classifier itself."""
        self.device = check_device(device)
        self.network.to(self.device)
        return self

    def __repr__(self) -> str:
        return f"Classifier({self.name!r}, input_size_px={self.input_size_px})"

    def __call__(self, images: Tensor, *, prepared: bool = False) -> Tensor:
        """Output (n, classes) for images (n, 3, h, w) in [0, 1]: logits, before any softmax.

        prepared: the images are what `prepare` gives.
        """
        output = self.network(images if prepared else self.prepare(images))
        if not isinstance(output, Tensor):
            raise ValueError(f"{self.name} gives {type(output).__name__}, not one tensor of logits")
        return output

    def prepare(self, images: Tensor) -> Tensor:
        """What the network is fed for images (n, 3, h, w) in [0, 1]: resized and normalised."""
        size = (self.input_size_px, self.input_size_px)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        return self.normalise(images).contiguous(memory_format=torch.channels_last)

    def normalise(self, images: Tensor) -> Tensor:
        """What the network is fed for each pixel of images (n, 3, h, w) in [0, 1]."""
        mean = images.new_tensor(self.mean)[:, None, None]
        std = images.new_tensor(self.std)[:, None, None]
        return (images - mean).div_(std)

    @property
    def input_form(self) -> dict[str, Any]:
        """What the network is fed: input_size_px, mean and std, as plain values."""
        return {
            "size_px": self.input_size_px,
            "mean": [float(value) for value in self.mean],
            "std": [float(value) for value in self.std],
        }

    @property
    def batch(self) -> int:
        """How many images at once are fastest."""
        return fastest_batch(self.device)

    @property
    def half_precision(self) -> bool:
        """Whether the device multiplies bfloat16 matrices in hardware: GPUs, and CPUs with AMX."""
        return has_half_precision(self.device)

    def read(
        self, images: Tensor, layers: Iterable[str], *, prepared: bool = False
    ) -> dict[str, Tensor]:
        """Activations (n, channels, *places) of some layers, by module name, for images in [0, 1].

        images: (n, 3, h, w), or `prepared`. Tokens come as (n, channels, tokens), maps as
        (n, channels, h, w), however the network keeps them; only inside layers that turn tokens
        round, as MLP-Mixer's, channels and places change roles. `OUTPUT` names the logits. Raises
        ValueError for a layer the network does not have, does not run or runs more than once in a
        pass, or that gives no tensor with a row an image. No hook outlives the call.
        """
        wanted = set(layers) - {OUTPUT}
        seen: dict[str, Tensor] = {}
        modules = dict(self.network.named_modules())
        for layer in sorted(wanted):
            if layer not in modules or layer == "":
                raise ValueError(f"{self.name} has no layer {layer!r}{nearest(layer, modules)}")

        def keep(layer: str, module: nn.Module, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise ValueError(f"layer {layer!r} of {self.name} gives no single tensor")
            if layer in seen:
                raise ValueError(f"{self.name} runs layer {layer!r} more than once in a pass")
            if len(output) != len(images):
                raise ValueError(
                    f"layer {layer!r} of {self.name} gives {len(output)} rows for {len(images)}"
                    " images: it works on parts of them"
                )
            # A copy: an in-place activation after it would change it.
            seen[layer] = channels_first(output.clone(), module)

        watched = {layer: modules[layer] for layer in wanted}
        output = self._watch(images, watched, keep, prepared=prepared)
        for layer in wanted - set(seen):
            raise ValueError(f"{self.name} does not run layer {layer!r} in a forward pass")
        return {**seen, OUTPUT: output}

    def _watch(
        self,
        images: Tensor,
        modules: Mapping[str, nn.Module],
        call: Callable[[str, nn.Module, Any], None],
        *,
        prepared: bool = False,
    ) -> Tensor:
        """The output, after telling `call` name, module and output of each of `modules`."""

        def hook(name: str) -> Callable[..., None]:
            return lambda module, inputs, output: call(name, module, output)

        handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
        try:
            return self(images, prepared=prepared)
        finally:
            for handle in handles:
                handle.remove()

    def maps(self, images: Tensor, layer: str) -> Tensor:
        """Feature maps (n, channels, h, h) of a layer for images (n, 3, h, w) in [0, 1].

        A transformer's tokens lie on the grid of its patches, without class and register tokens.
        Raises ValueError for a layer without extent in the image, and as `read` does.
        """
        activation = self.read(images, [layer])[layer]
        found = as_map(activation, self.network)
        if found is None:
            raise ValueError(
                f"layer {layer!r} of {self.name} has no places in the image: it gives"
                f" {tuple(activation.shape)} for {len(images)} images"
            )
        return found

    def layers(self) -> tuple[Layer, ...]:
        """The layers that `read` can give, in the order in which they end; the output is the last.

        Left out are those that run more than once in a pass, give no single tensor, or give
        something that is not one activation an image, such as a transformer's windows.
        """
        named = intermediates(self.network)
        runs: Counter[str] = Counter()
        found = []

        def note(name: str, module: nn.Module, output: Any) -> None:
            runs[name] += 1
            if isinstance(output, Tensor) and output.ndim > 1 and len(output) == 2:
                shape = tuple(channels_first(output, module).shape[1:])
                found.append(Layer(name, type(module).__name__, shape, name in named))

        modules = {name: module for name, module in self.network.named_modules() if name}
        images = torch.full((2, 3, *[self.input_size_px] * 2), 0.5, device=self.device)
        with torch.no_grad():
            output = self._watch(images, modules, note)
        found.append(Layer(OUTPUT, type(self.network).__name__, tuple(output.shape[1:])))
        return tuple(layer for layer in found if runs[layer.name] < 2)

    def class_index(self, wanted: int | str) -> int:
        """The index of a class given as index, label, or (ImageNet) wnid; ValueError if none.

        Labels match without regard to case, and by any of their comma-separated synonyms.
        """
        count = self.classes
        if isinstance(wanted, int) or wanted.isdecimal():
            index = int(wanted)
            if not 0 <= index < count:
                raise ValueError(
                    f"{self.name} has no class {index}: 0 to {count - 1} are its classes"
                )
            return index
        names = _names(
            self.class_labels, imagenet_wnids() if self.labels is None and count == 1000 else ()
        )
        found = names.get(_plain(wanted), [])
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{wanted!r} names classes {found} of {self.name}: give the index")
        raise ValueError(f"{self.name} has no class {wanted!r}{nearest(_plain(wanted), names)}")

    @property
    def class_labels(self) -> tuple[str, ...]:
        """A label for each class: those given, ImageNet's for 1,000 classes, else "class 7"."""
        count = self.classes
        if self.labels is not None:
            return self.labels
        if count == 1000:
            return imagenet_labels()
        return tuple(f"class {index}" for index in range(count))

    @property
    def classes(self) -> int:
        """How many outputs the network has."""
        if self._classes is None:
            side = self.input_size_px
            with torch.no_grad():
                self._classes = self(torch.zeros(1, 3, side, side, device=self.device)).shape[1]
            labels = self._classes if self.labels is None else len(self.labels)
            if labels != self._classes:
                raise ValueError(f"{self.name}: {labels} labels for {self._classes} classes")
        return self._classes

    def weights_digest(self) -> str:
        """SHA-256 of all parameters and buffers, as they were when first asked for."""
        if self._digest is None:
            self._digest = digest_weights(self.network)
        return self._digest


def _plain(label: str) -> str:
    return " ".join(label.replace("_", " ").replace("-", " ").lower().split())


def _names(labels: Sequence[str], wnids: Sequence[str]) -> dict[str, list[int]]:
    names: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        for name in {_plain(part) for part in (label, *label.split(","))}:
            names.setdefault(name, []).append(index)
    names.update({wnid: [index] for index, wnid in enumerate(wnids)})
    return names
