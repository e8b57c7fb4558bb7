"""Networks as functions of images in [0, 1]. The only file that knows timm and torchvision."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import timm
import timm.data
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from maco.color import IMAGENET_MEAN, IMAGENET_STD
from maco.weights import digest_weights, load_weights

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
        network, expected = _construct(name, weights is None, dict(options or {}))
        if weights is not None:
            load_weights(network, Path(weights), name)
        classifier = cls(
            network.float(),
            name=name,
            input_size_px=input_size_px or expected["input_size_px"],
            mean=mean or expected["mean"],
            std=std or expected["std"],
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

    def __call__(self, images: Tensor) -> Tensor:
        """Output (n, classes) for images (n, 3, h, w) in [0, 1]: logits, before any softmax."""
        output = self.network(self.prepare(images))
        if not isinstance(output, Tensor):
            raise ValueError(f"{self.name} gives {type(output).__name__}, not one tensor of logits")
        return output

    def prepare(self, images: Tensor) -> Tensor:
        """What the network is fed for images (n, 3, h, w) in [0, 1]: resized and normalised."""
        size = (self.input_size_px, self.input_size_px)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        mean = images.new_tensor(self.mean)[:, None, None]
        std = images.new_tensor(self.std)[:, None, None]
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)

    @property
    def batch(self) -> int:
        """How many images at once are fastest: on a CPU, what its caches hold of a network."""
        return 16 if self.device.type == "cpu" else 256

    @property
    def half_precision(self) -> bool:
        """Whether the device multiplies bfloat16 matrices in hardware: GPUs, and CPUs with AMX."""
        if self.device.type == "cpu":
            # Older versions of torch cannot be asked.
            capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", lambda: {})()
            return bool(capabilities.get("amx_bf16"))
        return self.device.type == "cuda"

    def read(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations of some layers, by module name, for images (n, 3, h, w) in [0, 1].

        `OUTPUT` names the logits. Raises ValueError for a layer the network does not have, does not
        run or runs more than once in a pass, or that gives no tensor. No hook outlives the call.
        """
        wanted = set(layers) - {OUTPUT}
        seen: dict[str, Tensor] = {}
        modules = dict(self.network.named_modules())
        handles = []
        try:
            for layer in sorted(wanted):
                if layer not in modules or layer == "":
                    raise ValueError(
                        f"{self.name} has no layer {layer!r}{_nearest(layer, modules)}"
                    )
                handles.append(modules[layer].register_forward_hook(self._keep(layer, seen)))
            output = self(images)
        finally:
            for handle in handles:
                handle.remove()
        for layer in wanted - set(seen):
            raise ValueError(f"{self.name} does not run layer {layer!r} in a forward pass")
        return {**seen, OUTPUT: output}

    def _keep(self, layer: str, seen: dict[str, Tensor]) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise ValueError(f"layer {layer!r} of {self.name} gives no single tensor")
            if layer in seen:
                raise ValueError(f"{self.name} runs layer {layer!r} more than once in a pass")
            seen[layer] = output.clone()  # an in-place activation after it would change it

        return hook

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
        names = _names(self.class_labels, _wnids(count) if self.labels is None else ())
        found = names.get(_plain(wanted), [])
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{wanted!r} names classes {found} of {self.name}: give the index")
        raise ValueError(f"{self.name} has no class {wanted!r}{_nearest(_plain(wanted), names)}")

    @property
    def class_labels(self) -> tuple[str, ...]:
        """A label for each class: those given, ImageNet's for 1,000 classes, else "class 7"."""
        count = self.classes
        if self.labels is not None:
            return self.labels
        if count == 1000:
            return _imagenet_labels()
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


def check_device(device: str | torch.device) -> torch.device:
    """The device, if this machine has it, else ValueError. "auto": CUDA where there is."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"unknown device {device!r}: cpu, cuda, cuda:0, mps or auto") from error
    if found.type not in {"cpu", "cuda", "mps"}:
        raise ValueError(f"unknown device {device!r}: cpu, cuda, cuda:0, mps or auto")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device} was asked for, but torch sees no GPU here: use cpu")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device {device} was asked for, but torch sees no Apple GPU: use cpu")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {device} was asked for, but there are {torch.cuda.device_count()}"
        )
    return found


def _construct(
    name: str, from_hub: bool, options: dict[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    try:
        if name.startswith("torchvision/"):
            return _construct_torchvision(name.removeprefix("torchvision/"), from_hub, options)
        return _construct_timm(name, from_hub, options)
    except TypeError as error:
        raise ValueError(f"{name} cannot be built with options {options}: {error}") from error


def _construct_timm(
    name: str, from_hub: bool, options: dict[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    if not timm.is_model(name):
        known = timm.list_models()
        raise ValueError(f"timm has no network {name!r}{_nearest(name.split('.')[0], known)}")
    try:
        network = timm.create_model(name, pretrained=from_hub, **options)
    except RuntimeError as error:
        tags = timm.list_pretrained(name.split(".")[0] + ".*")
        raise ValueError(f"timm cannot build {name}: {error}; it has {', '.join(tags)}") from error
    except (OSError, ConnectionError, ValueError) as error:
        raise ValueError(_not_fetched(name, error)) from error
    expected = timm.data.resolve_model_data_config(network)
    return network, {
        "input_size_px": expected["input_size"][-1],
        "mean": expected["mean"],
        "std": expected["std"],
    }


def _construct_torchvision(
    name: str, from_hub: bool, options: dict[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ValueError(f"torchvision has no network {name!r}{_nearest(name, known)}")
    published = torchvision.models.get_model_weights(name)
    crop = published.DEFAULT.transforms().crop_size[0]
    if name in {"googlenet", "inception_v3"}:
        # What their published weights expect; torchvision sets it only when it fetches them.
        published_form = {"init_weights": False, "aux_logits": True, "transform_input": True}
        options = {**published_form, **options}
    try:
        network = torchvision.models.get_model(
            name, weights="DEFAULT" if from_hub else None, **options
        )
    except OSError as error:
        raise ValueError(_not_fetched(f"torchvision/{name}", error)) from error
    return network, {"input_size_px": crop, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}


def _not_fetched(name: str, error: Exception) -> str:
    cause = (str(error).splitlines() or [type(error).__name__])[0]
    return f"the weights of {name} could not be fetched ({cause}): give a file with weights"


def _nearest(wanted: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(wanted, list(known), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(close)}?" if close else ""


def _plain(label: str) -> str:
    return " ".join(label.replace("_", " ").replace("-", " ").lower().split())


def _names(labels: Sequence[str], wnids: Sequence[str]) -> dict[str, list[int]]:
    names: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        for name in {_plain(part) for part in (label, *label.split(","))}:
            names.setdefault(name, []).append(index)
    names.update({wnid: [index] for index, wnid in enumerate(wnids)})
    return names


@cache
def _imagenet_labels() -> tuple[str, ...]:
    info = timm.data.ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_description(index) for index in range(1000))


def _wnids(classes: int) -> tuple[str, ...]:
    if classes != 1000:
        return ()
    info = timm.data.ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_label_name(index) for index in range(1000))
